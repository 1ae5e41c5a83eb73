/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Reads topologies in ibsim's .net format and gives nodes the GUIDs that ibsim would give them, so
 * that a subnet manager computes the same tables on both. Pure but for net_file_read.
 *
 * What ibsim ignores as a comment and this room understands:
 *   #hypervisor "NAME" vswitch "SWITCH" pf "CA"   the other CAs on SWITCH are NAME's VF slots
 *   ... pf "CA" dynamic                           and are down until a VM has them (dynamic LIDs)
 *   #hypervisor "NAME" shared pf "CA" vfs N       Shared Port: N VFs NAME_vf1... on CA's first port
 *   #mtu 4096                                     MTUCap of all ports (default 2048, as ibsim's)
 * Not understood and refused: module, include, do and port aliases (@).
 */
#ifndef SIMFABRIC_NET_FILE_H
#define SIMFABRIC_NET_FILE_H

#include <stdint.h>
#include <stdio.h>

#include "simfabric/topology.h"

enum {
	NET_MAX_PORTS = 254, /* of one node: port numbers that an LFT can name, 255 means none */
	NET_MAX_NODES = 65536,
	NET_MAX_SHARED_VFS = ALIAS_GUIDS - 1, /* entry 0 is the port's own GUID */
};

struct net_port {
	uint32_t peer; /* index in ports; NO_INDEX: no cable */
	uint8_t width_enabled;
	uint8_t speed_enabled;
	uint8_t speed_ext_enabled;
};

struct net_node {
	enum node_kind kind;
	char name[NODE_NAME_BYTES];
	char description[64];
	uint64_t guid;
	uint64_t system_guid;
	uint32_t vendor_id;
	uint16_t device_id;
	uint8_t ports;
	uint8_t has_enhanced_port0;
	uint32_t first_port; /* a switch's port 0, a CA's port 1 */
};

struct net_hypervisor {
	char name[NODE_NAME_BYTES];
	uint32_t vswitch; /* nodes; NO_INDEX: Shared Port */
	uint32_t pf;
	uint8_t shared_vfs; /* of Shared Port */
	bool is_dynamic;    /* VFs are down until a VM has them */
};

struct net {
	struct net_node *nodes;
	struct net_port *ports;
	struct net_hypervisor *hypervisors;
	uint32_t node_count;
	uint32_t port_count;
	uint32_t switch_count;
	uint32_t hypervisor_count;
	uint8_t mtu_cap;  /* enum ibv_mtu */
	uint8_t oper_vls; /* as links come up: 1 is VL0, 4 is VL0 to VL7 */
};

/*
 * @error, 256 bytes or so, gets "NAME:LINE: what is wrong" when the result is not 0. -EINVAL: the
 * text is no topology; -ENOMEM.
 */
int net_parse(const char *name, const char *text, size_t bytes, struct net **net, char *error,
        size_t error_bytes);
/* Also -errno of reading the file. */
int net_file_read(const char *path, struct net **net, char *error, size_t error_bytes);
void net_destroy(struct net *net);

uint64_t net_port_guid(const struct net_node *node, unsigned number);

#endif
