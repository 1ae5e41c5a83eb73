/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Nodes, ports, switches and their tables: what the fabric is made of and what its subnet manager
 * has written into it.
 *
 * Written under the fabric's lock by the SMA rooms. forward.c and the data path read LFTs, LIDs,
 * port states, MTUs and P_Keys without it, each field whole. GUIDs are in host order, wire images
 * as on the wire.
 */
#ifndef SIMFABRIC_TOPOLOGY_H
#define SIMFABRIC_TOPOLOGY_H

#include <stdbool.h>
#include <stdint.h>

#include "simfabric/port_info.h"
#include "simfabric/shared_file.h"

enum {
	NODE_NAME_BYTES = 72,
	LFT_CAPACITY = 0xc000, /* entries; all unicast LIDs */
	LFT_BLOCK = 64,
	LFT_NO_PORT = 0xff,
	MFT_FIRST_LID = 0xc000,
	MFT_CAPACITY = 1024,
	MFT_BLOCK = 32, /* LIDs of one block, 16 ports each */
	PKEY_TABLE_SIZE = 64,
	PKEY_BLOCK = 32,
	PORT0_PKEY_TABLE_SIZE = 8,
	ALIAS_GUIDS = 32,
	VL_ARB_SIZE = 8,
	LID_PERMISSIVE = 0xffff,
};

/* The values of NodeInfo.NodeType. */
enum node_kind { NODE_CA = 1, NODE_SWITCH = 2, NODE_ROUTER = 3 };

struct node {
	char name[NODE_NAME_BYTES]; /* its id in the .net file */
	char description[64];       /* NodeDescription; not always ended by a zero */
	uint64_t guid;
	uint64_t system_guid;
	uint32_t vendor_id;
	uint16_t device_id;
	uint8_t kind;
	uint8_t ports;         /* external ones */
	uint32_t first_port;   /* a switch's port 0, a CA's port 1 */
	uint32_t switch_index; /* NO_INDEX: not a switch */
	uint32_t slot;         /* of attach.c, for a VF's CA; else NO_INDEX */
	uint32_t reserved;
};

/* What a CA's driver would hear about its port. Counted, so that every listener sees each. */
enum port_event {
	PORT_EVENT_ACTIVE,
	PORT_EVENT_ERROR,
	PORT_EVENT_LID_CHANGE,
	PORT_EVENT_PKEY_CHANGE,
	PORT_EVENT_SM_CHANGE,
	PORT_EVENT_CLIENT_REREGISTER,
	PORT_EVENT_GID_CHANGE,
	PORT_EVENT_COUNT,
};

struct port {
	uint8_t info[64]; /* PortInfo */
	uint64_t guid;
	uint64_t is_pulled; /* the cable is, by hand */
	uint64_t events[PORT_EVENT_COUNT];
	uint32_t node;
	uint32_t peer; /* the other end of the cable; NO_INDEX: none */
	uint8_t number;
	uint8_t is_issm_asked; /* somebody may hold the issm FIFO open */
	uint8_t reserved[6];
	uint64_t mkey_lease_ends_ns;     /* CLOCK_MONOTONIC; 0: no lease running */
	uint16_t pkeys[PKEY_TABLE_SIZE]; /* network order */
	uint16_t vl_arb[2][VL_ARB_SIZE]; /* low, high; as on the wire, xor the default */
};

struct fabric_switch {
	uint8_t info[64]; /* SwitchInfo */
	uint32_t node;
	uint32_t mft_positions; /* groups of 16 ports */
	uint64_t mft_offset;    /* bytes, in the MFT section */
	uint64_t sl_to_vl_offset;
};

uint32_t node_count(const struct fabric *fabric);
uint32_t port_count(const struct fabric *fabric);
uint32_t switch_count(const struct fabric *fabric);

/* NO_INDEX: none of that name. */
uint32_t node_find(const struct fabric *fabric, const char *name);
/* Port @number of a node, NO_INDEX: it has none such. A CA has no port 0. */
uint32_t node_port(const struct fabric *fabric, uint32_t node, unsigned number);

static inline bool node_is_switch(const struct node *node)
{
	return node->kind == NODE_SWITCH;
}

/* A port that LIDs lead to: a CA's, or a switch's port 0. */
static inline bool port_is_end(const struct fabric *fabric, const struct port *port)
{
	return port->number == 0 || !node_is_switch(&fabric->nodes[port->node]);
}

static inline uint8_t port_byte(const struct port *port, unsigned offset)
{
	return __atomic_load_n(&port->info[offset], __ATOMIC_RELAXED);
}

static inline enum port_state port_state(const struct port *port)
{
	return (enum port_state)(port_byte(port, 32) & 0xf);
}

static inline bool port_is_up(const struct port *port)
{
	return port_byte(port, 33) >> 4 == PORT_PHYS_LINK_UP;
}

static inline uint16_t port_lid(const struct port *port)
{
	return be16toh(
	        __atomic_load_n((const uint16_t *)(const void *)&port->info[16], __ATOMIC_RELAXED));
}

static inline uint8_t port_lmc(const struct port *port)
{
	return port_byte(port, 34) & 7;
}

/* enum ibv_mtu: 1 is 256 bytes, 5 is 4096. What the SM has set for the link. */
static inline uint8_t port_mtu(const struct port *port)
{
	return port_byte(port, 36) >> 4;
}

static inline uint64_t port_gid_prefix(const struct port *port)
{
	return be64toh(
	        __atomic_load_n((const uint64_t *)(const void *)&port->info[8], __ATOMIC_RELAXED));
}

/* Host order. */
static inline uint16_t port_pkey(const struct port *port, unsigned index)
{
	return be16toh(__atomic_load_n(&port->pkeys[index], __ATOMIC_RELAXED));
}

/* Does the port answer to @lid, counting its LMC? */
static inline bool port_has_lid(const struct port *port, uint16_t lid)
{
	uint16_t base = port_lid(port);

	return base && lid >= base && lid - base < 1 << port_lmc(port);
}

/* The LFT of a switch is kept inverted, so that the untouched file says "no port" everywhere. */
uint64_t *switch_lft(const struct fabric *fabric, uint32_t sw);

static inline uint8_t lft_port(const uint64_t *lft, uint16_t lid)
{
	uint64_t word = __atomic_load_n(&lft[lid / 8], __ATOMIC_RELAXED);

	return (uint8_t) ~(word >> (lid % 8 * 8));
}

/* One block of 32 multicast LIDs times 16 ports: 64 bytes as on the wire. */
uint8_t *switch_mft_block(
        const struct fabric *fabric, uint32_t sw, unsigned position, unsigned block);
/* SL to VL from input to output port: 8 bytes, xor the default. A CA has one, for 0 and 0. */
uint8_t *port_sl_to_vl(const struct fabric *fabric, uint32_t port, unsigned input);
/* Alias GUIDs of a port as on the wire; entry 0 is unused (it is the port GUID). */
uint64_t *port_alias_guids(const struct fabric *fabric, uint32_t port);

size_t topology_nodes_size(const struct net *net);
size_t topology_ports_size(const struct net *net);
size_t topology_switches_size(const struct net *net);
size_t topology_lfts_size(const struct net *net);
size_t topology_mfts_size(const struct net *net);
size_t topology_sl_to_vl_size(const struct net *net);
size_t topology_alias_guids_size(const struct net *net);
void topology_init(struct fabric *fabric, const struct net *net);
/* Set the handle's pointers to its tables. */
void topology_bind(struct fabric *fabric);

#endif
