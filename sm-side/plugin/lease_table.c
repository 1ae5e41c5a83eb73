/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sm-side/plugin/lease_table.h"

#define EACH_HOLDER(table, holder)                                                                 \
	for (struct lease_holder *holder = (table)->holders;                                       \
	        holder < (table)->holders + LEASE_HOLDERS_MAX; holder++)                           \
		if (holder->owner)
#define EACH_CONST_HOLDER(table, holder)                                                           \
	for (const struct lease_holder *holder = (table)->holders;                                 \
	        holder < (table)->holders + LEASE_HOLDERS_MAX; holder++)                           \
		if (holder->owner)

int lease_claim_of(const struct plan *plan, struct lease_claim *claim)
{
	struct plan_transfer *movers;

	*claim = (struct lease_claim){.is_alone = !plan};
	if (!plan)
		return 0;
	movers = calloc(plan->transfer_count + 1, sizeof(*movers));
	if (!movers)
		return -ENOMEM;
	if (plan->transfer_count)
		memcpy(movers, plan->transfers, plan->transfer_count * sizeof(*movers));
	claim->movers = movers;
	claim->count = plan->transfer_count;
	return 0;
}

void lease_claim_clear(struct lease_claim *claim)
{
	free((void *)claim->movers);
	*claim = (struct lease_claim){0};
}

bool lease_claims_exclude(const struct lease_claim *a, const struct lease_claim *b)
{
	struct plan_movers of_a = {a->count, a->movers}, of_b = {b->count, b->movers};

	return a->is_alone || b->is_alone || plan_movers_meet(&of_a, &of_b);
}

uint64_t lease_claims_meet_in(const struct lease_claim *a, const struct lease_claim *b)
{
	struct plan_movers of_b = {b->count, b->movers};

	for (uint32_t i = 0; i < a->count; i++) {
		struct plan_movers one = {1, &a->movers[i]};

		if (plan_movers_meet(&one, &of_b))
			return a->movers[i].identity.port_guid;
	}
	return 0;
}

struct lease_holder *lease_table_add(struct lease_table *table, unsigned owner,
        const char *migration, struct lease_claim *claim, uint64_t until_ns)
{
	for (unsigned i = 0; i < LEASE_HOLDERS_MAX; i++) {
		struct lease_holder *holder = &table->holders[i];

		if (holder->owner)
			continue;
		*holder = (struct lease_holder){
		        .owner = owner, .until_ns = until_ns, .claim = *claim};
		strncpy(holder->migration, migration, sizeof(holder->migration) - 1);
		*claim = (struct lease_claim){0};
		return holder;
	}
	return NULL;
}

void lease_holder_end(struct lease_holder *holder)
{
	lease_claim_clear(&holder->claim);
	*holder = (struct lease_holder){0};
}

void lease_holder_reclaim(struct lease_holder *holder, struct lease_claim *claim)
{
	if (holder->claim.is_alone) {
		lease_claim_clear(claim);
		return;
	}
	lease_claim_clear(&holder->claim);
	holder->claim = *claim;
	*claim = (struct lease_claim){0};
}

void lease_table_end_due(struct lease_table *table, uint64_t now_ns)
{
	EACH_HOLDER(table, holder)
	if (holder->is_granted && !holder->is_working && now_ns >= holder->until_ns)
		lease_holder_end(holder);
}

void lease_table_clear(struct lease_table *table)
{
	EACH_HOLDER(table, holder)
	lease_holder_end(holder);
}

struct lease_holder *lease_table_of(struct lease_table *table, unsigned owner)
{
	EACH_HOLDER(table, holder)
	if (holder->owner == owner)
		return holder;
	return NULL;
}

struct lease_holder *lease_table_holding(
        struct lease_table *table, unsigned owner, const char *migration, uint64_t now_ns)
{
	struct lease_holder *holder = lease_table_of(table, owner);

	return holder && holder->is_granted && now_ns < holder->until_ns &&
	                       !strcmp(holder->migration, migration)
	               ? holder
	               : NULL;
}

const struct lease_holder *lease_table_excluding(
        const struct lease_table *table, unsigned owner, const struct lease_claim *claim)
{
	EACH_CONST_HOLDER(table, holder)
	if (holder->owner != owner && lease_claims_exclude(&holder->claim, claim))
		return holder;
	return NULL;
}

uint64_t lease_table_meets(
        const struct lease_table *table, unsigned owner, const struct lease_claim *claim)
{
	const struct lease_holder *excluding = lease_table_excluding(table, owner, claim);

	return excluding ? lease_claims_meet_in(claim, &excluding->claim) : 0;
}

const struct lease_holder *lease_table_settling(const struct lease_table *table)
{
	EACH_CONST_HOLDER(table, holder)
	if (!holder->is_granted)
		return holder;
	return NULL;
}

bool lease_table_is_empty(const struct lease_table *table)
{
	EACH_CONST_HOLDER(table, holder)
	return false;
	return true;
}

bool lease_table_is_working(const struct lease_table *table)
{
	EACH_CONST_HOLDER(table, holder)
	if (holder->is_working)
		return true;
	return false;
}

uint64_t lease_table_first_end_ns(const struct lease_table *table)
{
	uint64_t first = 0;

	EACH_CONST_HOLDER(table, holder)
	if (!first || holder->until_ns < first)
		first = holder->until_ns;
	return first;
}

uint64_t lease_table_last_end_ns(const struct lease_table *table)
{
	uint64_t last = 0;

	EACH_CONST_HOLDER(table, holder)
	if (holder->until_ns > last)
		last = holder->until_ns;
	return last;
}
