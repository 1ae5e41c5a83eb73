/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include <pthread.h>
#include <stdlib.h>

#include "notifier/base/cleanup.h"
#include "sm-side/identity_move.h"
#include "sm-side/plan_store.h"

enum { KEPT = 256 };

struct plan_store {
	pthread_mutex_t lock;
	struct identity_move *kept[KEPT];
	unsigned next; /* the oldest, which the next one replaces */
};

struct plan_store *plan_store_create(void)
{
	struct plan_store *store = calloc(1, sizeof(*store));

	if (store)
		pthread_mutex_init(&store->lock, NULL);
	return store;
}

void plan_store_destroy(struct plan_store *store)
{
	if (!store)
		return;
	for (unsigned i = 0; i < KEPT; i++)
		identity_move_destroy(store->kept[i]);
	pthread_mutex_destroy(&store->lock);
	free(store);
}

static struct identity_move *take_locked(struct plan_store *store, uint64_t hash)
{
	for (unsigned i = 0; i < KEPT; i++) {
		struct identity_move *move = store->kept[i];

		if (!move || identity_move_plan(move)->hash != hash)
			continue;
		store->kept[i] = NULL;
		return move;
	}
	return NULL;
}

void plan_store_put(struct plan_store *store, struct identity_move *move)
{
	LOCK_GUARD(&store->lock);

	identity_move_destroy(take_locked(store, identity_move_plan(move)->hash));
	identity_move_destroy(store->kept[store->next]);
	store->kept[store->next] = move;
	store->next = (store->next + 1) % KEPT;
}

struct identity_move *plan_store_take(struct plan_store *store, uint64_t hash)
{
	LOCK_GUARD(&store->lock);

	return take_locked(store, hash);
}

static bool does(const struct plan *plan, const struct plan_request *request)
{
	if (plan->move_count != request->move_count)
		return false;
	for (uint32_t i = 0; i < plan->move_count; i++)
		if (plan->moves[i].kind != request->moves[i].kind ||
		        plan->moves[i].vm.port_guid != request->moves[i].vm_port_guid ||
		        !view_place_equal(plan->moves[i].to, request->moves[i].to))
			return false;
	return true;
}

struct identity_move *plan_store_take_unfinished(
        struct plan_store *store, const struct plan_request *request)
{
	LOCK_GUARD(&store->lock);

	for (unsigned age = 1; age <= KEPT; age++) {
		struct identity_move **row = &store->kept[(store->next + KEPT - age) % KEPT];
		struct identity_move *move = *row;

		if (!move || identity_move_is_finished(move) ||
		        !does(identity_move_plan(move), request))
			continue;
		*row = NULL;
		return move;
	}
	return NULL;
}
