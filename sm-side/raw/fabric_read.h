/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * A fabric as it was read: nodes, cables, PortInfo of every port, forwarding tables. It owns all
 * of it, so a view over it is good as long as it is. Rooms: this one keeps (pure), fabric_read_umad
 * reads, fabric_read_view shows it to the planner (pure).
 */
#ifndef TETHER_FABRIC_READ_H
#define TETHER_FABRIC_READ_H

#include <stdbool.h>
#include <stdint.h>

#include "sm-side/plan/fabric_view.h"
#include "sm-side/raw/smp.h"

enum { READ_NOBODY = UINT32_MAX };

struct read_port {
	uint32_t peer; /* index of the node at the other end, READ_NOBODY */
	uint8_t peer_port;
	bool has_info;
	uint64_t guid;                /* of a CA's port; of a switch's port 0 */
	uint8_t info[SMP_DATA_BYTES]; /* PortInfo as on the wire */
};

struct read_node {
	uint64_t guid;
	uint8_t type;            /* enum smp_node_type */
	uint8_t port_count;      /* highest port number */
	struct smp_route route;  /* directed */
	struct read_port *ports; /* 0 to port_count */
	uint8_t *lft;            /* switches, if tables were read */
	uint32_t lft_entries;    /* a multiple of LFT_BLOCK_LIDS */
	uint16_t lft_top;        /* the highest LID that it forwards */
	uint16_t lft_cap;        /* how many entries it could have */
	char description[SMP_DATA_BYTES + 1];
};

struct fabric_read {
	struct read_node *nodes;
	uint32_t count, room;
	uint32_t *by_guid; /* open addressing; READ_NOBODY: free */
	uint32_t slots;
	uint32_t own; /* the node that was read from, through own_port */
	uint8_t own_port;
};

struct fabric_read *fabric_read_create(void);
void fabric_read_destroy(struct fabric_read *fabric);

/* NULL: none. */
struct read_node *fabric_read_find(const struct fabric_read *fabric, uint64_t node_guid);
/* The index of a new node (a GUID that is not there yet), READ_NOBODY: out of memory. */
uint32_t fabric_read_add(struct fabric_read *fabric, const struct smp_node_info *info,
        const struct smp_route *route);
/*
 * Note the cable. -EEXIST: another cable is there already; a GUID that shows up in two places has
 * that effect.
 */
int fabric_read_join(
        struct fabric_read *fabric, uint32_t a, uint8_t a_port, uint32_t b, uint8_t b_port);
/* Room for the table of LIDs 0 to @top. -ENOMEM. */
int fabric_read_make_lft(struct read_node *sw, uint16_t top);

/* The CA's port at @place: its node, and its number in *@port. NULL: nobody is there. */
struct read_node *fabric_read_at(
        const struct fabric_read *fabric, struct view_place place, uint8_t *port);
/* The same by the port's GUID. */
struct read_node *fabric_read_end_port(
        const struct fabric_read *fabric, uint64_t port_guid, uint8_t *port);
/* Where a CA's port is plugged in; switch_guid 0: into no switch. */
struct view_place fabric_read_place_of(
        const struct fabric_read *fabric, const struct read_node *node, uint8_t port);

/*
 * A view over the tables read: fabric_view_destroy it. -ENOMEM; -EEXIST: two ports have one GUID,
 * which one stands in *@fault. Other faults are the planner's to refuse.
 */
int fabric_read_view(
        const struct fabric_read *fabric, struct fabric_view **view, struct view_fault *fault);

#endif
