# sm-side: tether-smd and tether (daemon), libosmtether.so and its planner (plugin).

# ---- daemon ------------------------------------------------------------------------------------------------------

MIGRATION_SOURCES := sm-side/vm_change/vm_change.c sm-side/vm_change/vm_changes.c $(addprefix sm-side/migration/,migration.c \
	migration_road.c migration_answers.c roll_call.c migration_table.c testimony.c orders.c needs.c) notifier/base/deadlines.c \
	$(GID_SOURCES) notifier/wire/context_lids.c sm-side/guid_text.c $(WIRE_SOURCES)
JSON_SOURCES := sm-side/json_read.c sm-side/guid_text.c
LEDGER_SOURCES := sm-side/journal/ledger.c sm-side/journal/record.c $(JSON_SOURCES) $(MIGRATION_SOURCES)
DIRECTORY_SOURCES := $(addprefix sm-side/directory/,directory.c directory_word.c directory_rate.c directory_vms.c \
	directory_vm_places.c directory_slots.c directory_record.c) notifier/link/rate.c
JOURNAL_SOURCES := $(addprefix sm-side/journal/,journal.c journal_file.c journal_rows.c) notifier/base/log.c
NUMBERS_SOURCES := $(addprefix sm-side/root/,numbers.c numbers_presence.c numbers_find.c numbers_datagrams.c)
# The root of the tree, without what it is driven by.
ROOT_SOURCES := $(addprefix sm-side/root/,root.c root_outputs.c root_events.c root_holds.c owner_notices.c root_places.c \
	inventory.c shared_event.c questions.c agents.c agent_poll.c root_signal.c outbox.c reporter.c sm_link.c) \
	$(NUMBERS_SOURCES) $(DIRECTORY_SOURCES) notifier/link/agent_links.c $(JSON_SOURCES)
SMD_SOURCES := $(addprefix sm-side/,smd_main.c smd_credentials.c smd_metrics.c smd_settings.c) $(addprefix sm-side/api/,api.c \
	api_routes.c api_waiting.c api_plan.c api_agents.c agents_json.c api_reply.c api_json.c plan_json.c dry_run.c \
	vm_change_json.c api_vms.c directory_json.c evacuation_json.c api_evacuations.c) \
	$(addprefix sm-side/conductor/,conductor.c conductor_drive.c conductor_gids.c conductor_log.c conductor_turn.c conductor_lease.c conductor_ask.c \
	conductor_recovery.c conductor_mending.c conductor_news.c conductor_record.c conductor_places.c conductor_release.c \
	evacuation.c evacuation_room.c evacuation_record.c evacuator.c) $(addprefix sm-side/directory/,directory_log.c \
	directory_endpoints.c directory_lids.c directory_locator.c) $(addprefix sm-side/vm_change/,vm_talk.c vm_admission.c vm_changer.c \
	vm_changer_drive.c vm_changer_ask.c vm_changer_lease.c vm_changer_record.c vm_changer_recovery.c) \
	sm-side/journal/plan_evidence.c $(addprefix sm-side/migration/,admission.c admission_vfs.c turns.c whereabouts.c owners.c advice.c sm_talk.c sm_paths.c) \
	$(ROOT_SOURCES) $(JOURNAL_SOURCES) $(LEDGER_SOURCES) $(RELAY_SOURCES) $(LINK_SOURCES) $(BASE_SOURCES) $(SETTINGS_SOURCES) \
	$(NAME_SOURCES) $(METRICS_SOURCES) $(SERVICE_SOURCES)
SMD_LIBS := $(LINK_LIBS) -levent_extra -ljson-c -lsqlite3 $(SETTINGS_LIBS)

$(call program,tether-smd,$(sort $(SMD_SOURCES)),$(SMD_LIBS))

AUTHORITY_DIRECTORY_SOURCES := notifier/base/file.c sm-side/cli/authority_directory.c sm-side/cli/issued.c $(AUTHORITY_SOURCES) \
	notifier/certificates/peer_identity.c
