/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "sm-side/raw/fabric_read.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { SLOTS_FIRST = 64 };

struct fabric_read *fabric_read_create(void)
{
	struct fabric_read *fabric = calloc(1, sizeof(*fabric));

	if (fabric)
		fabric->own = READ_NOBODY;
	return fabric;
}

void fabric_read_destroy(struct fabric_read *fabric)
{
	if (!fabric)
		return;
	for (uint32_t i = 0; i < fabric->count; i++) {
		free(fabric->nodes[i].ports);
		free(fabric->nodes[i].lft);
	}
	free(fabric->nodes);
	free(fabric->by_guid);
	free(fabric);
}

/* Where @guid is, or would be. */
static uint32_t slot_of(const struct fabric_read *fabric, uint64_t guid)
{
	uint64_t mixed = guid * UINT64_C(0x9e3779b97f4a7c15);
	uint32_t slot = (uint32_t)(mixed >> 32) & (fabric->slots - 1);

	while (fabric->by_guid[slot] != READ_NOBODY &&
	        fabric->nodes[fabric->by_guid[slot]].guid != guid)
		slot = (slot + 1) & (fabric->slots - 1);
	return slot;
}

/* At most half of the slots are used. */
static int slots_make(struct fabric_read *fabric)
{
	uint32_t slots = fabric->slots ? fabric->slots * 2 : SLOTS_FIRST;
	uint32_t *made;

	if ((fabric->count + 1) * 2 <= fabric->slots)
		return 0;
	made = malloc(slots * sizeof(*made));
	if (!made)
		return -ENOMEM;
	memset(made, 0xff, slots * sizeof(*made));
	free(fabric->by_guid);
	fabric->by_guid = made;
	fabric->slots = slots;
	for (uint32_t i = 0; i < fabric->count; i++)
		made[slot_of(fabric, fabric->nodes[i].guid)] = i;
	return 0;
}

static int nodes_make(struct fabric_read *fabric)
{
	uint32_t room = fabric->room ? fabric->room * 2 : SLOTS_FIRST;
	struct read_node *grown;

	if (fabric->count < fabric->room)
		return 0;
	grown = reallocarray(fabric->nodes, room, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	fabric->nodes = grown;
	fabric->room = room;
	return 0;
}

struct read_node *fabric_read_find(const struct fabric_read *fabric, uint64_t node_guid)
{
	uint32_t index = fabric->slots ? fabric->by_guid[slot_of(fabric, node_guid)] : READ_NOBODY;

	return index == READ_NOBODY ? NULL : &fabric->nodes[index];
}

uint32_t fabric_read_add(
        struct fabric_read *fabric, const struct smp_node_info *info, const struct smp_route *route)
{
	struct read_port *ports = calloc(info->ports + 1u, sizeof(*ports));
	uint32_t index = fabric->count;

	if (!ports || nodes_make(fabric) || slots_make(fabric)) {
		free(ports);
		return READ_NOBODY;
	}
	for (unsigned port = 0; port <= info->ports; port++)
		ports[port].peer = READ_NOBODY;
	fabric->nodes[index] = (struct read_node){
	        .guid = info->node_guid,
	        .type = info->type,
	        .port_count = info->ports,
	        .route = *route,
	        .ports = ports,
	};
	fabric->by_guid[slot_of(fabric, info->node_guid)] = index;
	fabric->count++;
	return index;
}

int fabric_read_join(
        struct fabric_read *fabric, uint32_t a, uint8_t a_port, uint32_t b, uint8_t b_port)
{
	struct read_port *x = &fabric->nodes[a].ports[a_port];
	struct read_port *y = &fabric->nodes[b].ports[b_port];

	if (x->peer == b && x->peer_port == b_port)
		return 0;
	if (x->peer != READ_NOBODY || y->peer != READ_NOBODY)
		return -EEXIST;
	x->peer = b;
	x->peer_port = b_port;
	y->peer = a;
	y->peer_port = a_port;
	return 0;
}

int fabric_read_make_lft(struct read_node *sw, uint16_t top)
{
	uint32_t entries = (top / LFT_BLOCK_LIDS + 1u) * LFT_BLOCK_LIDS;
	uint8_t *lft = malloc(entries);

	if (!lft)
		return -ENOMEM;
	memset(lft, LFT_NO_PORT, entries);
	free(sw->lft);
	sw->lft = lft;
	sw->lft_entries = entries;
	return 0;
}

struct read_node *fabric_read_at(
        const struct fabric_read *fabric, struct view_place place, uint8_t *port)
{
	const struct read_node *sw = fabric_read_find(fabric, place.switch_guid);
	const struct read_port *at;

	if (!sw || sw->type != SMP_NODE_SWITCH || place.port == 0 || place.port > sw->port_count)
		return NULL;
	at = &sw->ports[place.port];
	if (at->peer == READ_NOBODY || fabric->nodes[at->peer].type == SMP_NODE_SWITCH)
		return NULL;
	*port = at->peer_port;
	return &fabric->nodes[at->peer];
}

struct read_node *fabric_read_end_port(
        const struct fabric_read *fabric, uint64_t port_guid, uint8_t *port)
{
	for (uint32_t i = 0; i < fabric->count; i++) {
		struct read_node *node = &fabric->nodes[i];

		for (unsigned p = 1; node->type != SMP_NODE_SWITCH && p <= node->port_count; p++)
			if (node->ports[p].has_info && node->ports[p].guid == port_guid) {
				*port = (uint8_t)p;
				return node;
			}
	}
	return NULL;
}

struct view_place fabric_read_place_of(
        const struct fabric_read *fabric, const struct read_node *node, uint8_t port)
{
	const struct read_port *at = &node->ports[port];

	if (at->peer == READ_NOBODY || fabric->nodes[at->peer].type != SMP_NODE_SWITCH)
		return (struct view_place){0};
	return (struct view_place){fabric->nodes[at->peer].guid, at->peer_port};
}
