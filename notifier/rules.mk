# notifier: tether-agent, and what other folders share: wire/ and base/.

$(B)/gen/tether.pb-c.c $(B)/gen/tether.pb-c.h &: notifier/wire/tether.proto | $(B)/deps.stamp
	@mkdir -p $(B)/gen
	$(Q)protoc-c --proto_path=notifier/wire --c_out=$(B)/gen tether.proto

WIRE_SOURCES := gen/tether.pb-c.c notifier/wire/message.c
BASE_SOURCES := notifier/base/log.c notifier/base/deadlines.c notifier/base/die_point.c
# Apart: libtether.so reads no files and shall not need the library.
SETTINGS_SOURCES := notifier/base/settings.c notifier/base/folder.c notifier/metrics_address.c
SETTINGS_LIBS := -linih
# Nor does it call anybody anything.
NAME_SOURCES := notifier/base/name.c

# What other programs link: a link's frames and tables, the link itself, the relay.
FRAME_SOURCES := notifier/wire/frame.c notifier/wire/rows.c notifier/wire/answer.c $(WIRE_SOURCES)
CREDENTIALS_SOURCES := notifier/peer_identity.c notifier/certificate.c notifier/tls_refusal.c notifier/credentials_files.c \
	notifier/credentials.c
LINK_SOURCES := notifier/connection.c notifier/connection_traffic.c notifier/rate.c notifier/shared_rates.c notifier/refusal_log.c notifier/byte_queue.c notifier/channel.c \
	notifier/channel_socket.c notifier/channel_unix.c notifier/channel_tls.c notifier/tcp_address.c notifier/channel_virtio.c \
	notifier/channel_vsock.c notifier/session.c notifier/listener.c notifier/acceptor.c $(CREDENTIALS_SOURCES) $(FRAME_SOURCES) \
	$(BASE_SOURCES) $(SETTINGS_SOURCES) $(NAME_SOURCES)
RELAY_SOURCES := notifier/relay.c notifier/relay_events.c notifier/relay_handing.c notifier/relay_answers.c \
	notifier/relay_children.c notifier/relay_ended.c notifier/relay_behind.c notifier/relay_returning.c notifier/relay_renewal.c notifier/relay_absence.c notifier/relay_numbers.c notifier/relay_moved.c notifier/relay_quarantine.c notifier/relay_reports.c \
	notifier/relay_places.c notifier/relay_partitions.c notifier/vm_places.c \
	notifier/children.c notifier/host_behind.c \
	notifier/registration.c notifier/requests.c notifier/registration_replies.c notifier/registration_above.c notifier/registration_hello.c notifier/registration_partitions.c \
	notifier/barrier.c notifier/interest.c notifier/tally.c notifier/name_hash.c notifier/name_index.c notifier/vm_names.c notifier/answer_merge.c notifier/answer_claims.c notifier/row_claims.c notifier/lid_claims.c notifier/number_scope.c
# Whoever is told how a daemon is: Prometheus, the service manager.
METRICS_SOURCES := notifier/metrics_text.c notifier/metrics_server.c notifier/agent_metrics.c notifier/tls_metrics.c notifier/http_listener.c
SERVICE_SOURCES := notifier/base/service.c notifier/base/watchdog.c
LINK_LIBS := -levent_core -lprotobuf-c -lssl -lcrypto $(SETTINGS_LIBS)

$(call unit_test,base_die_point,notifier/base/die_point.c,)
$(call unit_test,base_service,notifier/base/service.c,)
$(call unit_test,notifier_metrics,notifier/metrics_text.c notifier/notice_metrics.c notifier/agent_metrics.c $(SETTINGS_SOURCES) $(WIRE_SOURCES),\
	-lprotobuf-c $(SETTINGS_LIBS))