CLI_SOURCES := $(addprefix sm-side/cli/,cli.c cli_ask.c cli_migrate.c timeline.c cli_plan.c cli_evacuate.c cli_vm.c cli_lists.c cli_agents.c \
	cli_run.c cli_cert.c) $(AUTHORITY_DIRECTORY_SOURCES) $(addprefix sm-side/migration/,migration_table.c advice.c) $(JSON_SOURCES) $(NAME_SOURCES)
$(B)/obj/sm-side/cli/cli_run.o: CPPFLAGS += -DTETHER_LIBDIR='"$(LIBDIR)"' \
	-DTETHER_LIBDIR_FROM_BIN='"$(shell realpath -ms --relative-to=$(PREFIX)/bin $(LIBDIR))"'

$(call program,tether,$(CLI_SOURCES),-lcurl -ljson-c -lcrypto)

$(call unit_test,smd_issued,sm-side/cli/issued.c notifier/certificates/peer_identity.c $(NAME_SOURCES))
$(call unit_test,smd_migration,$(MIGRATION_SOURCES),-lprotobuf-c)
$(call unit_test,smd_vm_change,$(MIGRATION_SOURCES),-lprotobuf-c)
$(call unit_test,smd_vm_roads,$(MIGRATION_SOURCES),-lprotobuf-c)
$(call unit_test,smd_roads,$(MIGRATION_SOURCES),-lprotobuf-c)
$(call unit_test,smd_prepare_answers,tests/unit/migration_said.c $(MIGRATION_SOURCES),-lprotobuf-c)
$(call unit_test,smd_answers,tests/unit/migration_said.c $(MIGRATION_SOURCES),-lprotobuf-c)
$(call unit_test,smd_testimony,tests/unit/migration_said.c $(MIGRATION_SOURCES),-lprotobuf-c)
$(call unit_test,smd_roll_call,sm-side/migration/roll_call.c $(WIRE_SOURCES),-lprotobuf-c)
$(call unit_test,smd_setbacks,sm-side/migration/sm_talk.c sm-side/migration/sm_paths.c $(JSON_SOURCES) $(MIGRATION_SOURCES),-ljson-c -lprotobuf-c)
$(call unit_test,smd_journal,tests/unit/smd_journal_hand.c $(JOURNAL_SOURCES) $(LEDGER_SOURCES),-lsqlite3 -ljson-c -lprotobuf-c)
$(call unit_test,smd_journal_refused,tests/unit/smd_journal_hand.c $(JOURNAL_SOURCES) $(LEDGER_SOURCES),-lsqlite3 -ljson-c -lprotobuf-c)
$(call unit_test,smd_record,sm-side/journal/record.c sm-side/journal/plan_evidence.c $(JSON_SOURCES) $(MIGRATION_SOURCES),-ljson-c -lprotobuf-c)
$(call unit_test,smd_ledger,$(LEDGER_SOURCES),-ljson-c -lprotobuf-c)
$(call unit_test,smd_news,sm-side/conductor/conductor_news.c $(LEDGER_SOURCES) notifier/base/log.c notifier/base/die_point.c,-ljson-c -lprotobuf-c \
	-Xlinker --wrap=vm_changes_has_gone)
$(call unit_test,smd_vfs,sm-side/migration/sm_talk.c sm-side/migration/sm_paths.c $(JSON_SOURCES) $(MIGRATION_SOURCES),-ljson-c -lprotobuf-c)
$(call unit_test,smd_vfs_back,sm-side/migration/sm_talk.c sm-side/migration/sm_paths.c $(JSON_SOURCES) $(MIGRATION_SOURCES),-ljson-c -lprotobuf-c)
$(call unit_test,smd_orders,sm-side/migration/sm_talk.c sm-side/migration/sm_paths.c $(JSON_SOURCES) $(MIGRATION_SOURCES),-ljson-c -lprotobuf-c)
$(call unit_test,smd_admission,sm-side/migration/admission.c sm-side/migration/admission_vfs.c sm-side/root/inventory.c sm-side/migration/whereabouts.c \
	$(INTEREST_SOURCES) $(MIGRATION_SOURCES),-lprotobuf-c)
