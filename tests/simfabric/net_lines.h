/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * The lines of a .net file, one after the other; what they say of each other is net_file.c's to
 * check when all are read. Pure.
 */
#ifndef SIMFABRIC_NET_LINES_H
#define SIMFABRIC_NET_LINES_H

#include <stddef.h>
#include <stdint.h>

#include "simfabric/net_file.h"

enum {
	NET_NAME_BUCKETS = 1 << 16,
	NET_WIDTH_4X = 2,
	NET_SPEED_SDR = 1,
	NET_MTU_256 = 1,
	NET_MTU_2048 = 4,
	NET_VLS_ALL = 4, /* VLCap: VL0 to VL7 */
};

/* What a port line says of the other end, until all nodes are known. */
struct net_cable {
	char peer[NODE_NAME_BYTES];
	uint8_t peer_port;
	unsigned line;
};

struct net_hypervisor_line {
	char name[NODE_NAME_BYTES], vswitch[NODE_NAME_BYTES], pf[NODE_NAME_BYTES];
	uint8_t shared_vfs; /* 0: behind a vSwitch */
	bool is_dynamic;
	unsigned line;
};

struct net_parser {
	const char *file;
	unsigned line;
	char *error;
	size_t error_bytes;
	struct net *net;
	struct net_cable *cables; /* beside net->ports */
	struct net_hypervisor_line *hypervisors;
	uint32_t node_space, port_space, hypervisor_space;
	uint32_t *buckets;     /* first node of a name's hash; NO_INDEX: none */
	uint32_t *next;        /* beside net->nodes */
	struct net_node *node; /* whose ports are being read; NULL: between nodes */
	unsigned ports_left;
	uint64_t guid_base[4], guid_next[4]; /* by node kind */
	uint64_t system_guid;
	uint32_t vendor_id;
	uint16_t device_id;
	uint8_t width, speed, speed_ext;
};

/* Write "FILE:LINE: ..." where the caller of net_parse wants it; -EINVAL. */
int net_fail(struct net_parser *parser, const char *format, ...)
        __attribute__((format(printf, 2, 3)));

/* Nodes, ports, GUIDs and cables as the lines give them. -EINVAL, -ENOMEM. */
int net_parse_lines(struct net_parser *parser, const char *text, size_t bytes);

/* Index of the node of that name; NO_INDEX: none. */
uint32_t net_parser_find(const struct net_parser *parser, const char *name);

#endif
