# notifier: tether-agent, and what other folders share: wire/ and base/.

$(B)/gen/tether.pb-c.c $(B)/gen/tether.pb-c.h &: notifier/wire/tether.proto | $(B)/deps.stamp
	@mkdir -p $(B)/gen
	$(Q)protoc-c --proto_path=notifier/wire --c_out=$(B)/gen tether.proto

# The contract that the oldest neighbour speaks, for the test that compares.
$(B)/gen/tether_6.pb-c.c: tests/unit/tether_6.proto | $(B)/deps.stamp
	@mkdir -p $(B)/gen
	$(Q)protoc-c --proto_path=tests/unit --c_out=$(B)/gen tether_6.proto

WIRE_SOURCES := gen/tether.pb-c.c notifier/wire/message.c notifier/wire/message_equal.c notifier/wire/pieces.c \
	notifier/wire/versions.c notifier/wire/fit.c notifier/wire/gid_name.c notifier/wire/rows.c
BASE_SOURCES := notifier/base/log.c notifier/base/deadlines.c notifier/base/die_point.c
# Apart: libtether.so reads no files and shall not need the library.
SETTINGS_SOURCES := notifier/base/settings.c notifier/base/folder.c notifier/metrics/metrics_address.c
SETTINGS_LIBS := -linih
# Nor does it call anybody anything.
NAME_SOURCES := notifier/base/name.c
GID_SOURCES := notifier/wire/gid_name.c notifier/wire/rows.c
INTEREST_SOURCES := notifier/relay/interest.c notifier/relay/gid_book.c notifier/relay/name_hash.c $(GID_SOURCES)

# What other programs link: a link's frames and tables, the link itself, the relay.
FRAME_SOURCES := notifier/wire/frame.c notifier/wire/repeats.c notifier/wire/byte_queue.c notifier/wire/rows.c notifier/wire/gid_name.c notifier/wire/context_lids.c notifier/wire/answer.c $(WIRE_SOURCES)
CREDENTIALS_SOURCES := $(addprefix notifier/certificates/,peer_identity.c certificate.c tls_refusal.c credentials_files.c \
	credentials.c sessions.c)
LINK_SOURCES := $(addprefix notifier/link/,connection.c connection_traffic.c connection_repeats.c rate.c shared_rates.c refusal_log.c \
	listener.c acceptor.c) $(addprefix notifier/channel/,channel.c channel_socket.c channel_unix.c channel_tls.c tcp_address.c \
	channel_virtio.c channel_vsock.c session.c) $(CREDENTIALS_SOURCES) $(FRAME_SOURCES) $(BASE_SOURCES) $(SETTINGS_SOURCES) \
	$(NAME_SOURCES)
RELAY_SOURCES := $(addprefix notifier/relay/,relay.c relay_events.c relay_handing.c relay_answers.c relay_links.c relay_hello.c relay_children.c relay_ended.c \
	relay_behind.c relay_returning.c relay_renewal.c relay_absence.c relay_numbers.c relay_moved.c relay_partings.c relay_quarantine.c \
	relay_reports.c relay_versions.c relay_holders.c relay_missed.c relay_guests.c relay_places.c relay_partitions.c vm_places.c children.c host_behind.c registration.c requests.c \
	registration_replies.c registration_above.c registration_hello.c registration_partitions.c barrier.c interest.c gid_book.c tally.c tally_merge.c \
	name_hash.c name_index.c name_table.c vm_names.c roster.c answer_merge.c answer_claims.c row_claims.c lid_claims.c number_scope.c)
# Whoever is told how a daemon is: Prometheus, the service manager.
METRICS_SOURCES := $(addprefix notifier/metrics/,metrics_text.c metrics_server.c agent_metrics.c tls_metrics.c) \
	notifier/link/http_listener.c
SERVICE_SOURCES := notifier/base/service.c notifier/base/watchdog.c
LINK_LIBS := -levent_core -lprotobuf-c -lssl -lcrypto $(SETTINGS_LIBS)