$(call unit_test,base_name,$(NAME_SOURCES),)
$(call unit_test,notifier_notice,notifier/wire/notice.c,)
$(call unit_test,notifier_notice_watch,notifier/notice_watch.c,)
$(call unit_test,notifier_subscription,notifier/subscription.c,)
$(call unit_test,notifier_frame,$(FRAME_SOURCES),-lprotobuf-c)
RELAY_TEST_SOURCES := tests/unit/relay_harness.c $(RELAY_SOURCES) $(FRAME_SOURCES)
$(call unit_test,notifier_relay,$(RELAY_TEST_SOURCES),-lprotobuf-c)
$(call unit_test,notifier_children,$(RELAY_TEST_SOURCES),-lprotobuf-c)
$(call unit_test,notifier_guest,$(RELAY_TEST_SOURCES),-lprotobuf-c)
$(call unit_test,notifier_absence,$(RELAY_TEST_SOURCES),-lprotobuf-c)
$(call unit_test,notifier_reports,$(RELAY_TEST_SOURCES),-lprotobuf-c)
$(call unit_test,notifier_answers,$(RELAY_TEST_SOURCES),-lprotobuf-c)
$(call unit_test,notifier_hostile,$(RELAY_TEST_SOURCES),-lprotobuf-c)
$(call unit_test,notifier_quotas,$(RELAY_SOURCES) $(FRAME_SOURCES),-lprotobuf-c)
$(call unit_test,notifier_registration,$(RELAY_TEST_SOURCES),-lprotobuf-c)
$(call unit_test,notifier_barrier,$(RELAY_TEST_SOURCES),-lprotobuf-c)
$(call unit_test,notifier_quarantine,$(RELAY_TEST_SOURCES),-lprotobuf-c)
$(call unit_test,notifier_row_claims,$(RELAY_TEST_SOURCES),-lprotobuf-c)
TREE_TEST_SOURCES := tests/unit/relay_tree.c tests/unit/tree_letters.c $(RELAY_SOURCES) $(FRAME_SOURCES)
DEEP_TREE_TEST_SOURCES := tests/unit/deep_tree.c tests/unit/tree_events.c $(TREE_TEST_SOURCES)
$(call unit_test,notifier_tree,$(DEEP_TREE_TEST_SOURCES),-lprotobuf-c)
$(call unit_test,notifier_tree_hosts,$(DEEP_TREE_TEST_SOURCES),-lprotobuf-c)
$(call unit_test,notifier_tree_moved,$(DEEP_TREE_TEST_SOURCES),-lprotobuf-c)
$(call unit_test,notifier_tree_places,$(DEEP_TREE_TEST_SOURCES),-lprotobuf-c)
$(call unit_test,notifier_any_tree,tests/unit/tree_events.c $(TREE_TEST_SOURCES),-lprotobuf-c)
$(call unit_test,notifier_votes,tests/unit/tree_events.c $(TREE_TEST_SOURCES),-lprotobuf-c)
$(call unit_test,notifier_races,$(TREE_TEST_SOURCES),-lprotobuf-c)
$(call unit_test,notifier_name_index,notifier/name_index.c notifier/name_hash.c,)
$(call unit_test,notifier_vm_names,notifier/vm_names.c notifier/name_index.c notifier/name_hash.c,)
$(call unit_test,notifier_vm_places,notifier/vm_places.c notifier/name_hash.c $(WIRE_SOURCES),-lprotobuf-c)
$(call unit_test,notifier_foreign_vms,$(RELAY_TEST_SOURCES),-lprotobuf-c)
$(call unit_test,notifier_foreign_partition,$(RELAY_TEST_SOURCES),-lprotobuf-c)
$(call unit_test,notifier_lid_claims,$(RELAY_TEST_SOURCES),-lprotobuf-c)
$(call unit_test,notifier_partitions,$(RELAY_TEST_SOURCES),-lprotobuf-c)
$(call unit_test,notifier_places,$(RELAY_TEST_SOURCES),-lprotobuf-c)
$(call unit_test,notifier_interest,notifier/interest.c $(WIRE_SOURCES),-lprotobuf-c)
$(call unit_test,notifier_requests,notifier/requests.c notifier/interest.c $(WIRE_SOURCES),-lprotobuf-c)
$(call unit_test,notifier_base,$(BASE_SOURCES) $(SETTINGS_SOURCES),$(SETTINGS_LIBS))

AGENT_SOURCES := notifier/agent_main.c notifier/agent_settings.c notifier/agent_credentials.c notifier/agent_relay.c notifier/agent_report.c notifier/host_role.c notifier/host_orders.c \
	notifier/relay_role.c notifier/agent_links.c \
	notifier/host_inventory.c notifier/guest_role.c notifier/guest_links.c notifier/guest_channel.c notifier/vm_links.c \
	notifier/epoch_file.c notifier/base/file.c notifier/driver.c notifier/driver_exec.c \
	notifier/driver_output.c notifier/driver_keeper.c $(NAME_SOURCES)
