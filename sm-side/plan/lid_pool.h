/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Which unicast LIDs are free (vSwitch paper, section V: dynamic LIDs). There are 49,151 of them
 * (1 to 0xbfff), and VFs may be more: only who is there needs one. One that was given back rests,
 * so that a packet under way to its last holder does not reach the next one. Pure: whoever owns the
 * pool says what time it is.
 */
#ifndef TETHER_PLAN_LID_POOL_H
#define TETHER_PLAN_LID_POOL_H

#include <stdbool.h>
#include <stdint.h>

#include "sm-side/plan/fabric_view.h"
#include "sm-side/plan/refusal.h"

enum lid_choice {
	LID_LOWEST,
	LID_NEXT, /* the lowest above the one taken last, and around */
};

/* LinearFDBTop is raised to the end of such a stride, so that the next LIDs need no Set for it. */
enum { LID_TOP_STRIDE = 1024 };

struct lid_pool;

/* All free. NULL: out of memory. */
struct lid_pool *lid_pool_create(enum lid_choice choice);
struct lid_pool *lid_pool_copy(const struct lid_pool *pool);
void lid_pool_destroy(struct lid_pool *pool);

/* @lid is somebody's; a repeat does no harm. */
void lid_pool_hold(struct lid_pool *pool, uint16_t lid);
/* Whatever has one in @view: end ports (all LIDs that their LMC gives them) and switches. */
void lid_pool_hold_view(struct lid_pool *pool, const struct fabric_view *view);
/* Held no longer; rests until lid_pool_wake is told a later time. -ENOMEM: it stays held. */
int lid_pool_give_back(struct lid_pool *pool, uint16_t lid, uint64_t until_ns);
/* Those that have rested until @now_ns are free. */
void lid_pool_wake(struct lid_pool *pool, uint64_t now_ns);

/* Neither held nor resting. */
bool lid_pool_is_free(const struct lid_pool *pool, uint16_t lid);
/* A free one, held from now on. NO_FREE_LID. */
enum refusal lid_pool_take(struct lid_pool *pool, uint16_t *lid);

/* What LinearFDBTop shall be for @lid, on a switch whose table has @cap entries (0: not known). */
uint16_t lid_pool_top(uint16_t lid, uint32_t cap);

#endif