$(call unit_test,base_die_point,notifier/base/die_point.c,)
HOLDERS_SOURCES := notifier/base/device_holders.c notifier/base/device_place.c
$(call unit_test,base_device_holders,$(HOLDERS_SOURCES),)
$(call unit_test,base_service,notifier/base/service.c,)
$(call unit_test,notifier_metrics,notifier/metrics/metrics_text.c notifier/notices/notice_metrics.c notifier/metrics/agent_metrics.c $(SETTINGS_SOURCES) $(WIRE_SOURCES),\
	-lprotobuf-c $(SETTINGS_LIBS))
$(call unit_test,base_name,$(NAME_SOURCES),)
$(call unit_test,base_file,notifier/base/file.c,)
$(call unit_test,notifier_message,$(WIRE_SOURCES),-lprotobuf-c -Xlinker --wrap=malloc)
$(call unit_test,notifier_notice,notifier/wire/notice.c,)
$(call unit_test,notifier_notice_watch,notifier/notices/notice_watch.c,)
$(call unit_test,notifier_subscription,notifier/notices/subscription.c,)
$(call unit_test,notifier_frame,$(FRAME_SOURCES),-lprotobuf-c)
$(call unit_test,notifier_repeats,$(FRAME_SOURCES),-lprotobuf-c)
$(call unit_test,notifier_repeats_bounds,$(FRAME_SOURCES),-lprotobuf-c)
RELAY_TEST_SOURCES := tests/unit/relay_harness.c tests/unit/relay_said.c $(RELAY_SOURCES) $(FRAME_SOURCES)
$(call unit_test,notifier_relay,$(RELAY_TEST_SOURCES),-lprotobuf-c)
$(call unit_test,notifier_partings,$(RELAY_TEST_SOURCES),-lprotobuf-c)
$(call unit_test,notifier_children,$(RELAY_TEST_SOURCES),-lprotobuf-c)
$(call unit_test,notifier_guest,$(RELAY_TEST_SOURCES),-lprotobuf-c)
$(call unit_test,notifier_absence,$(RELAY_TEST_SOURCES),-lprotobuf-c)
$(call unit_test,notifier_missed,$(RELAY_TEST_SOURCES),-lprotobuf-c)
$(call unit_test,notifier_reports,$(RELAY_TEST_SOURCES),-lprotobuf-c)
$(call unit_test,notifier_answers,$(RELAY_TEST_SOURCES),-lprotobuf-c)
$(call unit_test,notifier_hostile,$(RELAY_TEST_SOURCES),-lprotobuf-c)
$(call unit_test,notifier_quotas,$(RELAY_SOURCES) $(FRAME_SOURCES),-lprotobuf-c)
$(call unit_test,notifier_registration,$(RELAY_TEST_SOURCES),-lprotobuf-c)
$(call unit_test,notifier_barrier,$(RELAY_TEST_SOURCES),-lprotobuf-c)
$(call unit_test,notifier_freed,$(RELAY_TEST_SOURCES),-lprotobuf-c -Xlinker --wrap=barriers_hold)
$(call unit_test,notifier_quarantine,$(RELAY_TEST_SOURCES),-lprotobuf-c)
$(call unit_test,notifier_neighbours,$(RELAY_TEST_SOURCES),-lprotobuf-c)
$(call unit_test,notifier_holders,$(RELAY_TEST_SOURCES),-lprotobuf-c)
$(call unit_test,notifier_row_claims,$(RELAY_TEST_SOURCES),-lprotobuf-c)
TREE_TEST_SOURCES := $(addprefix tests/unit/,relay_tree.c tree_owners.c tree_letters.c tree_delivery.c) $(RELAY_SOURCES) $(FRAME_SOURCES)
DEEP_TREE_TEST_SOURCES := tests/unit/deep_tree.c tests/unit/tree_events.c $(TREE_TEST_SOURCES)
$(call unit_test,notifier_tree,$(DEEP_TREE_TEST_SOURCES),-lprotobuf-c)
$(call unit_test,notifier_tree_hosts,$(DEEP_TREE_TEST_SOURCES),-lprotobuf-c)
$(call unit_test,notifier_tree_moved,$(DEEP_TREE_TEST_SOURCES),-lprotobuf-c)
$(call unit_test,notifier_tree_places,$(DEEP_TREE_TEST_SOURCES),-lprotobuf-c)
$(call unit_test,notifier_any_tree,tests/unit/tree_chance.c tests/unit/tree_events.c $(TREE_TEST_SOURCES),-lprotobuf-c)
$(call unit_test,notifier_votes,tests/unit/tree_chance.c tests/unit/tree_events.c $(TREE_TEST_SOURCES),-lprotobuf-c)
$(call unit_test,notifier_races,$(TREE_TEST_SOURCES),-lprotobuf-c)
$(call unit_test,notifier_name_index,notifier/relay/name_index.c notifier/relay/name_hash.c,)
$(call unit_test,notifier_versions,gen/tether_6.pb-c.c $(WIRE_SOURCES),-lprotobuf-c)
$(call unit_test,notifier_gid_name,notifier/wire/gid_name.c notifier/wire/rows.c gen/tether.pb-c.c,-lprotobuf-c)
$(call unit_test,notifier_message_equal,$(WIRE_SOURCES),-lprotobuf-c)
$(call unit_test,notifier_name_table,notifier/relay/name_table.c notifier/relay/name_hash.c,)
$(call unit_test,notifier_roster,$(addprefix notifier/relay/,roster.c vm_names.c name_index.c name_hash.c),)
$(call unit_test,notifier_vm_names,notifier/relay/vm_names.c notifier/relay/name_index.c notifier/relay/name_hash.c,)
$(call unit_test,notifier_vm_places,notifier/relay/vm_places.c notifier/relay/name_hash.c $(WIRE_SOURCES),-lprotobuf-c)
$(call unit_test,notifier_foreign_vms,$(RELAY_TEST_SOURCES),-lprotobuf-c)
$(call unit_test,notifier_foreign_partition,$(RELAY_TEST_SOURCES),-lprotobuf-c)
$(call unit_test,notifier_gid_claims,$(RELAY_TEST_SOURCES),-lprotobuf-c)
$(call unit_test,notifier_gid_book,notifier/relay/gid_book.c notifier/relay/name_hash.c notifier/wire/gid_name.c notifier/wire/rows.c gen/tether.pb-c.c,-lprotobuf-c)
$(call unit_test,notifier_lid_claims,$(RELAY_TEST_SOURCES),-lprotobuf-c)
$(call unit_test,notifier_partitions,$(RELAY_TEST_SOURCES),-lprotobuf-c)
$(call unit_test,notifier_places,$(RELAY_TEST_SOURCES),-lprotobuf-c)
$(call unit_test,notifier_interest,$(INTEREST_SOURCES) $(WIRE_SOURCES),-lprotobuf-c)
$(call unit_test,notifier_requests,notifier/relay/requests.c $(INTEREST_SOURCES) $(WIRE_SOURCES),-lprotobuf-c)
$(call unit_test,notifier_base,$(BASE_SOURCES) $(SETTINGS_SOURCES),$(SETTINGS_LIBS))

