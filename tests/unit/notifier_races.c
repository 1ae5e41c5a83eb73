/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * A connection that is being made while one of its ends moves: begun at each point between PREPARE
 * and the end of RESUME, a point being one frame more that has reached its relay or process, by
 * somebody on a server that the migration does not concern yet, or by the VM itself. Either it is
 * acknowledged in time and its maker hears every step from STOP on, or it waits for the end of
 * RESUME (the VM itself: for its own); nobody is held longer, no step waits for anybody, and the
 * next migration knows of it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/relay_tree.h"

enum { LID = 5, OTHER_LID = 77, ORDERS = 4, POINTS_MOST = 400 };

/*
 *	root - a - b - hyp1: vm1
 *	     |   |   `- hyp2: vm2 talks to vm1, vm5 to nobody
 *	     |   `- hyp3: vm3 talks to nobody
 *	     `- hyp4: vm4 talks to nobody
 */
enum { ROOT, A, B, HYP1, HYP2, HYP3, HYP4, OWN, PEER, BESIDE, NEAR, FAR };

static struct tree *tree_make(void)
{
	static const char *const vms[][2] = {{"vm1"}, {"vm2", "vm5"}, {"vm3"}, {"vm4"}};
	static const size_t parents[] = {B, B, A, ROOT};
	struct tree *tree = tree_create();
	uint16_t lid = LID;
	char name[8];

	tree_between(tree, ROOT, "a");
	tree_between(tree, A, "b");
	for (size_t i = 0; i < 4; i++) {
		snprintf(name, sizeof(name), "hyp%zu", i + 1);
		tree_host(tree, parents[i], name);
		for (size_t k = 0; k < 2 && vms[i][k]; k++)
			tree_vm(tree, HYP1 + i, vms[i][k]);
		tree_connect(tree, HYP1 + i);
	}
	tree_process(tree, HYP1, "vm1", 10, NULL, 0);
	tree_process(tree, HYP2, "vm2", 10, &lid, 1);
	tree_process(tree, HYP2, "vm5", 10, NULL, 0);
	tree_process(tree, HYP3, "vm3", 10, NULL, 0);
	tree_process(tree, HYP4, "vm4", 10, NULL, 0);
	tree_run(tree);
	return tree;
}

static const Tether__Step steps[] = {TETHER__STEP__STEP_PREPARE, TETHER__STEP__STEP_STOP,
        TETHER__STEP__STEP_SETTLE, TETHER__STEP__STEP_RELEASE, TETHER__STEP__STEP_ATTACH,
        TETHER__STEP__STEP_RECONNECT, TETHER__STEP__STEP_RESUME};
enum { STEPS = sizeof(steps) / sizeof(*steps) };

/* Whoever is a peer is told of these. */
static const unsigned from_stop_on =
        1u << TETHER__STEP__STEP_STOP | 1u << TETHER__STEP__STEP_SETTLE |
        1u << TETHER__STEP__STEP_RELEASE | 1u << TETHER__STEP__STEP_RECONNECT |
        1u << TETHER__STEP__STEP_RESUME;

static void step_send(struct tree *tree, size_t step, uint64_t migration)
{
	Tether__Address address = TETHER__ADDRESS__INIT;
	Tether__Event event = TETHER__EVENT__INIT;

	address.lid = LID;
	event.migration = event.epoch = migration;
	event.step = steps[step];
	event.sequence = (uint32_t)step + 1;
	event.deadline_ms = 1000;
	event.overall_ms = 30000;
	event.vm = (char *)"vm1";
	event.address = &address;
	event.to_vm = true;
	event.to_peers = event.step != TETHER__STEP__STEP_ATTACH;
	tree_event(tree, &event);
}

struct race {
	struct tree *tree;
	size_t maker;
	uint16_t lid;
	unsigned point;     /* begin when so many frames have arrived */
	unsigned arrived;   /* so many have */
	size_t sent, ended; /* steps */
	size_t sent_then;   /* when it was acknowledged */
	size_t ended_then;
	unsigned heard_then; /* steps, by its maker */
	bool begun, acknowledged;
};

static void look(struct race *race)
{
	struct tree *tree = race->tree;

	if (!race->begun && race->arrived >= race->point) {
		tree_interest(tree, race->maker, race->lid, 7, false);
		race->begun = true;
	}
	if (race->acknowledged || !tree->registered)
		return;
	race->acknowledged = true;
	race->sent_then = race->sent;
	race->ended_then = race->ended;
	race->heard_then = tree->nodes[race->maker].steps;
}

