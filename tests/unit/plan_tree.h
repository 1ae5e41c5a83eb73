/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * The fat-trees of Table I of the vSwitch paper (switches with 36 ports), at their full size, for
 * what planning costs: hosts are plain CAs, or hypervisors with a vSwitch each. Routes go up by LID
 * and down to the place.
 */
#ifndef TETHER_TEST_PLAN_TREE_H
#define TETHER_TEST_PLAN_TREE_H

#include "sm-side/plan/fabric_view.h"

struct plan_tree {
	unsigned hosts;
	unsigned functions; /* end ports of a hypervisor; 0: hosts are plain CAs */
	unsigned leaves, middles, tops, pods; /* middles 0: two levels, the tops are spines */
	unsigned physical, switches;
	unsigned lids;    /* switches', then end ports' */
	uint32_t entries; /* of each table */
	uint8_t *tables;
};

/* 324, 648, 5832 or 11664 hosts. -EINVAL; -ENOMEM. plan_tree_clear it. */
int plan_tree_make(struct plan_tree *tree, unsigned hosts, unsigned functions);
void plan_tree_clear(struct plan_tree *tree);

/* Over the tree's own tables, as the plugin's is over OpenSM's. NULL: out of memory. */
struct fabric_view *plan_tree_view(const struct plan_tree *tree);

/* Of end port @function (0: the PF's) of @host. */
uint64_t plan_tree_port_guid(const struct plan_tree *tree, unsigned host, unsigned function);
uint16_t plan_tree_lid(const struct plan_tree *tree, unsigned host, unsigned function);
struct view_place plan_tree_place(const struct plan_tree *tree, unsigned host, unsigned function);

#endif
