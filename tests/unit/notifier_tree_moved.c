/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* Relays over relays: who is told that a VM has moved. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "tests/unit/deep_tree.h"
#include "tests/unit/tree_events.h"

static void move_is_said_once_to_each_server_with_interest(void **state)
{
	struct tree *tree = *state;
	static const unsigned wanted[TREE_NODES_MOST] = {[A] = 1, [B] = 1, [HYP2] = 1, [HYP4] = 1};

	event_moved(tree, 1, 1, "vm1", 5);
	for (size_t node = A; node < tree->count; node++) {
		assert_int_equal(tree->nodes[node].moved, wanted[node]);
		assert_int_equal(tree->nodes[node].events, wanted[node]);
	}
	assert_int_equal(tree->answer->outcome, TETHER__OUTCOME__OUTCOME_DONE);
	/* Again, under its own number and under another: nobody hears it twice. */
	event_moved(tree, 1, 1, "vm1", 5);
	event_moved(tree, 2, 1, "vm1", 5);
	for (size_t node = A; node < tree->count; node++)
		assert_int_equal(tree->nodes[node].moved, wanted[node]);
}

static void move_of_an_older_epoch_is_not_said(void **state)
{
	struct tree *tree = *state;
	Tether__Address address;
	Tether__Event late = event_of(TETHER__STEP__STEP_MOVED, 9, "vm1", &address, 5), next;

	next = event_of(TETHER__STEP__STEP_PREPARE, 1, "vm1", &address, 5);
	next.epoch = 2;
	next.migration = 2;
	next.to_vm = next.to_peers = true;
	tree_event(tree, &next);
	tree_run(tree);
	tree_forget(tree);
	/* Past the root as well: it lay in a link. */
	late.to_peers = true;
	assert_int_equal(relay_tell_host(tree->nodes[ROOT].relay, "hyp2", &late), 0);
	event_moved(tree, 8, 1, "vm1", 5);
	tree_run(tree);
	for (size_t node = A; node < tree->count; node++)
		assert_int_equal(tree->nodes[node].moved, 0);
	assert_string_equal(tree->answer->refusals[0]->reason, "old-epoch");
}

static void move_is_no_migration(void **state)
{
	struct tree *tree = *state;

	event_moved(tree, 1, 1, "vm1", 5);
	tree_interest(tree, STRANGER, 5, 0, false);
	tree_run(tree);
	assert_int_equal(tree->registered, 1);
	tree_cut(tree, HYP4);
	tree_connect(tree, HYP4);
	tree_run(tree);
	assert_int_equal(tree->nodes[HYP4].moved, 1);
}

static void server_hears_of_addresses_that_it_wants_itself(void **state)
{
	struct tree *tree = *state;
	struct address address = {.lid = 5};

	assert_int_equal(relay_own_interest(tree->nodes[HYP3].relay, &address, false), 0);
	tree_run(tree);
	event_moved(tree, 1, 1, "vm1", 5);
	assert_int_equal(tree->nodes[HYP3].moved, 1);
	assert_int_equal(tree->nodes[STRANGER].events, 0);
	assert_int_equal(relay_own_interest(tree->nodes[HYP3].relay, &address, true), 0);
	tree_run(tree);
	event_moved(tree, 2, 2, "vm1", 5);
	assert_int_equal(tree->nodes[HYP3].moved, 1);
	assert_int_equal(tree->nodes[HYP4].moved, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TREE_TEST(move_is_said_once_to_each_server_with_interest),
	        TREE_TEST(move_of_an_older_epoch_is_not_said),
	        TREE_TEST(move_is_no_migration),
	        TREE_TEST(server_hears_of_addresses_that_it_wants_itself),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