/* The whole migration. The next step goes out when the one before has been answered. */
static void migrate(struct race *race, unsigned order)
{
	struct tree *tree = race->tree;

	look(race);
	while (race->ended < STEPS || tree->letters) {
		if (race->sent == race->ended && race->sent < STEPS)
			step_send(tree, race->sent++, 1);
		if (tree->answers > race->ended) {
			assert_int_equal(tree->answer->outcome, TETHER__OUTCOME__OUTCOME_DONE);
			race->ended++;
			continue;
		}
		if (!tree_deliver(tree, order ? 1 + (unsigned)rand() % 6 : 1))
			break; /* somebody waits for what will not come */
		race->arrived++;
		look(race);
	}
	assert_int_equal(race->ended, STEPS);
	tree_run(tree);
	look(race);
}

/* What goes to one process keeps its order, so the VM's own go by what they had heard. */
static bool is_in_time(const struct race *race)
{
	return race->maker == OWN ? !(race->heard_then & 1u << TETHER__STEP__STEP_STOP)
	                          : race->sent_then <= 1;
}

static bool is_after(const struct race *race)
{
	return race->maker == OWN ? race->heard_then & 1u << TETHER__STEP__STEP_RESUME
	                          : race->ended_then == STEPS;
}

/* True: the migration was over before the point was reached. */
static bool race_run(size_t maker, uint16_t lid, unsigned point, unsigned order)
{
	struct race race = {.tree = tree_make(), .maker = maker, .lid = lid, .point = point};
	struct tree_node *node = &race.tree->nodes[maker];
	bool is_over;

	srand(order * 1000 + point);
	migrate(&race, order);
	is_over = !race.begun;
	if (!is_over) {
		assert_true(race.acknowledged);
		assert_int_equal(race.tree->registered, 1);
		assert_true(is_in_time(&race) || is_after(&race));
		if (is_in_time(&race))
			assert_int_equal(node->steps & from_stop_on, from_stop_on);
		tree_forget(race.tree);
		step_send(race.tree, 0, 2);
		tree_run(race.tree);
		assert_int_equal(race.tree->answer->outcome, TETHER__OUTCOME__OUTCOME_DONE);
		assert_int_equal(node->events, 1);
	}
	tree_destroy(race.tree);
	return is_over;
}

static void at_each_point(size_t maker, uint16_t lid)
{
	for (unsigned order = 0; order < ORDERS; order++) {
		unsigned point = 0;

		while (!race_run(maker, lid, point, order))
			assert_in_range(++point, 0, POINTS_MOST);
		/* There were many. */
		assert_in_range(point, 2 * STEPS, POINTS_MOST);
	}
}

static void peer_connects_on_the_server_of_another_peer(void **state)
{
	at_each_point(BESIDE, LID);
}

static void peer_connects_on_a_server_behind_an_agent_that_is_concerned(void **state)
{
	at_each_point(NEAR, LID);
}

static void peer_connects_on_a_server_of_which_the_migration_knows_nothing(void **state)
{
	at_each_point(FAR, LID);
}

static void vm_itself_connects_to_somebody(void **state)
{
	at_each_point(OWN, OTHER_LID);
}

/* Behind the registration waits what was sent later over the same link. */
static void peer_that_lets_go_is_asked_no_more(void **state)
{
	for (unsigned point = 0; point < 2 * STEPS; point++) {
		struct race race = {.tree = tree_make(), .maker = FAR, .lid = LID, .point = point};

		migrate(&race, 0);
		tree_interest(race.tree, FAR, LID, 0, true);
		tree_run(race.tree);
		tree_forget(race.tree);
		step_send(race.tree, 0, 2);
		tree_run(race.tree);
		assert_int_equal(race.tree->nodes[FAR].events, 0);
		tree_destroy(race.tree);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(peer_connects_on_the_server_of_another_peer),
	        cmocka_unit_test(peer_connects_on_a_server_behind_an_agent_that_is_concerned),
	        cmocka_unit_test(peer_connects_on_a_server_of_which_the_migration_knows_nothing),
	        cmocka_unit_test(vm_itself_connects_to_somebody),
	        cmocka_unit_test(peer_that_lets_go_is_asked_no_more),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
