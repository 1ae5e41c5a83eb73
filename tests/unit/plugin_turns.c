/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* Whose turn it is: one at a time, and what has waited goes together. */
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "sm-side/plugin/move_turns.h"

enum { PEOPLE_MAX = 8, GROUPS_MAX = 4000, CROWD = 8, ROUNDS = 400 };

static struct move_turns *turns;

/* Somebody with a thread of his own. */
struct person {
	struct turn turn; /* first */
	char name;
	pthread_t thread;
	unsigned worked_for;
};

/* What was worked, as names: "a bcd ". Only whoever has the turn writes. */
static char story[GROUPS_MAX];
static size_t told;
static unsigned at_work;

static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;

static void work(void *owner, const struct turn_group *group)
{
	assert_int_equal(__atomic_fetch_add(&at_work, 1, __ATOMIC_SEQ_CST), 0);
	pthread_mutex_lock(&gate); /* which the test may hold shut */
	for (uint32_t i = 0; i < group->count; i++) {
		struct person *person = (struct person *)(void *)group->turns[i];

		person->worked_for++;
		story[told++ % GROUPS_MAX] = person->name;
	}
	story[told++ % GROUPS_MAX] = ' ';
	pthread_mutex_unlock(&gate);
	assert_int_equal(__atomic_fetch_sub(&at_work, 1, __ATOMIC_SEQ_CST), 1);
}

static void *take(void *arg)
{
	struct person *person = arg;

	assert_int_equal(move_turns_take(turns, &person->turn, work, NULL), 0);
	return NULL;
}

static int begin(void **state)
{
	turns = move_turns_create();
	memset(story, 0, sizeof(story));
	told = 0;
	return !turns;
}

static int end(void **state)
{
	move_turns_destroy(turns);
	return 0;
}

static void wait_for(uint32_t working, uint32_t waiting)
{
	uint32_t there, behind;

	do {
		sched_yield();
		move_turns_count(turns, &there, &behind);
	} while (there != working || behind != waiting);
}

/* They come in this order while the first is at work, and all have had their turn in the end. */
static const char *story_of(const struct plan *const *plans, unsigned count)
{
	struct person people[PEOPLE_MAX] = {0};

	pthread_mutex_lock(&gate);
	for (unsigned i = 0; i < count; i++) {
		people[i].name = (char)('a' + i);
		people[i].turn.plan = plans[i];
		pthread_create(&people[i].thread, NULL, take, &people[i]);
		wait_for(1, i);
	}
	pthread_mutex_unlock(&gate);
	for (unsigned i = 0; i < count; i++) {
		pthread_join(people[i].thread, NULL);
		assert_int_equal(people[i].worked_for, 1);
	}
	return story;
}

static struct plan_transfer transfers[PEOPLE_MAX];
static struct plan plans[PEOPLE_MAX];

/* Each moves somebody else. */
static void plans_make(void)
{
	for (unsigned i = 0; i < PEOPLE_MAX; i++) {
		transfers[i] =
		        (struct plan_transfer){.identity = {1 + i, 100 + i, (uint16_t)(1 + i)},
		                .from = {9, (uint8_t)(1 + i)},
		                .to = {8, (uint8_t)(1 + i)}};
		plans[i] = (struct plan){.transfer_count = 1, .transfers = &transfers[i]};
	}
}

static void what_has_waited_goes_together(void **state)
{
	const struct plan *all[] = {&plans[0], &plans[1], &plans[2], &plans[3]};

	assert_string_equal(story_of(all, 4), "a bcd ");
}

static void who_cannot_go_along_has_the_next_turn(void **state)
{
	const struct plan *all[] = {&plans[0], &plans[1], &plans[2], &plans[1], &plans[3], NULL};
	struct plan ordered = plans[2];

	ordered.order = PLAN_CONSISTENT;
	all[2] = &ordered;
	/* b and e; c is of another order; d moves what b moves; f wants a turn of its own. */
	assert_string_equal(story_of(all, 6), "a be c d f ");
}

static void who_is_alone_waits_for_nobody(void **state)
{
	const struct plan *all[] = {&plans[0]};

	assert_string_equal(story_of(all, 1), "a ");
}

static void *come_again_and_again(void *arg)
{
	struct person *person = arg;

	for (unsigned i = 0; i < ROUNDS; i++) {
		const struct plan *plan = person->turn.plan;

		take(person);
		person->turn.plan = plan;
	}
	return NULL;
}

static void everybody_has_each_turn_once(void **state)
{
	struct person people[CROWD] = {0};

	for (unsigned i = 0; i < CROWD; i++) {
		people[i].name = (char)('a' + i);
		people[i].turn.plan = i % 4 == 3 ? NULL : &plans[i / 2];
		pthread_create(&people[i].thread, NULL, come_again_and_again, &people[i]);
	}
	for (unsigned i = 0; i < CROWD; i++) {
		pthread_join(people[i].thread, NULL);
		assert_int_equal(people[i].worked_for, ROUNDS);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test_setup_teardown(what_has_waited_goes_together, begin, end),
	        cmocka_unit_test_setup_teardown(who_cannot_go_along_has_the_next_turn, begin, end),
	        cmocka_unit_test_setup_teardown(who_is_alone_waits_for_nobody, begin, end),
	        cmocka_unit_test_setup_teardown(everybody_has_each_turn_once, begin, end),
	};

	plans_make();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
