# What simfabric is made of, for its own programs and for tests that link rooms of it.

# A queue pair's transport, without any I/O.
QUEUE_PAIR_SOURCES := $(addprefix tests/simfabric/,address_handle.c completion_queue.c datagram.c local_work.c memory_keys.c \
	memory_windows.c packet.c qp_states.c queue_pair_engine.c request_packets.c requester.c requester_answers.c \
	requester_completions.c responder.c responses.c scatter_gather.c unreliable.c work_queue.c xrc.c)
# The data plane's part of the shared file.
DATA_PLANE_SOURCES := $(addprefix tests/simfabric/,data_faults.c packet_ring.c qp_faults.c qpn_table.c)

FABRIC_SOURCES := $(DATA_PLANE_SOURCES) tests/simfabric/packet.c $(addprefix tests/simfabric/,attach.c clients.c counters.c event_heap.c \
	fault_points.c forward.c gsi.c issm.c links.c mad_delivery.c mad_faults.c mailbox.c messages.c mkey.c net_file.c net_lines.c \
	perf_agent.c process.c shared_file.c slots.c sma.c sma_port_info.c sma_switch.c sma_tables.c smi.c topology.c traps.c)

# The software HCA and its libibverbs face.
VERBS_FACE_SOURCES := $(sort $(wildcard tests/simfabric/hca*.c tests/simfabric/verbs_face*.c))
