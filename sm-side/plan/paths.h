/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * What packets between a VM that moves and its peers may be, once a plan is carried out: the least
 * MTU and the least rate of the cables on the way, both ways. A service level is nobody's here: the
 * routing engine's, where it chooses one, else the partition's, which the move does not change.
 * Pure.
 */
#ifndef TETHER_PLAN_PATHS_H
#define TETHER_PLAN_PATHS_H

#include "sm-side/plan/plan.h"

struct plan_path {
	uint16_t local_lid;  /* of an identity that the plan takes elsewhere */
	uint16_t remote_lid; /* of the peer */
	uint8_t mtu, rate;   /* struct view_cable; 0: not known */
};

/*
 * From each of @plan's transfers that ends somewhere to each of @peers, as far as they are in the
 * view @plan was made from and reach each other; *@paths has @peer_count times transfer_count rows
 * of room, *@count are filled. Linear in rows and hops. free them. -ENOMEM.
 */
int plan_paths(const struct fabric_view *view, const struct plan *plan, const uint16_t *peers,
        uint32_t peer_count, struct plan_path **paths, uint32_t *count);

/* Of two codes of a rate the slower; of one that is not known, the other. */
uint8_t slower_rate(uint8_t a, uint8_t b);

#endif
