/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Migrations whose VMs are connected, asked for at once: every order in which their steps can end,
 * each of them done, failed, too late or aborted, and tether-smd killed between.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/both_ends_crew.h"

enum { WORLDS_MAX = 1 << 21, FAIR_STEPS = 200 };

/* ---- what must hold ---- */

/* The processes that take part have their gates held, or are not what they were, by this one. */
static bool holds(const struct standing *s)
{
	switch (migration_phase(s->state)) {
	case PHASE_FORWARD:
	case PHASE_BACK:
		return true;
	default:
		return s->state == STATE_STOPPING || s->state == STATE_SETTLING ||
		       s->state == STATE_MENDING_STOPPING || s->state == STATE_MENDING_SETTLING ||
		       s->state == STATE_MENDING_RECONNECTING || s->state == STATE_MENDING_RESUMING;
	}
}

static const char *said(const struct kind *kind, const struct world *world)
{
	static char text[512];
	size_t length = 0;

	for (unsigned i = 0; i < kind_moves(kind); i++)
		length += (size_t)snprintf(text + length, sizeof(text) - length, "%s: %s%s%s%s ",
		        crew_vms[i], migration_state_name(world->moves[i].state),
		        world->moves[i].waits_turn ? " waits" : "",
		        world->moves[i].yields ? " yields" : "",
		        world->moves[i].abort_asked ? " abort asked" : "");
	return text;
}

static bool have_the_same(const struct kind *kind, unsigned one, unsigned other)
{
	return kind->sharing != SHARE_ONE_WAY ||
	       (kind->sharing == SHARE_ONE_WAY &&
	               (one == kind_moves(kind) - 1 || other == kind_moves(kind) - 1));
}

/* Those that are seen late may be in STOP both, where shims keep them apart (preload/move.h), and
 * go no further. */
static bool holds_too(const struct kind *kind, const struct standing *s)
{
	return holds(s) && (kind->sharing != SHARE_SEEN_LATE || s->state != STATE_STOPPING);
}

static void assert_one_holds(const struct kind *kind, const struct world *world)
{
	for (unsigned i = 0; i < kind_moves(kind); i++)
		for (unsigned k = 0; k < i; k++)
			if (have_the_same(kind, i, k) && holds_too(kind, &world->moves[i]) &&
			        holds_too(kind, &world->moves[k]))
				fail_msg("two have the same queue pairs: %s", said(kind, world));
}

static bool all_ended(const struct kind *kind, const struct world *world)
{
	for (unsigned i = 0; i < kind_moves(kind); i++)
		if (migration_phase(world->moves[i].state) != PHASE_ENDED)
			return false;
	return true;
}

/* Wherever things have gone: if all goes well from here on, all come to an end. */
static void assert_ends(const struct kind *kind, const struct world *from)
{
	struct world world = *from;

	for (unsigned step = 0; step < FAIR_STEPS; step++) {
		struct crew crew;

		if (all_ended(kind, &world))
			return;
		crew_stand_up(&crew, kind, &world);
		crew_give_turns(&crew);
		for (unsigned i = 0; i < kind_moves(kind); i++)
			if (crew_can(&crew, i, DO_DONE) && !crew.moves[i].waits_turn) {
				crew_happens(&crew, i, DO_DONE);
				break;
			}
		world = crew_lie_down(&crew);
	}
	fail_msg("no end: %s; now %s", said(kind, from), strdup(said(kind, &world)));
}

/* ---- the walk ---- */

struct walk {
	const struct kind *kind;
	struct world *worlds;
	uint32_t *places; /* 1 + index */
	uint32_t count;
	uint32_t ended[STATE_COUNT];
};

static uint64_t hash_of(const struct world *world)
{
	const unsigned char *bytes = (const unsigned char *)world;
	uint64_t hash = 0xcbf29ce484222325;

	for (size_t i = 0; i < sizeof(*world); i++)
		hash = (hash ^ bytes[i]) * 0x100000001b3;
	return hash ^ hash >> 29;
}