QMP_SETTINGS_SOURCES := $(addprefix notifier/qmp/,qmp_settings.c qmp_settings_complete.c qmp_device.c)
QMP_ORDER_SOURCES := $(addprefix notifier/qmp/,qmp_order.c qmp_order_devices.c qmp_order_move.c qmp_seen.c qmp_message.c) $(QMP_SETTINGS_SOURCES)
QMP_SOURCES := $(addprefix notifier/qmp/,driver_qmp.c qmp_client.c qmp_lines.c qmp_talk.c qmp_stock.c qmp_inventory.c qmp_known.c \
	qmp_watch.c qmp_mark.c) $(QMP_ORDER_SOURCES)

AGENT_SOURCES := $(addprefix notifier/,agent_main.c agent_settings.c agent_credentials.c agent_holders.c agent_relay.c agent_report.c host_role.c \
	host_orders.c host_stock.c relay_role.c guest_role.c epoch_file.c) $(addprefix notifier/link/,agent_links.c guest_links.c \
	guest_channel.c vm_links.c) $(addprefix notifier/driver/,host_inventory.c host_inventory_keep.c driver.c driver_exec.c driver_output.c \
	driver_keeper.c) $(QMP_SOURCES) notifier/base/file.c $(HOLDERS_SOURCES) $(NAME_SOURCES)
