/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Who holds the lease on OpenSM's sweeps: several at once, as long as none moves what another one
 * moves. Pure: the time comes in, in nanoseconds of any monotonic clock. One thread at a time.
 */
#ifndef TETHER_LEASE_TABLE_H
#define TETHER_LEASE_TABLE_H

#include <stdbool.h>
#include <stdint.h>

#include "sm-side/plan/conflict.h"

enum {
	LEASE_HOLDERS_MAX = 16, /* one for each connection */
	LEASE_NAME_BYTES = 64,
};

/*
 * What somebody holds the lease for. Who does not say what moves is alone: nobody else may hold it.
 * Who moves nothing shares it with all that are not.
 */
struct lease_claim {
	bool is_alone;
	uint32_t count;
	const struct plan_transfer *movers; /* by lease_claim_clear */
};

/* NULL: no plan is known, so alone. -ENOMEM. */
int lease_claim_of(const struct plan *plan, struct lease_claim *claim);
void lease_claim_clear(struct lease_claim *claim);
bool lease_claims_exclude(const struct lease_claim *a, const struct lease_claim *b);
/* Whose port GUID of @a it is that shares an identity, a slot or a LID with one of @b. 0: nobody's.
 */
uint64_t lease_claims_meet_in(const struct lease_claim *a, const struct lease_claim *b);

struct lease_holder {
	unsigned owner; /* a connection; 0: the row is free */
	char migration[LEASE_NAME_BYTES];
	uint64_t until_ns;
	bool is_granted; /* false: it waits for OpenSM to come to rest */
	bool is_working; /* so it holds the lease also when its time is over */
	struct lease_claim claim;
};

struct lease_table {
	struct lease_holder holders[LEASE_HOLDERS_MAX];
};

/* Takes @claim over, where there is room. NULL: there is none. Not granted yet. */
struct lease_holder *lease_table_add(struct lease_table *table, unsigned owner,
        const char *migration, struct lease_claim *claim, uint64_t until_ns);
void lease_holder_end(struct lease_holder *holder);
/* It holds it for @claim now, which is taken over; who is alone stays so. */
void lease_holder_reclaim(struct lease_holder *holder, struct lease_claim *claim);
/* Those whose time is over, and who are not at work. */
void lease_table_end_due(struct lease_table *table, uint64_t now_ns);
void lease_table_clear(struct lease_table *table);

/* NULL: it has none. Of one whose time is over, too, until it is ended. */
struct lease_holder *lease_table_of(struct lease_table *table, unsigned owner);
/* The same, where it is granted for that migration and its time is not over. */
struct lease_holder *lease_table_holding(
        struct lease_table *table, unsigned owner, const char *migration, uint64_t now_ns);

/* One, but not @owner's, whose claim excludes @claim. NULL: there is none. */
const struct lease_holder *lease_table_excluding(
        const struct lease_table *table, unsigned owner, const struct lease_claim *claim);
/* Whose port GUID of @claim one of those moves, too, or its slot or LID. 0: nobody's. */
uint64_t lease_table_meets(
        const struct lease_table *table, unsigned owner, const struct lease_claim *claim);
/* Who waits for OpenSM to come to rest. NULL: nobody does. */
const struct lease_holder *lease_table_settling(const struct lease_table *table);
bool lease_table_is_empty(const struct lease_table *table);
bool lease_table_is_working(const struct lease_table *table);
/* When the first ends, and the last, by their times. 0: nobody holds it. */
uint64_t lease_table_first_end_ns(const struct lease_table *table);
uint64_t lease_table_last_end_ns(const struct lease_table *table);

#endif
