/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * What the planner looks at: switches with their forwarding tables, end ports, and who is cabled
 * to whom. GUIDs and LIDs are in host order.
 *
 * The view owns its arrays. Tables (LFTs, P_Keys) stay their owner's and are read through it, so a
 * view over OpenSM's tables is good only while OpenSM's lock is held; or the view keeps LFTs of its
 * own (fabric_view_keep_lft, fabric_view_copy), vSwitches' in a few hundred bytes each. Build it
 * with the add, keep and link functions, then fabric_view_finish; only after that use the others.
 * Pure; no locks.
 */
#ifndef TETHER_FABRIC_VIEW_H
#define TETHER_FABRIC_VIEW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sm-side/plan/compact_lft.h"
#include "sm-side/plan/view_fault.h"

enum {
	LFT_BLOCK_LIDS = 64, /* IBA 14.2.5.6 */
	LFT_NO_PORT = 255,
	LID_UNICAST_MAX = 0xbfff,
	LFT_ENTRIES_MAX = LID_UNICAST_MAX + 1,
	PKEY_BLOCK_BYTES = 64, /* IBA 14.2.5.7: 32 entries of 16 bits */
};

#define VIEW_NONE UINT32_MAX

/* A switch port, and whatever is plugged into it. */
struct view_place {
	uint64_t switch_guid;
	uint8_t port;
};

enum view_peer_kind { PEER_NONE, PEER_SWITCH, PEER_END_PORT };

struct view_peer {
	uint32_t index; /* in switches or end_ports */
	uint8_t port;   /* the peer's */
	uint8_t kind;   /* enum view_peer_kind */
};

/* What packets of a cable are limited to: codes of IBA 14.2.5.6 (NeighborMTU) and 15.2.5.16 (rate),
 * as in enum ibv_mtu and enum ibv_rate. 0: not known. */
struct view_cable {
	uint8_t mtu;
	uint8_t rate;
};

struct view_switch {
	uint64_t guid;
	/* The table in one of two forms: read it by view_lft_entry and view_lft_block. */
	const uint8_t *lft;
	const struct compact_lft *compact; /* the view's own */
	uint32_t lft_entries;              /* a multiple of LFT_BLOCK_LIDS; 0: no table */
	uint32_t first_peer;               /* in peers: what port 0, 1, ... is cabled to */
	/* What 0 says is not known of; whoever builds the view may set them. */
	uint16_t lid;
	uint16_t linear_top; /* LinearFDBTop */
	uint16_t linear_cap; /* LinearFDBCap: entries of the table */
	uint8_t ports;       /* highest port number */
	bool is_vswitch;     /* by fabric_view_finish */
	bool keeps_lft;      /* lft is the view's own */
};

struct view_end_port {
	uint64_t port_guid;
	uint64_t node_guid;
	uint32_t switch_index; /* VIEW_NONE: no link known; by fabric_view_link */
	uint16_t lid;          /* 0: none */
	uint16_t groups;       /* multicast groups that it is a member of */
	uint8_t switch_port;
	uint8_t lmc;
	uint8_t node_ports; /* of the node that it belongs to */
	uint8_t lane;       /* virtual lane of packets to it, as far as one is known; else 0 */
	bool is_sm;
	const void *source; /* the owner's own object, for pkey_block */
};

/* A P_Key table stands in the CA and, for enforcement, in the switch port in front of it. */
enum pkey_holder { PKEYS_OF_CA, PKEYS_OF_SWITCH_PORT };

struct fabric_view {
	struct view_switch *switches;
	struct view_end_port *end_ports;
	struct view_peer *peers;
	struct view_cable *cables; /* beside peers; NULL: nothing is known of any */
	uint32_t cable_room;
	uint32_t switch_count, end_port_count, peer_count;
	uint32_t switch_room, end_port_room, peer_room;
	uint32_t *switches_by_guid; /* indices in ascending order of GUID */
	uint32_t *end_ports_by_guid;
	uint32_t *end_ports_by_lid; /* LFT_ENTRIES_MAX; VIEW_NONE: no end port has it */
	uint64_t lids_held[LFT_ENTRIES_MAX / 64]; /* bits: end ports', by LMC too, and switches' */
	uint64_t generation;
	struct view_fault fault;    /* the first that was found */
	struct routed_lids *routed; /* a list: what the compact tables rest on */
	/* Block @block (64 bytes as on the wire) of the table at @end_port's place; NULL: not
	 * there. May be NULL itself: nobody has P_Keys. */
	const uint8_t *(*pkey_block)(
	        const struct view_end_port *end_port, enum pkey_holder holder, unsigned block);
};