$(call unit_test,smd_admission_vfs,sm-side/migration/admission.c sm-side/migration/admission_vfs.c sm-side/root/inventory.c sm-side/migration/whereabouts.c \
	$(INTEREST_SOURCES) $(MIGRATION_SOURCES),-lprotobuf-c)
$(call unit_test,smd_gids,tests/unit/migration_said.c sm-side/migration/admission.c sm-side/migration/admission_vfs.c sm-side/root/inventory.c \
	$(INTEREST_SOURCES) $(LEDGER_SOURCES),-ljson-c -lprotobuf-c)
$(call unit_test,smd_both_ends,tests/unit/both_ends_crew.c $(addprefix sm-side/migration/,turns.c admission.c admission_vfs.c) sm-side/root/inventory.c $(INTEREST_SOURCES) \
	$(MIGRATION_SOURCES),-lprotobuf-c)
$(call unit_test,smd_dynamic,sm-side/migration/admission.c sm-side/migration/admission_vfs.c sm-side/root/inventory.c $(INTEREST_SOURCES) sm-side/migration/sm_talk.c sm-side/migration/sm_paths.c $(JSON_SOURCES) \
	$(MIGRATION_SOURCES),-ljson-c -lprotobuf-c)
$(call unit_test,smd_shared_port,$(NUMBERS_SOURCES) sm-side/root/shared_event.c sm-side/migration/sm_talk.c sm-side/migration/sm_paths.c $(JSON_SOURCES) \
	$(MIGRATION_SOURCES) $(INTEREST_SOURCES) $(FRAME_SOURCES),-ljson-c -lprotobuf-c)
$(call unit_test,smd_heard_gids,$(NUMBERS_SOURCES) $(INTEREST_SOURCES) $(FRAME_SOURCES),-lprotobuf-c)
$(call unit_test,smd_late_gids,$(NUMBERS_SOURCES) $(INTEREST_SOURCES) $(FRAME_SOURCES),-lprotobuf-c)
$(call unit_test,smd_agents,sm-side/root/agents.c sm-side/api/agents_json.c $(JSON_SOURCES) $(WIRE_SOURCES),-ljson-c -lprotobuf-c)
DIRECTORY_TEST_SOURCES := tests/unit/smd_directory_hand.c $(DIRECTORY_SOURCES) $(NAME_SOURCES) $(LEDGER_SOURCES)
$(call unit_test,smd_directory,$(DIRECTORY_TEST_SOURCES),-ljson-c -lprotobuf-c)
$(call unit_test,smd_directory_slots,$(DIRECTORY_TEST_SOURCES),-ljson-c -lprotobuf-c)
$(call unit_test,smd_directory_journal,$(JOURNAL_SOURCES) $(DIRECTORY_TEST_SOURCES),-lsqlite3 -ljson-c -lprotobuf-c)
$(call unit_test,smd_directory_rate,$(DIRECTORY_SOURCES) $(NAME_SOURCES) $(LEDGER_SOURCES),-ljson-c -lprotobuf-c)
$(call unit_test,smd_locator,$(addprefix sm-side/directory/,directory_locator.c directory_endpoints.c directory_lids.c) $(DIRECTORY_SOURCES) $(NAME_SOURCES) \
	notifier/link/refusal_log.c notifier/base/log.c sm-side/root/inventory.c $(LEDGER_SOURCES),-ljson-c -lprotobuf-c -levent_core \
	$(foreach f,log_line clock_gettime,-Xlinker --wrap=$(f)))
