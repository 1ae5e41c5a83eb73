/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Random fabrics of known kinds for the planner's tests, and what has to be true of them:
 * fat-trees, tori, dragonflies and random regular graphs, with vSwitch hypervisors or plain CAs,
 * every LID routed. It knows nothing of the planner: it walks its own tables, looks for loops and
 * blackholes itself, and builds its own channel dependency graph (Dally and Seitz, 1987).
 *
 * A struct topology is one piece of memory: copy it to remember it, compare its tables with memcmp.
 */
#ifndef TETHER_TEST_PLAN_TOPOLOGIES_H
#define TETHER_TEST_PLAN_TOPOLOGIES_H

#include <stdbool.h>
#include <stdint.h>

#include "sm-side/plan/fabric_view.h"

enum {
	TOPOLOGY_SWITCHES = 96,
	TOPOLOGY_PORTS = 32,
	TOPOLOGY_SLOTS = 128,
	TOPOLOGY_LIDS = 512,
	TOPOLOGY_LAYERS = 8, /* virtual lanes 0 to 7 carry data (IBA 7.6.4: up to 15) */
};

enum topology_kind {
	TOPOLOGY_FAT_TREE_2,
	TOPOLOGY_FAT_TREE_3,
	TOPOLOGY_TORUS_2D,
	TOPOLOGY_TORUS_3D,
	TOPOLOGY_DRAGONFLY,
	TOPOLOGY_RANDOM_REGULAR,
	TOPOLOGY_KINDS,
};

enum topology_routing {
	TOPOLOGY_UPDN, /* up, then down: no cycle of channels. Ranks from the roots of a fat-tree,
	                  else from a random switch */
	TOPOLOGY_DOR,  /* tori alone: dimension by dimension, no way around a ring of more than
	                  three: no cycle of channels */
	TOPOLOGY_BFS,  /* shortest ways, random among equals; promises nothing */
	TOPOLOGY_TREE, /* any tree that leads there, detours too; promises nothing */
	TOPOLOGY_LAYERED, /* shortest ways; each destination has its virtual lane, none of which has
	                     a cycle of channels */
	TOPOLOGY_ROUTINGS,
};

struct topology_peer {
	uint8_t kind;   /* enum view_peer_kind; PEER_END_PORT: a slot, which may be empty */
	uint8_t port;   /* the peer's */
	uint16_t index; /* of a switch, or of a slot */
};

struct topology_switch {
	uint64_t guid;
	uint16_t lid; /* of its port 0; vSwitches have none of their own */
	bool is_vswitch;
	bool takes_hosts;
	uint8_t ports;
	uint16_t rank; /* no two neighbours have the same; 0: a root */
	uint8_t at[3]; /* tori: co-ordinates */
	struct topology_peer peer[TOPOLOGY_PORTS + 1];
	uint8_t lft[TOPOLOGY_LIDS];
};

/* A slot stays where it is; the identity in it changes. The first of a hypervisor is its PF's. */
struct topology_slot {
	uint16_t sw;
	uint8_t port;
	bool is_pf;
	int identity; /* -1: nobody; the link is down */
};

struct topology_identity {
	uint64_t port_guid, node_guid;
	uint16_t lid;
	uint8_t layer; /* the virtual lane of packets to it */
};

struct topology {
	uint64_t random;
	enum topology_kind kind;
	enum topology_routing routing;
	bool has_vswitches;
	uint8_t sides[3]; /* tori */
	unsigned physical_count, switch_count, slot_count, identity_count;
	struct topology_switch switches[TOPOLOGY_SWITCHES];
	struct topology_slot slots[TOPOLOGY_SLOTS];
	struct topology_identity identities[TOPOLOGY_SLOTS];
};

/* What the seed does not choose. */
struct topology_wish {
	int kind;      /* enum topology_kind; -1: any */
	int routing;   /* enum topology_routing; -1: any that the kind can have */
	int vswitches; /* 0: plain CAs, 1: hypervisors, -1: either */
};
#define TOPOLOGY_ANY ((const struct topology_wish){-1, -1, -1})

/* ---- making: plan_topologies.c, plan_topology_routes.c ---- */

/* The same for the same wish and seed. Connected; every identity is reached from every switch. */
void topology_make(struct topology *topology, struct topology_wish wish, uint64_t seed);
const char *topology_name(const struct topology *topology); /* kind and routing, for messages */
unsigned topology_random(struct topology *topology, unsigned below);

/* Routes to everybody, with new random choices. */
void topology_sweep(struct topology *topology);
/* Does the routing promise that no lane has a cycle of channels? */
bool topology_promises_no_deadlock(const struct topology *topology);

/* ---- changing, as agents and an SM would ---- */

/* Whoever is in @a and @b changes places. */
void topology_exchange(struct topology *topology, unsigned a, unsigned b);
/* Nobody is in @slot any more: its link is down, no switch has an entry for its LID. */
void topology_empty(struct topology *topology, unsigned slot);
/* 64 entries as on the wire; false: no such switch or block. */
bool topology_write(
        struct topology *topology, uint64_t switch_guid, uint16_t block, const uint8_t *entries);

/* ---- looking ---- */

struct view_place topology_place(const struct topology *topology, unsigned slot);
uint16_t topology_lid_in(const struct topology *topology, unsigned slot); /* 0: nobody there */
uint64_t topology_port_guid_in(const struct topology *topology, unsigned slot);
int topology_slot_of_lid(const struct topology *topology, uint16_t lid); /* -1: nowhere */
/* Index of the switch; -1: none. */
int topology_find_switch(const struct topology *topology, uint64_t guid);
/* A view over the topology's own tables: it follows what is written, not who changes places.
 * fabric_view_destroy it. */
struct fabric_view *topology_view(const struct topology *topology);

/* ---- walking: plan_topology_walks.c ---- */

enum {
	WALK_DROPPED = -1, /* a switch has no entry (255) */
	WALK_DEAD_END =
	        -2, /* nothing is cabled to the port, or port 0 of a switch with another LID */
	WALK_LOOP = -3,
	WALK_SWITCH = -4, /* port 0 of the switch that has the LID */
};

/* Where a packet to @lid that is at switch @sw comes out: a slot (of whose emptiness nothing is
 * said), or one of the above. */
int topology_walk(const struct topology *topology, unsigned sw, uint16_t lid);
/* The same from all switches at once, linear: @ends has room for each. */
void topology_walk_all(const struct topology *topology, uint16_t lid, int *ends);
/* Every identity is reached, from every switch, at the slot that it sits in; every switch's LID at
 * the switch; nothing else is routed. On a no, @why (of 128 characters) says what. */
bool topology_all_reachable(const struct topology *topology, char *why);

/*
 * Channels are (switch, port) towards another switch; one depends on another where packets to some
 * LID may hold the one and wait for the other. Packets enter at slots; what goes to switches' own
 * LIDs is management, whose lane has no credits (IBA 7.6.3). Does a lane have a cycle?
 */
bool topology_channels_cycle(const struct topology *topology);

#endif
