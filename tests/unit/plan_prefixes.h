/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * What a fabric does while a plan's Sets are written: after each of them, in any order within a
 * wave. It knows nothing of how the Sets were found.
 */
#ifndef TETHER_TEST_PLAN_PREFIXES_H
#define TETHER_TEST_PLAN_PREFIXES_H

#include "sm-side/plan/plan.h"
#include "unit/plan_topologies.h"

enum {
	PREFIX_LIDS = 64,     /* that may change */
	PREFIX_SUBSETS = 12,  /* Sets of a wave of which all subsets are tried */
	PREFIX_SWITCHES = 8,  /* touched ones up to which that is done */
	PREFIX_ORDERS = 1000, /* else so many orders at random */
};

/* What may come out where: packets that are at a switch for a LID. */
struct prefix_lid {
	uint16_t lid;
	bool may_be_dropped;            /* whatever the tables said before and say afterwards */
	bool is_watched;                /* else it has no traffic */
	int ends[2][TOPOLOGY_SWITCHES]; /* by the tables before and afterwards */
	bool have_one_end;              /* from all switches the same, before and afterwards */
};

struct prefixes {
	struct topology at; /* the tables as they are */
	unsigned lid_count;
	struct prefix_lid lids[PREFIX_LIDS];
	/* Called in each state, if there is one. On a no, it says why. */
	bool (*look)(const struct topology *at, char *why);
	uint64_t states; /* looked at */
	char why[256];
};

/* LIDs whose tables differ between the two; all are watched. */
void prefixes_begin(
        struct prefixes *prefixes, const struct topology *before, const struct topology *after);
struct prefix_lid *prefixes_lid(struct prefixes *prefixes, uint16_t lid);

/*
 * Write @sets over prefixes->at, looking at each state that any order within each wave can bring
 * about (or many, see above): every watched LID comes out, from every switch, where it did before
 * or will afterwards. Ends with all written. @orders: PREFIX_ORDERS or fewer.
 */
bool prefixes_hold(struct prefixes *prefixes, const struct plan_sets *sets, unsigned orders);

/* Write whole waves and then, of the next one, some Sets at random; return how many were written.
 * What an attempt leaves that ends half way. */
uint32_t prefixes_write_some(struct prefixes *prefixes, const struct plan_sets *sets);

/* As prefixes_hold, in one order at random, for packets that are under way meanwhile: each makes
 * some hops between two Sets. */
bool prefixes_carry(struct prefixes *prefixes, const struct plan_sets *sets);

#endif