$(call unit_test,smd_directory_endpoints,$(DIRECTORY_SOURCES) $(NAME_SOURCES) sm-side/directory/directory_endpoints.c sm-side/directory/directory_lids.c sm-side/root/inventory.c $(LEDGER_SOURCES),-ljson-c -lprotobuf-c -Xlinker --wrap=strcmp)
$(call unit_test,smd_outbox,sm-side/root/outbox.c $(WIRE_SOURCES),-lprotobuf-c)
$(call unit_test,smd_questions,sm-side/root/questions.c $(NUMBERS_SOURCES) $(INTEREST_SOURCES) $(FRAME_SOURCES),-lprotobuf-c -Xlinker --wrap=rows_get)
EVACUATION_SOURCES := sm-side/api/plan_json.c sm-side/api/evacuation_json.c $(addprefix sm-side/conductor/,evacuation.c \
	evacuation_record.c evacuation_room.c) sm-side/migration/admission.c sm-side/migration/admission_vfs.c sm-side/root/inventory.c
$(call unit_test,smd_evacuation,sm-side/conductor/evacuation.c sm-side/conductor/evacuation_room.c sm-side/migration/admission.c sm-side/migration/admission_vfs.c sm-side/root/inventory.c \
	$(INTEREST_SOURCES) $(LEDGER_SOURCES),-ljson-c -lprotobuf-c)
VM_SOURCES := sm-side/api/vm_change_json.c sm-side/vm_change/vm_admission.c sm-side/vm_change/vm_talk.c $(NAME_SOURCES)
$(call unit_test,smd_vm_admission,$(VM_SOURCES) sm-side/migration/admission.c sm-side/migration/admission_vfs.c sm-side/root/inventory.c $(INTEREST_SOURCES) $(LEDGER_SOURCES),-ljson-c -lprotobuf-c)
$(call unit_test,smd_vm_requests,$(VM_SOURCES) sm-side/migration/admission.c sm-side/migration/admission_vfs.c sm-side/root/inventory.c $(INTEREST_SOURCES) $(LEDGER_SOURCES),-ljson-c -lprotobuf-c)
$(call unit_test,smd_requests,$(EVACUATION_SOURCES) $(INTEREST_SOURCES) $(LEDGER_SOURCES),-ljson-c -lprotobuf-c)
$(call unit_test,smd_api,$(sort sm-side/api/api_json.c sm-side/api/plan_json.c sm-side/smd_settings.c sm-side/root/inventory.c $(SETTINGS_SOURCES) \
	$(LINK_SOURCES) $(LEDGER_SOURCES)),-ljson-c $(LINK_LIBS))
$(call fuzzer,smd_texts,sm-side/api/api_json.c sm-side/api/plan_json.c sm-side/root/inventory.c sm-side/migration/sm_talk.c sm-side/migration/sm_paths.c sm-side/journal/plan_evidence.c $(JSON_SOURCES) \
	$(filter-out gen/%,$(MIGRATION_SOURCES)) $(B)/gen/tether.pb-c.c,-ljson-c -lprotobuf-c)
$(call fuzzer,smd_requests,$(VM_SOURCES) $(EVACUATION_SOURCES) $(INTEREST_SOURCES) $(filter-out gen/%,$(LEDGER_SOURCES)) $(B)/gen/tether.pb-c.c,-ljson-c -lprotobuf-c)
$(call fuzzer,smd_settings,sm-side/smd_settings.c $(LINK_FUZZ_SOURCES),$(LINK_LIBS))
$(call fuzzer,issued,sm-side/cli/issued.c notifier/certificates/peer_identity.c $(NAME_SOURCES))
$(call fuzzer,journal_file,$(JOURNAL_SOURCES) $(filter-out gen/%,$(LEDGER_SOURCES)) $(B)/gen/tether.pb-c.c,-lsqlite3 -ljson-c -lprotobuf-c)

# ---- end of daemon -----------------------------------------------------------------------------------------------

# ---- plugin ------------------------------------------------------------------------------------------------------

CFLAGS_sm-side := -isystem /usr/include/infiniband

