# simfabric: an InfiniBand fabric in one shared-memory file.

# A queue pair's transport, without any I/O.
QUEUE_PAIR_SOURCES := $(addprefix tests/simfabric/,completion_queue.c memory_keys.c packet.c qp_states.c queue_pair_engine.c \
	requester.c responder.c scatter_gather.c work_queue.c)
# The data plane's part of the shared file.
DATA_PLANE_SOURCES := $(addprefix tests/simfabric/,data_faults.c packet_ring.c qpn_table.c)

FABRIC_SOURCES := $(DATA_PLANE_SOURCES) tests/simfabric/packet.c $(addprefix tests/simfabric/,attach.c clients.c fault_points.c \
	forward.c net_file.c process.c shared_file.c topology.c)

$(call unit_test,simfabric_net_file,tests/simfabric/net_file.c,)
$(call unit_test,simfabric_forward,$(FABRIC_SOURCES),)
