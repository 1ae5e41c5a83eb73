/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sm-side/plan/lid_pool.h"

struct resting {
	uint64_t until_ns;
	uint16_t lid;
};

struct lid_pool {
	enum lid_choice choice;
	uint16_t last; /* taken */
	uint32_t resting_count, resting_room;
	struct resting *resting; /* not free either: their bits are set */
	uint64_t bits[LFT_ENTRIES_MAX / 64];
};

static void bit_set(struct lid_pool *pool, uint16_t lid)
{
	pool->bits[lid / 64] |= UINT64_C(1) << lid % 64;
}

struct lid_pool *lid_pool_create(enum lid_choice choice)
{
	struct lid_pool *pool = calloc(1, sizeof(*pool));

	if (!pool)
		return NULL;
	pool->choice = choice;
	bit_set(pool, 0);
	return pool;
}

struct lid_pool *lid_pool_copy(const struct lid_pool *pool)
{
	struct lid_pool *copy = malloc(sizeof(*copy));

	if (!copy)
		return NULL;
	*copy = *pool;
	copy->resting = calloc(pool->resting_count + 1, sizeof(*copy->resting));
	if (!copy->resting) {
		free(copy);
		return NULL;
	}
	copy->resting_room = pool->resting_count + 1;
	if (pool->resting_count)
		memcpy(copy->resting, pool->resting, pool->resting_count * sizeof(*copy->resting));
	return copy;
}

void lid_pool_destroy(struct lid_pool *pool)
{
	if (!pool)
		return;
	free(pool->resting);
	free(pool);
}

static void rest_end(struct lid_pool *pool, uint32_t index)
{
	pool->resting[index] = pool->resting[--pool->resting_count];
}

void lid_pool_hold(struct lid_pool *pool, uint16_t lid)
{
	if (lid > LID_UNICAST_MAX)
		return;
	bit_set(pool, lid);
	for (uint32_t i = 0; i < pool->resting_count; i++)
		if (pool->resting[i].lid == lid)
			rest_end(pool, i--);
}

/* Cheap, since every plan does it: the view knows its LIDs as bits. */
void lid_pool_hold_view(struct lid_pool *pool, const struct fabric_view *view)
{
	for (uint32_t i = 0; i < pool->resting_count; i++)
		if (view_holds_lid(view, pool->resting[i].lid))
			rest_end(pool, i--);
	for (uint32_t word = 0; word < LFT_ENTRIES_MAX / 64; word++)
		pool->bits[word] |= view->lids_held[word];
}

int lid_pool_give_back(struct lid_pool *pool, uint16_t lid, uint64_t until_ns)
{
	if (lid == 0 || lid > LID_UNICAST_MAX)
		return 0;
	lid_pool_hold(pool, lid);
	if (pool->resting_count == pool->resting_room) {
		uint32_t room = pool->resting_room ? pool->resting_room * 2 : 16;
		struct resting *grown = reallocarray(pool->resting, room, sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		pool->resting = grown;
		pool->resting_room = room;
	}
	pool->resting[pool->resting_count++] = (struct resting){until_ns, lid};
	return 0;
}

void lid_pool_wake(struct lid_pool *pool, uint64_t now_ns)
{
	for (uint32_t i = 0; i < pool->resting_count; i++) {
		uint16_t lid = pool->resting[i].lid;

		if (pool->resting[i].until_ns > now_ns)
			continue;
		pool->bits[lid / 64] &= ~(UINT64_C(1) << lid % 64);
		rest_end(pool, i--);
	}
}

bool lid_pool_is_free(const struct lid_pool *pool, uint16_t lid)
{
	return lid <= LID_UNICAST_MAX && !(pool->bits[lid / 64] >> lid % 64 & 1);
}

/* The lowest free one from @first on; 0: none. */
static uint16_t free_from(const struct lid_pool *pool, uint32_t first)
{
	for (uint32_t word = first / 64; word < LFT_ENTRIES_MAX / 64; word++) {
		uint64_t free_bits = ~pool->bits[word];

		if (word == first / 64)
			free_bits &= ~UINT64_C(0) << first % 64;
		if (free_bits)
			return (uint16_t)(word * 64 + (uint32_t)__builtin_ctzll(free_bits));
	}
	return 0;
}

enum refusal lid_pool_take(struct lid_pool *pool, uint16_t *lid)
{
	uint16_t found = 0;

	if (pool->choice == LID_NEXT)
		found = free_from(pool, pool->last + 1u);
	if (!found)
		found = free_from(pool, 1);
	if (!found)
		return REFUSAL_NO_FREE_LID;
	bit_set(pool, found);
	pool->last = found;
	*lid = found;
	return REFUSAL_NONE;
}

uint16_t lid_pool_top(uint16_t lid, uint32_t cap)
{
	uint32_t top = lid / LID_TOP_STRIDE * LID_TOP_STRIDE + LID_TOP_STRIDE - 1;

	if (cap && top >= cap)
		top = cap - 1;
	if (top > LID_UNICAST_MAX)
		top = LID_UNICAST_MAX;
	return (uint16_t)(top < lid ? lid : top);
}