NOTICE_SOURCES := $(addprefix notifier/notices/,host_signal.c notice_metrics.c notice_watch.c subscription.c mad_port.c) \
	notifier/wire/notice.c
$(call program,tether-agent,$(AGENT_SOURCES) $(NOTICE_SOURCES) $(RELAY_SOURCES) $(LINK_SOURCES) $(BASE_SOURCES) $(SETTINGS_SOURCES) \
	$(METRICS_SOURCES) $(SERVICE_SOURCES),$(LINK_LIBS) $(SETTINGS_LIBS) -levent_extra -ljson-c -libumad)

# A private CA; tether and tests.
AUTHORITY_SOURCES := sm-side/cli/authority.c

$(call unit_test,notifier_rate,notifier/link/rate.c notifier/link/shared_rates.c notifier/link/refusal_log.c $(BASE_SOURCES),)
$(call unit_test,notifier_connection,tests/unit/link_ends.c $(LINK_SOURCES),$(LINK_LIBS))
$(call unit_test,notifier_back_off,tests/unit/link_ends.c $(LINK_SOURCES),\
	$(LINK_LIBS) $(foreach f,evutil_secure_rng_get_bytes event_add,-Xlinker --wrap=$(f)))
$(call unit_test,notifier_link_rates,tests/unit/link_ends.c $(LINK_SOURCES),$(LINK_LIBS))
$(call unit_test,notifier_link_memory,tests/unit/link_ends.c $(LINK_SOURCES),$(LINK_LIBS))
$(call unit_test,notifier_link_repeats,tests/unit/link_ends.c $(LINK_SOURCES),$(LINK_LIBS))
$(call unit_test,notifier_channel,$(LINK_SOURCES),$(LINK_LIBS))
$(call unit_test,notifier_channel_virtio,$(LINK_SOURCES),$(LINK_LIBS))
$(call unit_test,notifier_port_links,$(LINK_SOURCES),$(LINK_LIBS))
$(call unit_test,notifier_guest_links,notifier/link/guest_links.c notifier/link/guest_channel.c $(RELAY_SOURCES) $(LINK_SOURCES),\
	$(LINK_LIBS) $(foreach f,connect settings_set destroy,-Xlinker --wrap=connection_$(f)))