static void visit(struct walk *walk, const struct world *world)
{
	size_t place = hash_of(world) % (2 * WORLDS_MAX);

	for (; walk->places[place]; place = (place + 1) % (2 * WORLDS_MAX))
		if (!memcmp(&walk->worlds[walk->places[place] - 1], world, sizeof(*world)))
			return;
	assert_true(walk->count < WORLDS_MAX);
	assert_one_holds(walk->kind, world);
	walk->worlds[walk->count++] = *world;
	walk->places[place] = walk->count;
}

static void visit_each_next(struct walk *walk, const struct world *world)
{
	struct crew crew;
	struct world next;

	for (unsigned i = 0; i < kind_moves(walk->kind); i++)
		for (enum what what = 0; what < DO_COUNT; what++) {
			crew_stand_up(&crew, walk->kind, world);
			if (crew_can(&crew, i, what))
				crew_happens(&crew, i, what);
			next = crew_lie_down(&crew);
			visit(walk, &next);
		}
	crew_stand_up(&crew, walk->kind, world);
	crew_give_turns(&crew);
	next = crew_lie_down(&crew);
	visit(walk, &next);
	if (!walk->kind->kills)
		return;
	crew_stand_up(&crew, walk->kind, world);
	crew_recovers(&crew);
	next = crew_lie_down(&crew);
	visit(walk, &next);
}

static void walk_all(struct walk *walk, const struct kind *kind)
{
	struct world first;

	memset(&first, 0, sizeof(first));
	*walk = (struct walk){.kind = kind,
	        .worlds = calloc(WORLDS_MAX, sizeof(struct world)),
	        .places = calloc(2 * WORLDS_MAX, sizeof(uint32_t))};
	for (unsigned i = 0; i < kind_moves(kind); i++)
		first.moves[i].state = STATE_LOCATING;
	visit(walk, &first);
	for (uint32_t i = 0; i < walk->count; i++) {
		struct world world = walk->worlds[i];

		assert_ends(kind, &world);
		for (unsigned k = 0; all_ended(kind, &world) && k < kind_moves(kind); k++)
			walk->ended[world.moves[k].state]++;
		visit_each_next(walk, &world);
	}
	print_message("%u migrations, sharing %d%s%s%s: %u worlds\n", kind_moves(kind),
	        kind->sharing, kind->evacuation ? ", one of an evacuation" : "",
	        kind->faults ? ", faults" : "", kind->kills ? ", kills" : "", walk->count);
}

static void walk_free(struct walk *walk)
{
	free(walk->worlds);
	free(walk->places);
}

static void undisturbed_each_is_done_in_every_order(void **unused)
{
	for (unsigned moves = 2; moves <= MOVES_MAX; moves++)
		for (enum sharing sharing = 0; sharing <= SHARE_SEEN_LATE; sharing++) {
			struct kind kind = {.sharing = sharing, .moves = moves};
			struct walk walk;

			walk_all(&walk, &kind);
			assert_true(walk.ended[STATE_DONE]);
			for (enum migration_state state = 0; state < STATE_COUNT; state++)
				if (state != STATE_DONE)
					assert_int_equal(walk.ended[state], 0);
			walk_free(&walk);
		}
}

static void one_of_an_evacuation_is_refused_or_done(void **unused)
{
	for (enum sharing sharing = 0; sharing < SHARE_SEEN_LATE; sharing++) {
		struct kind kind = {.sharing = sharing, .moves = 2, .evacuation = true};
		struct walk walk;

		walk_all(&walk, &kind);
		assert_true(walk.ended[STATE_DONE] && walk.ended[STATE_REFUSED]);
		assert_int_equal(walk.ended[STATE_ABORTED], 0);
		walk_free(&walk);
	}
}

static void disturbed_none_waits_for_ever_and_one_has_the_queue_pairs(void **unused)
{
	for (enum sharing sharing = 0; sharing <= SHARE_SEEN_LATE; sharing++) {
		struct kind kind = {.sharing = sharing, .moves = 2, .faults = true};
		struct walk walk;

		walk_all(&walk, &kind);
		for (enum migration_state state = 0; state < STATE_COUNT; state++)
			if (migration_phase(state) == PHASE_ENDED)
				assert_true(walk.ended[state]);
		walk_free(&walk);
	}
}

