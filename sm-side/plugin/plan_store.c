/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include <pthread.h>
#include <stdlib.h>

#include "notifier/base/cleanup.h"
#include "sm-side/identity/identity_move.h"
#include "sm-side/plugin/plan_store.h"

enum {
	KEPT = 256,     /* of those that have begun, and as many of the others */
	TAKEN_MAX = 64, /* more than there are connections, each of which takes one at a time */
	ROWS = 2 * KEPT + TAKEN_MAX,
};

struct row {
	uint64_t hash, age;
	struct identity_move *move; /* NULL: taken, or nobody's row */
	bool is_taken;
};

struct plan_store {
	pthread_mutex_t lock;
	struct row rows[ROWS];
	uint64_t made; /* the newest one's age */
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
	for (unsigned i = 0; i < ROWS; i++)
		identity_move_destroy(store->rows[i].move);
	pthread_mutex_destroy(&store->lock);
	free(store);
}

static struct row *row_of(struct plan_store *store, uint64_t hash)
{
	for (unsigned i = 0; i < ROWS; i++) {
		struct row *row = &store->rows[i];

		if ((row->move || row->is_taken) && row->hash == hash)
			return row;
	}
	return NULL;
}

static struct row *row_new(struct plan_store *store, uint64_t hash)
{
	for (unsigned i = 0; i < ROWS; i++) {
		struct row *row = &store->rows[i];

		if (row->move || row->is_taken)
			continue;
		row->hash = hash;
		return row;
	}
	return NULL;
}

/* It remembers what was before it. */
static bool is_half_done(const struct identity_move *move)
{
	return identity_move_has_begun(move) && !identity_move_is_finished(move);
}

static struct identity_move *which_stays(struct identity_move *there, struct identity_move *put)
{
	bool there_stays = there && is_half_done(there) && !identity_move_has_begun(put);

	identity_move_destroy(there_stays ? put : there);
	return there_stays ? there : put;
}

/* Of those that have begun one that is finished goes first. */
static bool goes_before(const struct row *row, const struct row *other)
{
	bool is_half = is_half_done(row->move), is_other_half = is_half_done(other->move);

	return is_half != is_other_half ? is_other_half : row->age < other->age;
}

/* Who asks what a move would do leaves those alone that are being made. */
static void let_go(struct plan_store *store, bool has_begun)
{
	struct row *first = NULL;
	unsigned count = 0;

	for (unsigned i = 0; i < ROWS; i++) {
		struct row *row = &store->rows[i];

		if (!row->move || identity_move_has_begun(row->move) != has_begun)
			continue;
		count++;
		if (!first || goes_before(row, first))
			first = row;
	}
	if (count <= KEPT)
		return;
	identity_move_destroy(first->move);
	*first = (struct row){0};
}

void plan_store_put(struct plan_store *store, struct identity_move *move)
{
	uint64_t hash = identity_move_plan(move)->hash;
	bool has_begun = identity_move_has_begun(move);
	struct row *row;
	LOCK_GUARD(&store->lock);

	row = row_of(store, hash);
	if (!row)
		row = row_new(store, hash);
	if (!row) {
		identity_move_destroy(move);
		return;
	}
	if (!row->is_taken)
		row->age = ++store->made;
	row->is_taken = false;
	row->move = which_stays(row->move, move);
	let_go(store, has_begun);
}

static struct identity_move *row_take(struct row *row)
{
	struct identity_move *move = row->move;

	row->move = NULL;
	row->is_taken = true;
	return move;
}

struct identity_move *plan_store_take(struct plan_store *store, uint64_t hash)
{
	struct row *row;
	LOCK_GUARD(&store->lock);

	row = row_of(store, hash);
	return row && row->move ? row_take(row) : NULL;
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
	struct row *newest = NULL;
	LOCK_GUARD(&store->lock);

	for (unsigned i = 0; i < ROWS; i++) {
		struct row *row = &store->rows[i];

		if (row->move && !identity_move_is_finished(row->move) &&
		        does(identity_move_plan(row->move), request) &&
		        (!newest || row->age > newest->age))
			newest = row;
	}
	return newest ? row_take(newest) : NULL;
}
