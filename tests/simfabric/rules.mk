# simfabric: an InfiniBand fabric in one shared-memory file.

FABRIC_SOURCES := $(addprefix tests/simfabric/,attach.c clients.c fault_points.c forward.c net_file.c process.c shared_file.c \
	topology.c)

$(call unit_test,simfabric_net_file,tests/simfabric/net_file.c,)
$(call unit_test,simfabric_forward,$(FABRIC_SOURCES),)
