/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * The events that a migration sends down the tree: for shims (a step) and for a host (an order).
 * Pure; the conductor's thread. A filled order borrows from its migration: send it before anything
 * else happens to that.
 */
#ifndef TETHER_ORDERS_H
#define TETHER_ORDERS_H

#include "sm-side/migration/migration.h"

struct order {
	Tether__Event event;
	Tether__Address address, new_address;
	Tether__HostOrder host;
	Tether__Attributes attributes;
};

/* The step for the tree that belongs to @action; takes the next sequence number. -ENOENT: none. */
int order_fill_step(struct order *order, struct migration *migration, enum migration_action action,
        uint64_t now_us);
/* So many of the testimony's processes, from the first on, have to answer it. */
size_t order_expected_count(const struct migration *migration, enum migration_action action);
/* It has moved: for whoever keeps something of its address. */
void order_fill_moved(struct order *order, struct migration *migration, uint64_t now_us);
/* The order for a host. @attributes: what the destination must offer, or NULL. */
int order_fill_host(struct order *order, struct migration *migration, enum migration_action action,
        const Tether__Attributes *attributes, uint64_t now_us);

#endif
