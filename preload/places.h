/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Where what is in a context is reached: under which LID others know it, and where that is now. An
 * InfiniBand port has one. An Ethernet port has the names of its GIDs: a connected queue pair is
 * known by that of its source, everything else by each. Of an Ethernet port the root knows them
 * from the beginning, as it has no other word for the VM. Any thread.
 */
#ifndef TETHER_PLACES_H
#define TETHER_PLACES_H

#include "notifier/wire/rows.h"
#include "preload/announcements.h"
#include "preload/objects.h"

struct place {
	uint32_t lid;                /* or the name of @gid */
	uint32_t real_lid;           /* now, or the name of @real_gid; 0: not to be had */
	union ibv_gid gid, real_gid; /* @real_gid of zeros: the device has none for that one */
};

/* The @i-th, from 0; false: there are no more. What has no port yet is taken to be at the first, or
 * at any that is Ethernet. */
bool context_place(const struct context *context, unsigned i, struct place *place);
bool queue_pair_place(const struct queue_pair *qp, unsigned i, struct place *place);

bool context_has_ethernet(const struct context *context);
/* A row of @answer says that something is there, and what its names stand for. -errno */
int place_report(const struct place *place, struct qp_row *row, Tether__Answer *answer);

/* Inside control: look for GIDs of its Ethernet ports that are not known yet, and let the root know
 * of the context by them; nobody waits. */
void context_learn_gids(struct context *context);
void context_announce_gids(struct context *context);
/* Let the root know of the context by each place, or of a queue pair in it. The first error. */
int context_announce(const struct context *context, uint32_t qpn, announce *how);
void context_withdraw(const struct context *context, uint32_t qpn);

#endif
