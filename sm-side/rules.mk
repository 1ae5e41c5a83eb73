# sm-side: tether-smd and tether (daemon), libosmtether.so and its planner (plugin).

# ---- daemon ------------------------------------------------------------------------------------------------------

MIGRATION_SOURCES := sm-side/vm_change.c sm-side/vm_changes.c sm-side/migration.c sm-side/migration_road.c sm-side/migration_answers.c sm-side/roll_call.c sm-side/migration_table.c sm-side/testimony.c sm-side/orders.c \
	notifier/base/deadlines.c notifier/wire/rows.c $(WIRE_SOURCES)
JSON_SOURCES := sm-side/json_read.c sm-side/guid_text.c
LEDGER_SOURCES := sm-side/ledger.c sm-side/record.c $(JSON_SOURCES) $(MIGRATION_SOURCES)
DIRECTORY_SOURCES := sm-side/directory.c sm-side/directory_vms.c sm-side/directory_slots.c sm-side/directory_record.c
JOURNAL_SOURCES := sm-side/journal.c sm-side/journal_file.c sm-side/journal_rows.c notifier/base/log.c
# The root of the tree, without what it is driven by.
ROOT_SOURCES := sm-side/root.c sm-side/root_places.c $(DIRECTORY_SOURCES) notifier/agent_links.c sm-side/inventory.c sm-side/numbers.c sm-side/shared_event.c sm-side/questions.c \
	sm-side/agents.c sm-side/agent_poll.c sm-side/root_signal.c sm-side/outbox.c sm-side/reporter.c sm-side/sm_link.c $(JSON_SOURCES)
SMD_SOURCES := sm-side/smd_main.c sm-side/smd_credentials.c sm-side/smd_metrics.c sm-side/smd_settings.c sm-side/api.c sm-side/api_routes.c sm-side/api_waiting.c \
	sm-side/api_plan.c sm-side/api_agents.c sm-side/agents_json.c sm-side/api_reply.c sm-side/api_json.c sm-side/plan_json.c sm-side/dry_run.c sm-side/conductor.c \
	sm-side/conductor_drive.c sm-side/conductor_turn.c sm-side/conductor_lease.c sm-side/conductor_ask.c sm-side/conductor_recovery.c sm-side/conductor_mending.c sm-side/conductor_news.c sm-side/conductor_record.c sm-side/conductor_places.c sm-side/conductor_release.c sm-side/directory_log.c sm-side/directory_endpoints.c sm-side/directory_locator.c \
	sm-side/vm_talk.c sm-side/vm_admission.c sm-side/vm_changer.c sm-side/vm_changer_drive.c sm-side/vm_changer_ask.c sm-side/vm_changer_lease.c \
	sm-side/vm_changer_record.c sm-side/vm_changer_recovery.c sm-side/vm_change_json.c sm-side/api_vms.c sm-side/directory_json.c \
	sm-side/plan_evidence.c sm-side/evacuation.c sm-side/evacuation_room.c sm-side/evacuation_record.c sm-side/evacuator.c sm-side/evacuation_json.c sm-side/api_evacuations.c \
	sm-side/admission.c sm-side/whereabouts.c sm-side/owners.c sm-side/sm_talk.c sm-side/sm_paths.c $(ROOT_SOURCES) \
	$(JOURNAL_SOURCES) $(LEDGER_SOURCES) \
	$(RELAY_SOURCES) $(LINK_SOURCES) $(BASE_SOURCES) $(SETTINGS_SOURCES) $(NAME_SOURCES) $(METRICS_SOURCES) $(SERVICE_SOURCES)
SMD_LIBS := $(LINK_LIBS) -levent_extra -ljson-c -lsqlite3 $(SETTINGS_LIBS)

$(call program,tether-smd,$(sort $(SMD_SOURCES)),$(SMD_LIBS))

AUTHORITY_DIRECTORY_SOURCES := notifier/base/file.c sm-side/authority_directory.c sm-side/issued.c $(AUTHORITY_SOURCES) notifier/peer_identity.c
CLI_SOURCES := sm-side/cli.c sm-side/cli_ask.c sm-side/cli_migrate.c sm-side/cli_plan.c sm-side/cli_evacuate.c sm-side/cli_vm.c sm-side/cli_lists.c sm-side/cli_agents.c sm-side/cli_run.c \
	sm-side/cli_cert.c $(AUTHORITY_DIRECTORY_SOURCES) sm-side/migration_table.c $(JSON_SOURCES) $(NAME_SOURCES)
$(B)/obj/sm-side/cli_run.o: CPPFLAGS += -DTETHER_LIBDIR='"$(LIBDIR)"' \
	-DTETHER_LIBDIR_FROM_BIN='"$(shell realpath -ms --relative-to=$(PREFIX)/bin $(LIBDIR))"'

