# simfabric: an InfiniBand fabric in one shared-memory file.

include tests/simfabric/sources.mk

UMAD_FACE_SOURCES := $(addprefix tests/simfabric/,umad_devices.c umad_face.c umad_port.c umad_requests.c)

CLI_SOURCES := $(addprefix tests/simfabric/,cli.c cli_counters.c cli_dump.c cli_fabric.c cli_faults.c cli_vms.c gmp_kinds.c)
$(call program,simfabric,$(FABRIC_SOURCES) $(CLI_SOURCES),-ljson-c -lm)

$(call unit_test,simfabric_net_file,$(addprefix tests/simfabric/,net_file.c net_lines.c),)
$(call unit_test,simfabric_forward,$(FABRIC_SOURCES),)
$(call unit_test,simfabric_sma_attributes,$(FABRIC_SOURCES) tests/unit/simfabric_smps.c,)
$(call unit_test,simfabric_sma_ports,$(FABRIC_SOURCES) tests/unit/simfabric_smps.c,)
$(call unit_test,simfabric_smi,$(FABRIC_SOURCES),)
$(call unit_test,simfabric_mailbox,$(FABRIC_SOURCES),)
$(call unit_test,simfabric_gmps,$(FABRIC_SOURCES) tests/simfabric/gmp_kinds.c,)
$(call unit_test,simfabric_umad_requests,tests/simfabric/umad_requests.c,)
$(call unit_test,simfabric_attach,$(FABRIC_SOURCES),-lpthread)
$(call unit_test,simfabric_shared_port,$(FABRIC_SOURCES),)
$(call unit_test,simfabric_dynamic_vfs,$(FABRIC_SOURCES),)
$(call unit_test,simfabric_mkey,tests/simfabric/mkey.c,)

VERBS_VERSIONS := -Wl,--version-script=tests/simfabric/verbs_face.map

$(call library,libsimfabric.so,$(sort $(FABRIC_SOURCES) $(QUEUE_PAIR_SOURCES) $(VERBS_FACE_SOURCES) $(UMAD_FACE_SOURCES)),\
	-lpthread,$(VERBS_VERSIONS))

# Two queue pairs on a wire that the test controls.
HCA_PAIR := tests/unit/hca_pair.c tests/unit/hca_pair_checks.c tests/simfabric/qp_faults.c $(QUEUE_PAIR_SOURCES)
$(call unit_test,hca_transfers,$(HCA_PAIR),)
$(call unit_test,hca_lost_packets,$(HCA_PAIR),)
$(call unit_test,hca_errors,$(HCA_PAIR),)
$(call unit_test,hca_leaving_rts,$(HCA_PAIR),)
$(call unit_test,hca_memory_windows,$(HCA_PAIR),)
$(call unit_test,hca_window_requests,$(HCA_PAIR),)
$(call unit_test,hca_datagram_arrivals,$(HCA_PAIR) tests/unit/hca_datagram_ends.c,)
$(call unit_test,hca_datagram_drops,$(HCA_PAIR) tests/unit/hca_datagram_ends.c,)
$(call unit_test,hca_datagram_sender,$(HCA_PAIR) tests/unit/hca_datagram_ends.c,)
$(call unit_test,hca_hostile_wire,$(HCA_PAIR),)
$(call unit_test,hca_strange_requests,$(HCA_PAIR) tests/unit/hca_by_hand.c,)
$(call unit_test,hca_strange_responses,$(HCA_PAIR) tests/unit/hca_by_hand.c,)
$(call unit_test,hca_unreliable,$(HCA_PAIR),)
$(call unit_test,hca_xrc,$(HCA_PAIR),)
$(call unit_test,hca_qp_faults,tests/simfabric/qp_faults.c tests/simfabric/packet.c,)
$(call unit_test,hca_work_states,tests/simfabric/work_state.c $(HCA_PAIR),)
$(call unit_test,hca_packet_ring,tests/simfabric/packet_ring.c tests/simfabric/fault_points.c,-lpthread)
$(call unit_test,hca_memory_keys,tests/simfabric/memory_keys.c tests/simfabric/scatter_gather.c,)
$(call unit_test,hca_data_faults,$(FABRIC_SOURCES),)
$(call unit_test,hca_completion_queue,tests/simfabric/completion_queue.c,)
$(call unit_test,hca_poll_nap,,)
$(call unit_test,hca_qp_states,tests/simfabric/qp_states.c,)
$(call program,verbs-objects,$(wildcard tests/simfabric/verbs_objects*.c),-libverbs -lpthread)
VERBS_SHELL_SOURCES := $(wildcard tests/simfabric/verbs_shell*.c)
$(call program,verbs-shell,$(VERBS_SHELL_SOURCES),-libverbs)
$(call program,loopback-verify,tests/simfabric/loopback_verify.c demo-apps/verify/device.c demo-apps/verify/process.c,-libverbs)

# Programs that are not linked with libibverbs.
$(call program,verbs-shell-by-dlopen,$(VERBS_SHELL_SOURCES) tests/simfabric/verbs_by_dlopen.c,-ldl -lpthread)
RUNPATH_OWN := -Wl,--enable-new-dtags,-rpath,'$$$$ORIGIN/own'
$(call program,no-verbs,tests/simfabric/no_verbs.c,-lpthread)
ifeq ($(SANITIZE),)
$(call program,no-verbs-static,tests/simfabric/no_verbs.c,-lpthread,-static)
endif
$(call program,dlopen-ways,tests/simfabric/dlopen_ways.c,-ldl,$(RUNPATH_OWN))

$(call fuzzer,simfabric_net_file,$(addprefix tests/simfabric/,net_file.c net_lines.c),)
$(call fuzzer,simfabric_smp,$(FABRIC_SOURCES),)