PLAN_SOURCES := $(sort $(wildcard sm-side/plan/*.c))

PLUGIN_SOURCES := $(addprefix sm-side/plugin/,osm_plugin.c plugin_options.c plugin_ops.c plugin_questions.c plugin_plans.c report_notices.c osm_model.c osm_ports.c \
	sweep_lease.c lease_table.c move_turns.c move_work.c plan_store.c plan_maker.c osm_lids.c sm_request.c sm_answer.c \
	sm_server.c) notifier/wire/notice.c notifier/wire/versions.c $(addprefix sm-side/identity/,alias_move.c reread.c move_group.c identity_moves.c \
	move_waves.c move_tops.c move_ends.c identity_move.c identity_sides.c enforced_pkeys.c linear_top.c unacknowledged.c \
	identity_verify.c smp_sender_opensm.c) sm-side/json_read.c sm-side/guid_text.c notifier/base/die_point.c $(PLAN_SOURCES)

# What it calls of OpenSM is found in the program that loads it.
$(call library,libosmtether.so,$(PLUGIN_SOURCES),-ljson-c -lpthread)

# Random fabrics for the planner's tests, which know nothing of it.
TOPOLOGY_SOURCES := tests/unit/plan_topologies.c tests/unit/plan_topology_routes.c tests/unit/plan_topology_walks.c
PREFIX_SOURCES := tests/unit/plan_prefixes.c $(TOPOLOGY_SOURCES)
$(call unit_test,plan_topology_kinds,$(TOPOLOGY_SOURCES) $(PLAN_SOURCES))
$(call unit_test,plan_order,tests/unit/plan_order_cases.c $(PREFIX_SOURCES) $(PLAN_SOURCES))
$(call unit_test,plan_drop_first,tests/unit/plan_order_cases.c $(PREFIX_SOURCES) $(PLAN_SOURCES))
$(call fuzzer,plan_view,$(TOPOLOGY_SOURCES) $(PLAN_SOURCES))
PROPERTIES_SOURCES := tests/unit/plan_properties_cases.c tests/unit/plan_wishes.c $(PREFIX_SOURCES) $(PLAN_SOURCES)
$(call unit_test,plan_properties,$(PROPERTIES_SOURCES))
$(call unit_test,plan_undo_properties,$(PROPERTIES_SOURCES))
$(call unit_test,plan_channels,$(PROPERTIES_SOURCES))
$(call unit_test,plan_splits,tests/unit/plan_wishes.c $(TOPOLOGY_SOURCES) $(PLAN_SOURCES))

$(call unit_test,plan_view,$(PLAN_SOURCES))
$(call unit_test,plan_view_tables,$(PLAN_SOURCES))
$(call unit_test,plan_view_faults,$(PLAN_SOURCES))
$(call unit_test,plan_alias,$(PLAN_SOURCES))
$(call unit_test,plan_swap,$(PLAN_SOURCES))
$(call unit_test,plan_left,$(PLAN_SOURCES))
$(call unit_test,plan_together,$(PLAN_SOURCES))
# The planner, each of its basic blocks counted.
COUNTED_PLAN := $(patsubst sm-side/plan/%.c,$(B)/obj/counted/%.o,$(PLAN_SOURCES))
$(COUNTED_PLAN): $(B)/obj/counted/%.o: sm-side/plan/%.c | $(B)/deps.stamp
	$(call say,CC)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) -fsanitize-coverage=trace-pc -MMD -MP -c -o $@ $<
$(call unit_test,plan_cost,tests/unit/plan_tree.c)
$(B)/unit/plan_cost: $(COUNTED_PLAN)
$(call unit_test,plan_reach,$(PLAN_SOURCES))
$(call unit_test,plan_deadlock,$(TOPOLOGY_SOURCES) $(PLAN_SOURCES))
$(call unit_test,plan_paths,$(TOPOLOGY_SOURCES) $(PLAN_SOURCES))
$(call unit_test,plan_undo,$(PLAN_SOURCES))
# Every allocation can be made to fail.
$(call unit_test,plan_memory,tests/unit/plan_wishes.c $(TOPOLOGY_SOURCES) $(PLAN_SOURCES),$(foreach f,malloc calloc reallocarray free,-Xlinker --wrap=$(f)))
$(call unit_test,plan_evacuation,$(PLAN_SOURCES))
$(call unit_test,plan_conflict,$(PLAN_SOURCES))
$(call unit_test,plan_group,$(PLAN_SOURCES))
$(call unit_test,plan_lid_pool,$(PLAN_SOURCES))
$(call unit_test,plan_dynamic,tests/unit/plan_dynamic_cases.c $(TOPOLOGY_SOURCES) $(PLAN_SOURCES))
$(call unit_test,plan_dynamic_claims,tests/unit/plan_dynamic_cases.c $(TOPOLOGY_SOURCES) $(PLAN_SOURCES))
$(call unit_test,plan_stability,$(PLAN_SOURCES))
$(call unit_test,plan_store,sm-side/plugin/plan_store.c $(PLAN_SOURCES))
$(call unit_test,plugin_options,sm-side/plugin/plugin_options.c $(PLAN_SOURCES))
$(B)/obj/tests/unit/plugin_enforced_pkeys.o: CPPFLAGS += -isystem /usr/include/infiniband
$(call unit_test,plugin_enforced_pkeys,sm-side/identity/enforced_pkeys.c sm-side/plugin/osm_model.c $(PLAN_SOURCES),-losmcomp)
SM_PROTOCOL_SOURCES := notifier/wire/versions.c sm-side/plugin/sm_request.c sm-side/plugin/sm_answer.c sm-side/json_read.c sm-side/guid_text.c \
	$(addprefix sm-side/plan/,refusal.c view_fault.c words.c)
$(call unit_test,sm_request,$(SM_PROTOCOL_SOURCES),-ljson-c)
$(call unit_test,sm_answer,$(SM_PROTOCOL_SOURCES),-ljson-c)
$(call fuzzer,sm_request,$(SM_PROTOCOL_SOURCES),-ljson-c)
$(B)/obj/tests/unit/sm_sender.o: CPPFLAGS += -isystem /usr/include/infiniband
$(call unit_test,sm_sender,sm-side/identity/smp_sender_opensm.c,-lpthread)
$(call unit_test,sm_server,sm-side/plugin/sm_server.c,-lpthread)
$(call unit_test,plugin_lease_table,sm-side/plugin/lease_table.c $(PLAN_SOURCES))
$(call unit_test,plugin_turns,sm-side/plugin/move_turns.c $(PLAN_SOURCES),-lpthread)

# ---- end of plugin -----------------------------------------------------------------------------------------------

# ---- without a subnet manager ------------------------------------------------------------------------------------

CHANGE_SOURCES := $(addprefix sm-side/raw/,fabric_change.c fabric_read.c fabric_read_view.c change_left.c change_file.c smp.c) \
	$(JSON_SOURCES) $(PLAN_SOURCES)
UMAD_SENDER_SOURCES := $(addprefix sm-side/raw/,umad_window.c fabric_read_umad.c smp_sender_umad.c sm_absent.c change_apply.c)
FABRIC_TOOL_SOURCES := $(addprefix sm-side/raw/,fabric_tool.c fabric_tool_plan.c fabric_tool_run.c fabric_tool_dump.c) \
	$(UMAD_SENDER_SOURCES) $(CHANGE_SOURCES)

$(call program,tether-fabric,$(FABRIC_TOOL_SOURCES),-libumad -ljson-c)
$(call unit_test,raw_smp,sm-side/raw/smp.c)
$(call unit_test,raw_window,tests/unit/raw_wire.c sm-side/raw/umad_window.c sm-side/raw/smp.c)
$(call unit_test,raw_sender,tests/unit/raw_wire.c sm-side/raw/smp_sender_umad.c sm-side/raw/fabric_read_umad.c \
	sm-side/raw/umad_window.c $(CHANGE_SOURCES),-ljson-c)
$(call unit_test,raw_change,$(CHANGE_SOURCES),-ljson-c)
$(call unit_test,raw_properties,tests/unit/plan_wishes.c $(PREFIX_SOURCES) $(CHANGE_SOURCES),-ljson-c)
$(call fuzzer,raw_smp,sm-side/raw/smp.c)
$(call fuzzer,raw_change_file,$(CHANGE_SOURCES),-ljson-c)

# ---- end of without a subnet manager -----------------------------------------------------------------------------
