/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * The end ports of a plan's identities that move from slot to slot: their P_Keys, LIDs, groups and
 * what the switch ports before them enforce; what has to be put there, and whether it was taken.
 * OpenSM's lock is held, exclusively where something is put, but for creating and destroying.
 */
#ifndef TETHER_IDENTITY_SIDES_H
#define TETHER_IDENTITY_SIDES_H

#include <stdbool.h>
#include <stdint.h>

#include "sm-side/identity/identity_moves.h"

struct identity_sides;

/* NULL: out of memory. */
struct identity_sides *identity_sides_create(const struct plan *plan);
void identity_sides_destroy(struct identity_sides *sides);

/* Has all been read that was asked for (reread.h)? UNKNOWN_PORT, GUIDS_NOT_THERE. */
enum refusal identity_sides_check(const struct identity_sides *sides, const struct osm_opensm *osm);

/* Post what is not as it should be. @sent counts. NOT_ACKNOWLEDGED: it could not be sent. */
enum refusal identity_sides_put(const struct identity_sides *sides, const struct move_tools *tools,
        struct plan_counts *sent);

/* Post again what the ports have not taken, by what has been read from their responses. Takes the
 * lock. How many Sets; -errno. */
int identity_sides_put_again(const struct identity_sides *sides, const struct move_tools *tools);

#endif
