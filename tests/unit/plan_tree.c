/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "unit/plan_tree.h"

#define HALF  18u
#define PORTS (2 * HALF)

/* Switches are numbered leaves first, then middles, tops, vSwitches; GUIDs are not in that order.
 */
static uint64_t guid_of(unsigned sw)
{
	return UINT64_C(0x100000000) + (uint64_t)sw * 2654435761u % 4294967291u;
}

static unsigned first_middle(const struct plan_tree *tree)
{
	return tree->leaves;
}

static unsigned first_top(const struct plan_tree *tree)
{
	return tree->leaves + tree->middles;
}

static unsigned per_host(const struct plan_tree *tree)
{
	return tree->functions ? tree->functions : 1;
}

uint64_t plan_tree_port_guid(const struct plan_tree *tree, unsigned host, unsigned function)
{
	return UINT64_C(0x900000000) +
	       (uint64_t)(host * per_host(tree) + function) * 2654435761u % 4294967291u;
}

uint16_t plan_tree_lid(const struct plan_tree *tree, unsigned host, unsigned function)
{
	return (uint16_t)(1 + tree->switches + host * per_host(tree) + function);
}

struct view_place plan_tree_place(const struct plan_tree *tree, unsigned host, unsigned function)
{
	if (tree->functions)
		return (struct view_place){guid_of(tree->physical + host), (uint8_t)(2 + function)};
	return (struct view_place){guid_of(host / HALF), (uint8_t)(1 + host % HALF)};
}

/* ---- routes ---- */

static uint8_t *table_of(const struct plan_tree *tree, unsigned sw)
{
	return tree->tables + (size_t)sw * tree->entries;
}

static uint8_t port_at(
        const struct plan_tree *tree, unsigned sw, unsigned host, unsigned function, uint16_t lid)
{
	unsigned leaf = host / HALF;

	if (sw < tree->leaves)
		return (uint8_t)(sw == leaf ? 1 + host % HALF : 1 + HALF + lid % HALF);
	if (sw < first_top(tree)) {
		unsigned pod = (sw - first_middle(tree)) / HALF;

		return (uint8_t)(leaf / HALF == pod ? 1 + leaf % HALF
		                                    : 1 + HALF + lid / HALF % HALF);
	}
	if (sw < tree->physical)
		return (uint8_t)(1 + (tree->middles ? leaf / HALF : leaf));
	return (uint8_t)(sw - tree->physical == host ? 2 + function : 1);
}

static void routes_make(const struct plan_tree *tree)
{
	memset(tree->tables, LFT_NO_PORT, (size_t)tree->switches * tree->entries);
	for (unsigned host = 0; host < tree->hosts; host++)
		for (unsigned function = 0; function < per_host(tree); function++) {
			uint16_t lid = plan_tree_lid(tree, host, function);

			for (unsigned sw = 0; sw < tree->switches; sw++)
				table_of(tree, sw)[lid] = port_at(tree, sw, host, function, lid);
		}
}

int plan_tree_make(struct plan_tree *tree, unsigned hosts, unsigned functions)
{
	*tree = (struct plan_tree){.hosts = hosts, .functions = functions};
	if (hosts % (HALF * HALF) || hosts > HALF * HALF * PORTS)
		return -EINVAL;
	tree->leaves = hosts / HALF;
	tree->pods = tree->leaves > PORTS ? tree->leaves / HALF : 0;
	tree->middles = tree->pods * HALF;
	tree->tops = tree->pods ? HALF * HALF : HALF;
	tree->physical = tree->leaves + tree->middles + tree->tops;
	tree->switches = tree->physical + (functions ? hosts : 0);
	tree->lids = tree->switches + hosts * per_host(tree);
	if (tree->lids > LID_UNICAST_MAX)
		return -EINVAL;
	tree->entries = (tree->lids / LFT_BLOCK_LIDS + 1) * LFT_BLOCK_LIDS;
	tree->tables = malloc((size_t)tree->switches * tree->entries);
	if (!tree->tables)
		return -ENOMEM;
	routes_make(tree);
	return 0;
}

void plan_tree_clear(struct plan_tree *tree)
{
	free(tree->tables);
	*tree = (struct plan_tree){0};
}

/* ---- the view ---- */

static void cable(
        struct fabric_view *view, unsigned a, unsigned a_port, unsigned b, unsigned b_port)
{
	fabric_view_link(
	        view, a, (uint8_t)a_port, (struct view_peer){b, (uint8_t)b_port, PEER_SWITCH});
	fabric_view_link(
	        view, b, (uint8_t)b_port, (struct view_peer){a, (uint8_t)a_port, PEER_SWITCH});
}

static void cable_physical(const struct plan_tree *tree, struct fabric_view *view)
{
	for (unsigned leaf = 0; leaf < tree->leaves; leaf++)
		for (unsigned up = 0; up < HALF; up++) {
			unsigned pod = leaf / HALF;

			if (tree->middles)
				cable(view, leaf, 1 + HALF + up,
				        first_middle(tree) + pod * HALF + up, 1 + leaf % HALF);
			else
				cable(view, leaf, 1 + HALF + up, first_top(tree) + up, 1 + leaf);
		}
	for (unsigned middle = 0; middle < tree->middles; middle++)
		for (unsigned up = 0; up < HALF; up++)
			cable(view, first_middle(tree) + middle, 1 + HALF + up,
			        first_top(tree) + middle % HALF * HALF + up, 1 + middle / HALF);
}

static void add_end_port(
        const struct plan_tree *tree, struct fabric_view *view, unsigned host, unsigned function)
{
	struct view_end_port end_port = {
	        .port_guid = plan_tree_port_guid(tree, host, function),
	        .node_guid = plan_tree_port_guid(tree, host, function) + UINT64_C(0x100000000),
	        .lid = plan_tree_lid(tree, host, function),
	        .node_ports = 1,
	};
	uint32_t added = fabric_view_add_end_port(view, &end_port);
	struct view_peer peer = {added, 1, PEER_END_PORT};

	if (tree->functions)
		fabric_view_link(view, tree->physical + host, (uint8_t)(2 + function), peer);
	else
		fabric_view_link(view, host / HALF, (uint8_t)(1 + host % HALF), peer);
}

struct fabric_view *plan_tree_view(const struct plan_tree *tree)
{
	struct fabric_view *view = fabric_view_create();

	if (!view)
		return NULL;
	for (unsigned sw = 0; sw < tree->switches; sw++) {
		unsigned ports = sw < tree->physical ? PORTS : 1 + tree->functions;

		if (fabric_view_add_switch(view, guid_of(sw), (uint8_t)ports, table_of(tree, sw),
		            tree->entries) == VIEW_NONE)
			goto no_memory;
		view->switches[sw].lid = (uint16_t)(1 + sw);
	}
	cable_physical(tree, view);
	for (unsigned host = 0; tree->functions && host < tree->hosts; host++)
		cable(view, tree->physical + host, 1, host / HALF, 1 + host % HALF);
	for (unsigned host = 0; host < tree->hosts; host++)
		for (unsigned function = 0; function < per_host(tree); function++)
			add_end_port(tree, view, host, function);
	if (!fabric_view_finish(view))
		return view;
no_memory:
	fabric_view_destroy(view);
	return NULL;
}