static void nor_does_one_where_tether_smd_is_killed_between(void **unused)
{
	for (enum sharing sharing = 0; sharing < SHARE_SEEN_LATE; sharing++) {
		struct kind kind = {.sharing = sharing, .moves = 2, .faults = true, .kills = true};
		struct walk walk;

		walk_all(&walk, &kind);
		walk_free(&walk);
	}
}

/* @last was asked for later than @waits, which has let two go first. */
static void assert_last_waits_if_it_shares(
        const struct under_way *under_way, struct migration *last, const struct migration *waits)
{
	char *apart[] = {"vm3/3.3", "vm4/4.4"}, *together[] = {"vm3/3.3", "vm2/2.2"};
	const struct migration *other;

	assert_int_equal(turn_of(under_way, last, &other), TURN_IS_OURS);
	last->waits_turn = false; /* it asks */
	assert_null(turn_sharing(under_way, last, apart, 2));
	assert_ptr_equal(turn_sharing(under_way, last, together, 2), waits);
	/* Behind PREPARE it is not held up any more. */
	last->state = STATE_STOPPING;
	assert_null(turn_sharing(under_way, last, together, 2));
	last->state = STATE_PREPARING;
	migration_turn_yield(last, waits->intent.id);
	migration_turn_wait(last);
	assert_int_equal(turn_of(under_way, last, &other), TURN_WAITS_FOR_END);
	assert_ptr_equal(other, waits);
	last->busy_with = 0;
	last->yields = false;
}

static void who_has_let_two_go_first_is_the_next(void **unused)
{
	char *processes[] = {"vm1/1.1", "vm2/2.2"};
	struct migration first = {.intent = {.id = 1, .vm = "vm1"},
	        .state = STATE_MOVING,
	        .testimony = {.processes = processes, .process_count = 2}};
	struct migration waits = {
	        .intent = {.id = 2, .vm = "vm2"}, .state = STATE_PREPARING, .waits_turn = true};
	struct migration last = {.intent = {.id = 3, .vm = "vm3"}, .state = STATE_PREPARING};
	const struct migration *list[] = {&first, &waits, &last}, *other = NULL;
	struct under_way under_way = {list, 3, 3, NULL};

	last.waits_turn = true;
	for (uint64_t before = 1; before <= 2; before++) {
		assert_int_equal(turn_of(&under_way, &last, &other), TURN_IS_OURS);
		first.intent.id = before == 1 ? 1 : 9;
		assert_int_equal(turn_of(&under_way, &waits, &other), TURN_WAITS_FOR_END);
		assert_ptr_equal(other, &first);
		for (int again = 0; again < 2; again++)
			migration_turn_yield(&waits, other->intent.id);
		assert_int_equal(waits.waited_for, before);
	}
	assert_last_waits_if_it_shares(&under_way, &last, &waits);
	assert_int_equal(turn_of(&under_way, &waits, &other), TURN_WAITS_FOR_END);
	first.state = STATE_DONE;
	under_way.migrations = list + 1;
	under_way.count = 2;
	/* Whose end it has waited for is over. */
	last.waits_turn = false;
	assert_int_equal(turn_of(&under_way, &waits, &other), TURN_WAITS);
	assert_null(other);
	last.waits_turn = true;
	assert_ptr_equal(turn_next(&under_way, 0), &waits);
	assert_int_equal(turn_of(&under_way, &waits, &other), TURN_IS_OURS);
	assert_ptr_equal(turn_next(&under_way, 2), &last);
	assert_int_equal(turn_of(&under_way, &last, &other), TURN_IS_OURS);
	/* Those that share its connections and do not see that have gone past. */
	waits.waited_for = 4;
	assert_int_equal(turn_of(&under_way, &last, &other), TURN_WAITS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(who_has_let_two_go_first_is_the_next),
	        cmocka_unit_test(undisturbed_each_is_done_in_every_order),
	        cmocka_unit_test(one_of_an_evacuation_is_refused_or_done),
	        cmocka_unit_test(disturbed_none_waits_for_ever_and_one_has_the_queue_pairs),
	        cmocka_unit_test(nor_does_one_where_tether_smd_is_killed_between),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