struct fabric_view *fabric_view_create(void);
void fabric_view_destroy(struct fabric_view *view);

/* The index of what was added, or VIEW_NONE: out of memory. @ports: highest port number. @lft is
 * only pointed to; NULL: none, or fabric_view_keep_lft follows. */
uint32_t fabric_view_add_switch(struct fabric_view *view, uint64_t guid, uint8_t ports,
        const uint8_t *lft, uint32_t lft_entries);
/* Copies @lft, in place of the table that switch @sw had. -ENOMEM. */
int fabric_view_keep_lft(
        struct fabric_view *view, uint32_t sw, const uint8_t *lft, uint32_t lft_entries);
/* Copies @end_port; its place is set by fabric_view_link. */
uint32_t fabric_view_add_end_port(struct fabric_view *view, const struct view_end_port *end_port);
/* Port @port of switch @sw is cabled to @peer, a switch (say so once for each side) or an end port.
 * What names nothing that is there becomes a fault. */
void fabric_view_link(struct fabric_view *view, uint32_t sw, uint8_t port, struct view_peer peer);

/* What the cable at @port of @sw lets through; to be said at both ends. Once all switches are
 * added. -ENOMEM. */
int fabric_view_limit(struct fabric_view *view, uint32_t sw, uint8_t port, struct view_cable cable);

/*
 * Sort for the find functions, look for faults, and tell vSwitches from other switches: a vSwitch
 * has exactly one link to a switch and behind every other link a node with one port. (An edge
 * switch with a single uplink and nothing but such nodes looks the same, and its ports can change
 * occupants the same way.) To be called again where something in the view was changed. -ENOMEM;
 * -EEXIST: a GUID appears twice, which is a fault as well.
 */
int fabric_view_finish(struct fabric_view *view);

/* Those that the view keeps, of every switch. */
void fabric_view_drop_lfts(struct fabric_view *view);
/* One that keeps every table itself and so outlives what @view was built over. It has no P_Keys and
 * no sources. NULL: out of memory. */
struct fabric_view *fabric_view_copy(const struct fabric_view *view);
/* What the view has allocated. */
size_t fabric_view_bytes(const struct fabric_view *view);

uint32_t view_find_switch(const struct fabric_view *view, uint64_t guid);
uint32_t view_find_end_port(const struct fabric_view *view, uint64_t port_guid);
/* The end port that has @lid, by LMC too. */
uint32_t view_find_lid(const struct fabric_view *view, uint16_t lid);
/* Is @lid an end port's or a switch's? */
static inline bool view_holds_lid(const struct fabric_view *view, uint16_t lid)
{
	return lid < LFT_ENTRIES_MAX && view->lids_held[lid / 64] >> lid % 64 & 1;
}

/* The end port at @place, VIEW_NONE if there is none or no such place. */
uint32_t view_end_port_at(const struct fabric_view *view, struct view_place place);
struct view_place view_place_of(const struct fabric_view *view, uint32_t end_port);
bool view_place_equal(struct view_place a, struct view_place b);

/* How much of a table of @entries counts. */
static inline uint32_t lft_whole_blocks(uint32_t entries)
{
	if (entries > LFT_ENTRIES_MAX)
		return LFT_ENTRIES_MAX;
	return entries - entries % LFT_BLOCK_LIDS;
}

static inline bool view_has_lft(const struct view_switch *sw)
{
	return sw->lft_entries > 0;
}

/* LFT_NO_PORT beyond the table. */
static inline uint8_t view_lft_entry(const struct view_switch *sw, uint16_t lid)
{
	if (lid >= sw->lft_entries)
		return LFT_NO_PORT;
	return sw->lft ? sw->lft[lid] : compact_lft_entry(sw->compact, lid);
}

/* The LFT_BLOCK_LIDS bytes of @block as on the wire. */
void view_lft_block(const struct view_switch *sw, uint16_t block, uint8_t *bytes);

const struct view_peer *view_peer_of(
        const struct fabric_view *view, const struct view_switch *sw, unsigned port);

struct view_cable view_cable_of(
        const struct fabric_view *view, const struct view_switch *sw, unsigned port);

/*
 * Names the topology: switches and the cabling between them. Not the end ports and not the routes:
 * these are what moves, and VMs that come and go, change. Below 2^53, so that it is the same number
 * in every JSON reader.
 */
uint64_t view_generation(const struct fabric_view *view);

#endif