$(call program,tether,$(CLI_SOURCES),-lcurl -ljson-c -lcrypto)

$(call unit_test,smd_issued,sm-side/issued.c notifier/peer_identity.c $(NAME_SOURCES))
$(call unit_test,smd_migration,$(MIGRATION_SOURCES),-lprotobuf-c)
$(call unit_test,smd_vm_change,$(MIGRATION_SOURCES),-lprotobuf-c)
$(call unit_test,smd_vm_roads,$(MIGRATION_SOURCES),-lprotobuf-c)
$(call unit_test,smd_roads,$(MIGRATION_SOURCES),-lprotobuf-c)
$(call unit_test,smd_answers,$(MIGRATION_SOURCES),-lprotobuf-c)
$(call unit_test,smd_roll_call,sm-side/roll_call.c $(WIRE_SOURCES),-lprotobuf-c)
$(call unit_test,smd_setbacks,sm-side/sm_talk.c sm-side/sm_paths.c $(JSON_SOURCES) $(MIGRATION_SOURCES),-ljson-c -lprotobuf-c)
$(call unit_test,smd_journal,tests/unit/smd_journal_hand.c $(JOURNAL_SOURCES) $(LEDGER_SOURCES),-lsqlite3 -ljson-c -lprotobuf-c)
$(call unit_test,smd_journal_refused,tests/unit/smd_journal_hand.c $(JOURNAL_SOURCES) $(LEDGER_SOURCES),-lsqlite3 -ljson-c -lprotobuf-c)
$(call unit_test,smd_record,sm-side/record.c sm-side/plan_evidence.c $(JSON_SOURCES) $(MIGRATION_SOURCES),-ljson-c -lprotobuf-c)
$(call unit_test,smd_ledger,$(LEDGER_SOURCES),-ljson-c -lprotobuf-c)
$(call unit_test,smd_orders,sm-side/sm_talk.c sm-side/sm_paths.c $(JSON_SOURCES) $(MIGRATION_SOURCES),-ljson-c -lprotobuf-c)
$(call unit_test,smd_admission,sm-side/admission.c sm-side/inventory.c sm-side/whereabouts.c \
	notifier/interest.c $(MIGRATION_SOURCES),-lprotobuf-c)
$(call unit_test,smd_dynamic,sm-side/admission.c sm-side/inventory.c notifier/interest.c sm-side/sm_talk.c sm-side/sm_paths.c $(JSON_SOURCES) \
	$(MIGRATION_SOURCES),-ljson-c -lprotobuf-c)
$(call unit_test,smd_shared_port,sm-side/numbers.c sm-side/shared_event.c sm-side/sm_talk.c sm-side/sm_paths.c $(JSON_SOURCES) \
	$(MIGRATION_SOURCES) notifier/interest.c $(FRAME_SOURCES),-ljson-c -lprotobuf-c)
$(call unit_test,smd_agents,sm-side/agents.c sm-side/agents_json.c $(JSON_SOURCES) $(WIRE_SOURCES),-ljson-c -lprotobuf-c)
$(call unit_test,smd_directory,$(DIRECTORY_SOURCES) $(NAME_SOURCES) $(JOURNAL_SOURCES) $(LEDGER_SOURCES),-lsqlite3 -ljson-c -lprotobuf-c)
$(call unit_test,smd_directory_endpoints,$(DIRECTORY_SOURCES) $(NAME_SOURCES) sm-side/directory_endpoints.c sm-side/inventory.c $(LEDGER_SOURCES),-ljson-c -lprotobuf-c)
$(call unit_test,smd_outbox,sm-side/outbox.c $(WIRE_SOURCES),-lprotobuf-c)
$(call unit_test,smd_questions,sm-side/questions.c sm-side/numbers.c notifier/interest.c $(FRAME_SOURCES),-lprotobuf-c)
EVACUATION_SOURCES := sm-side/plan_json.c sm-side/evacuation_json.c sm-side/evacuation.c sm-side/evacuation_record.c sm-side/evacuation_room.c \
	sm-side/admission.c sm-side/inventory.c
$(call unit_test,smd_evacuation,sm-side/evacuation.c sm-side/evacuation_room.c sm-side/admission.c sm-side/inventory.c \
	notifier/interest.c $(LEDGER_SOURCES),-ljson-c -lprotobuf-c)