$(call unit_test,notifier_listener,tests/unit/tls_place.c $(AUTHORITY_SOURCES) $(LINK_SOURCES),$(LINK_LIBS))
$(call unit_test,notifier_tls,tests/unit/tls_link.c tests/unit/tls_place.c $(AUTHORITY_SOURCES) $(LINK_SOURCES),$(LINK_LIBS))
$(call unit_test,notifier_tls_reload,tests/unit/tls_link.c tests/unit/tls_place.c $(AUTHORITY_SOURCES) $(LINK_SOURCES),$(LINK_LIBS))
$(call unit_test,notifier_tls_resumed,tests/unit/tls_link.c tests/unit/tls_place.c $(AUTHORITY_SOURCES) $(LINK_SOURCES),$(LINK_LIBS))
$(call unit_test,notifier_tls_session_life,tests/unit/tls_link.c tests/unit/tls_place.c $(AUTHORITY_SOURCES) $(LINK_SOURCES),$(LINK_LIBS) -Xlinker --wrap=time)
$(call unit_test,notifier_sessions,notifier/certificates/sessions.c,-lssl -lcrypto)
$(call unit_test,notifier_tls_shown,tests/unit/tls_link.c tests/unit/tls_place.c $(AUTHORITY_SOURCES) $(LINK_SOURCES),$(LINK_LIBS))
$(call unit_test,notifier_certificate,notifier/certificates/peer_identity.c notifier/certificates/certificate.c $(AUTHORITY_SOURCES) $(NAME_SOURCES),-lcrypto)
$(call unit_test,notifier_session,notifier/channel/session.c,)
$(call unit_test,notifier_driver,notifier/driver/driver.c notifier/driver/driver_exec.c notifier/driver/driver_output.c notifier/driver/driver_keeper.c \
	notifier/driver/host_inventory.c notifier/driver/host_inventory_keep.c $(QMP_SOURCES) $(BASE_SOURCES) $(SETTINGS_SOURCES) notifier/link/guest_channel.c $(NAME_SOURCES) $(WIRE_SOURCES),\
	-levent_core -lprotobuf-c -ljson-c $(SETTINGS_LIBS))
$(call unit_test,notifier_qmp,$(QMP_ORDER_SOURCES) notifier/qmp/qmp_lines.c notifier/link/guest_channel.c $(SETTINGS_SOURCES) $(NAME_SOURCES) $(WIRE_SOURCES),\
	-lprotobuf-c -ljson-c $(SETTINGS_LIBS))

FRAME_FUZZ_SOURCES := $(patsubst gen/%,$(B)/gen/%,$(FRAME_SOURCES))
$(call fuzzer,frame,$(FRAME_FUZZ_SOURCES),-lprotobuf-c)
$(call fuzzer,frame_relay,$(RELAY_SOURCES) $(FRAME_FUZZ_SOURCES),-lprotobuf-c)
$(call fuzzer,driver_output,notifier/driver/driver_output.c notifier/driver/host_inventory.c notifier/link/guest_channel.c $(NAME_SOURCES) $(FRAME_FUZZ_SOURCES),\
	-ljson-c -lprotobuf-c)
$(call fuzzer,qmp,$(QMP_ORDER_SOURCES) notifier/qmp/qmp_lines.c notifier/link/guest_channel.c $(NAME_SOURCES) $(SETTINGS_SOURCES) $(FRAME_FUZZ_SOURCES),\
	-ljson-c -lprotobuf-c $(SETTINGS_LIBS))
$(call fuzzer,qmp_settings,$(QMP_SETTINGS_SOURCES) notifier/link/guest_channel.c $(NAME_SOURCES) $(SETTINGS_SOURCES) $(FRAME_FUZZ_SOURCES),\
	-ljson-c -lprotobuf-c $(SETTINGS_LIBS))
$(call fuzzer,session,notifier/channel/session.c,)
$(call fuzzer,notice,notifier/wire/notice.c,)
LINK_FUZZ_SOURCES := $(patsubst gen/%,$(B)/gen/%,$(LINK_SOURCES))
$(call fuzzer,agent_settings,notifier/link/guest_channel.c notifier/notices/mad_port.c notifier/wire/notice.c $(QMP_SETTINGS_SOURCES) $(LINK_FUZZ_SOURCES),\
	$(LINK_LIBS) -libumad -ljson-c)
$(call fuzzer,settings,$(SETTINGS_SOURCES) notifier/base/deadlines.c,$(SETTINGS_LIBS))
$(call fuzzer,certificate,notifier/certificates/peer_identity.c notifier/certificates/certificate.c $(NAME_SOURCES),-lcrypto)