NOTICE_SOURCES := notifier/host_signal.c notifier/notice_metrics.c notifier/notice_watch.c notifier/subscription.c notifier/mad_port.c notifier/wire/notice.c
$(call program,tether-agent,$(AGENT_SOURCES) $(NOTICE_SOURCES) $(RELAY_SOURCES) $(LINK_SOURCES) $(BASE_SOURCES) $(SETTINGS_SOURCES) \
	$(METRICS_SOURCES) $(SERVICE_SOURCES),$(LINK_LIBS) $(SETTINGS_LIBS) -levent_extra -ljson-c -libumad)

# A private CA; tether and tests.
AUTHORITY_SOURCES := sm-side/authority.c

$(call unit_test,notifier_rate,notifier/rate.c notifier/shared_rates.c notifier/refusal_log.c $(BASE_SOURCES),)
$(call unit_test,notifier_connection,$(LINK_SOURCES),$(LINK_LIBS))
$(call unit_test,notifier_channel,$(LINK_SOURCES),$(LINK_LIBS))
$(call unit_test,notifier_channel_virtio,$(LINK_SOURCES),$(LINK_LIBS))
$(call unit_test,notifier_port_links,$(LINK_SOURCES),$(LINK_LIBS))
$(call unit_test,notifier_guest_links,notifier/guest_links.c notifier/guest_channel.c $(RELAY_SOURCES) $(LINK_SOURCES),\
	$(LINK_LIBS) $(foreach f,connect settings_set destroy,-Xlinker --wrap=connection_$(f)))
$(call unit_test,notifier_listener,tests/unit/tls_place.c $(AUTHORITY_SOURCES) $(LINK_SOURCES),$(LINK_LIBS))
$(call unit_test,notifier_tls,tests/unit/tls_link.c tests/unit/tls_place.c $(AUTHORITY_SOURCES) $(LINK_SOURCES),$(LINK_LIBS))
$(call unit_test,notifier_tls_reload,tests/unit/tls_link.c tests/unit/tls_place.c $(AUTHORITY_SOURCES) $(LINK_SOURCES),$(LINK_LIBS))
$(call unit_test,notifier_certificate,notifier/peer_identity.c notifier/certificate.c $(AUTHORITY_SOURCES) $(NAME_SOURCES),-lcrypto)
$(call unit_test,notifier_session,notifier/session.c,)
$(call unit_test,notifier_driver,notifier/driver.c notifier/driver_exec.c notifier/driver_output.c notifier/driver_keeper.c \
	notifier/host_inventory.c notifier/guest_channel.c $(NAME_SOURCES) $(WIRE_SOURCES),-levent_core -lprotobuf-c -ljson-c)

FRAME_FUZZ_SOURCES := $(patsubst gen/%,$(B)/gen/%,$(FRAME_SOURCES))
$(call fuzzer,frame,$(FRAME_FUZZ_SOURCES),-lprotobuf-c)
$(call fuzzer,frame_relay,$(RELAY_SOURCES) $(FRAME_FUZZ_SOURCES),-lprotobuf-c)
$(call fuzzer,driver_output,notifier/driver_output.c notifier/host_inventory.c notifier/guest_channel.c $(NAME_SOURCES) $(FRAME_FUZZ_SOURCES),\
	-ljson-c -lprotobuf-c)
$(call fuzzer,session,notifier/session.c,)
$(call fuzzer,notice,notifier/wire/notice.c,)
LINK_FUZZ_SOURCES := $(patsubst gen/%,$(B)/gen/%,$(LINK_SOURCES))
$(call fuzzer,agent_settings,notifier/guest_channel.c notifier/mad_port.c notifier/wire/notice.c $(LINK_FUZZ_SOURCES),\
	$(LINK_LIBS) -libumad)
$(call fuzzer,settings,$(SETTINGS_SOURCES) notifier/base/deadlines.c,$(SETTINGS_LIBS))
$(call fuzzer,certificate,notifier/peer_identity.c notifier/certificate.c $(NAME_SOURCES),-lcrypto)