VM_SOURCES := sm-side/vm_change_json.c sm-side/vm_admission.c sm-side/vm_talk.c $(NAME_SOURCES)
$(call unit_test,smd_vm_admission,$(VM_SOURCES) sm-side/admission.c sm-side/inventory.c notifier/interest.c $(LEDGER_SOURCES),-ljson-c -lprotobuf-c)
$(call unit_test,smd_vm_requests,$(VM_SOURCES) sm-side/admission.c sm-side/inventory.c notifier/interest.c $(LEDGER_SOURCES),-ljson-c -lprotobuf-c)
$(call unit_test,smd_requests,$(EVACUATION_SOURCES) notifier/interest.c $(LEDGER_SOURCES),-ljson-c -lprotobuf-c)
$(call unit_test,smd_api,$(sort sm-side/api_json.c sm-side/plan_json.c sm-side/smd_settings.c sm-side/inventory.c $(SETTINGS_SOURCES) \
	$(LINK_SOURCES) $(LEDGER_SOURCES)),-ljson-c $(LINK_LIBS))
$(call fuzzer,smd_texts,sm-side/api_json.c sm-side/plan_json.c sm-side/inventory.c sm-side/sm_talk.c sm-side/sm_paths.c sm-side/plan_evidence.c $(JSON_SOURCES) \
	$(filter-out gen/%,$(MIGRATION_SOURCES)) $(B)/gen/tether.pb-c.c,-ljson-c -lprotobuf-c)
$(call fuzzer,smd_requests,$(VM_SOURCES) $(EVACUATION_SOURCES) notifier/interest.c $(filter-out gen/%,$(LEDGER_SOURCES)) $(B)/gen/tether.pb-c.c,-ljson-c -lprotobuf-c)
$(call fuzzer,smd_settings,sm-side/smd_settings.c $(LINK_FUZZ_SOURCES),$(LINK_LIBS))
$(call fuzzer,issued,sm-side/issued.c notifier/peer_identity.c $(NAME_SOURCES))
$(call fuzzer,journal_file,$(JOURNAL_SOURCES) $(filter-out gen/%,$(LEDGER_SOURCES)) $(B)/gen/tether.pb-c.c,-lsqlite3 -ljson-c -lprotobuf-c)

# ---- end of daemon -----------------------------------------------------------------------------------------------

# ---- plugin ------------------------------------------------------------------------------------------------------

CFLAGS_sm-side := -isystem /usr/include/infiniband

PLAN_SOURCES := $(sort $(wildcard sm-side/plan/*.c))

PLUGIN_SOURCES := sm-side/osm_plugin.c sm-side/plugin_options.c sm-side/plugin_ops.c sm-side/report_notices.c notifier/wire/notice.c sm-side/alias_move.c sm-side/osm_model.c sm-side/osm_ports.c sm-side/sweep_lease.c sm-side/reread.c \
	sm-side/lease_table.c sm-side/move_turns.c sm-side/move_work.c sm-side/move_group.c sm-side/identity_moves.c sm-side/move_waves.c sm-side/move_tops.c sm-side/move_ends.c sm-side/identity_move.c sm-side/identity_sides.c sm-side/enforced_pkeys.c sm-side/linear_top.c sm-side/unacknowledged.c sm-side/identity_verify.c sm-side/smp_sender_opensm.c sm-side/plan_store.c sm-side/plan_maker.c sm-side/osm_lids.c \
	sm-side/sm_request.c sm-side/sm_answer.c sm-side/sm_server.c sm-side/json_read.c sm-side/guid_text.c notifier/base/die_point.c $(PLAN_SOURCES)

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
$(call unit_test,plan_store,sm-side/plan_store.c $(PLAN_SOURCES))
$(call unit_test,plugin_options,sm-side/plugin_options.c $(PLAN_SOURCES))
$(B)/obj/tests/unit/plugin_enforced_pkeys.o: CPPFLAGS += -isystem /usr/include/infiniband
$(call unit_test,plugin_enforced_pkeys,sm-side/enforced_pkeys.c sm-side/osm_model.c $(PLAN_SOURCES),-losmcomp)
SM_PROTOCOL_SOURCES := sm-side/sm_request.c sm-side/sm_answer.c sm-side/json_read.c sm-side/guid_text.c sm-side/plan/refusal.c \
	sm-side/plan/view_fault.c sm-side/plan/words.c
$(call unit_test,sm_request,$(SM_PROTOCOL_SOURCES),-ljson-c)
$(call unit_test,sm_answer,$(SM_PROTOCOL_SOURCES),-ljson-c)
$(call fuzzer,sm_request,$(SM_PROTOCOL_SOURCES),-ljson-c)
$(B)/obj/tests/unit/sm_sender.o: CPPFLAGS += -isystem /usr/include/infiniband
$(call unit_test,sm_sender,sm-side/smp_sender_opensm.c,-lpthread)
$(call unit_test,sm_server,sm-side/sm_server.c,-lpthread)
$(call unit_test,plugin_lease_table,sm-side/lease_table.c $(PLAN_SOURCES))
$(call unit_test,plugin_turns,sm-side/move_turns.c $(PLAN_SOURCES),-lpthread)

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
