/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* Relays over relays: who is told that a VM has moved. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "notifier/base/cleanup.h"
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

static void move_of_a_shared_port_is_said_by_each_lid_that_it_is_known_by(void **state)
{
	struct tree *tree = *state;
	static uint32_t known[] = {6, 5};
	Tether__Address address, next;
	Tether__Event event = event_of(TETHER__STEP__STEP_MOVED, 1, "vm1", &address, 7);

	/* One server knows it by two LIDs, another one hears it where it is now. */
	tree_interest(tree, PEER2, 6, 0, false);
	tree_interest(tree, STRANGER, 8, 0, false);
	tree_run(tree);
	tree_forget(tree);
	event_of(TETHER__STEP__STEP_MOVED, 1, "vm1", &next, 8);
	event.to_peers = event.shared_port = true;
	event.known_lids = known;
	event.n_known_lids = ARRAY_SIZE(known);
	event.new_address = &next;
	tree_event(tree, &event);
	tree_run(tree);
	assert_int_equal(tree->nodes[HYP2].moved, 1);
	assert_int_equal(tree->nodes[HYP3].moved, 1);
	assert_int_equal(tree->nodes[HYP4].moved, 1);
	assert_int_equal(tree->nodes[HYP1].moved, 0);
}

/* What a root says that was started again: nobody is connected yet. */
static void event_moved_for(struct tree *tree, char **names, size_t count)
{
	Tether__Address address;
	Tether__Event event = event_of(TETHER__STEP__STEP_MOVED, 1, "vm1", &address, 5);

	event.to_peers = true;
	event.expected = names;
	event.n_expected = count;
	tree_event(tree, &event);
	tree_run(tree);
}

static void root_is_another(struct tree *tree)
{
	tree_kill(tree, A);
	tree_kill(tree, HYP4);
	tree_kill(tree, ROOT);
	tree_start(tree, ROOT);
}

static void move_waits_for_those_to_whom_it_is_said(void **state)
{
	struct tree *tree = *state;
	static char *names[] = {(char *)"hyp2", (char *)"hyp4"};
	static const size_t process_of[] = {[HYP2] = PEER2, [HYP4] = PEER4};

	tree_kill(tree, HYP2);
	root_is_another(tree);
	event_moved_for(tree, names, 2);
	assert_null(tree->answer);
	tree_start(tree, A);
	tree_connect(tree, A);
	for (size_t host = HYP2; host <= HYP4; host += 2) {
		/* Its HELLO comes before that of its process. */
		tree->nodes[host].parent = ROOT;
		tree_start(tree, host);
		tree_connect(tree, host);
		tree_run(tree);
		assert_int_equal(tree->nodes[host].moved, 0);
		assert_null(tree->answer);
		tree_connect(tree, process_of[host]);
		tree_run(tree);
		assert_int_equal(tree->nodes[host].moved, 1);
	}
	assert_int_equal(tree->answer->outcome, TETHER__OUTCOME__OUTCOME_DONE);
	assert_int_equal(tree->nodes[A].events, 0);
}

static void move_is_said_to_nobody_else(void **state)
{
	struct tree *tree = *state;
	static char *names[] = {(char *)"hyp4"};

	event_moved_for(tree, names, 1);
	for (size_t node = A; node < tree->count; node++)
		assert_int_equal(tree->nodes[node].moved, node == HYP4);
	assert_int_equal(tree->nodes[A].events, 0);
	assert_int_equal(tree->answer->outcome, TETHER__OUTCOME__OUTCOME_DONE);
}

static void move_is_said_to_who_was_started_again_before_it_was_read(void **state)
{
	struct tree *tree = *state;
	static char *names[] = {(char *)"hyp4"};
	Tether__Address address;
	Tether__Event event = event_of(TETHER__STEP__STEP_MOVED, 1, "vm1", &address, 5);

	event.to_peers = true;
	event.expected = names;
	event.n_expected = 1;
	tree_event(tree, &event);
	tree_restart(tree, HYP4);
	assert_null(tree->answer);
	tree_connect(tree, PEER4);
	tree_run(tree);
	assert_int_equal(tree->nodes[HYP4].moved, 1);
	assert_int_equal(tree->answer->outcome, TETHER__OUTCOME__OUTCOME_DONE);
}

static void who_does_not_come_is_named(void **state)
{
	struct tree *tree = *state;
	static char *names[] = {(char *)"hyp2", (char *)"hyp4"};

	tree_kill(tree, HYP2);
	root_is_another(tree);
	event_moved_for(tree, names, 2);
	tree_pass(tree, DEADLINE_MS);
	assert_int_equal(tree->answer->outcome, TETHER__OUTCOME__OUTCOME_PARTIAL);
	assert_true(tree_missing(tree, HYP2) && tree_missing(tree, HYP4));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TREE_TEST(move_is_said_once_to_each_server_with_interest),
	        TREE_TEST(move_of_an_older_epoch_is_not_said),
	        TREE_TEST(move_is_no_migration),
	        TREE_TEST(move_of_a_shared_port_is_said_by_each_lid_that_it_is_known_by),
	        TREE_TEST(move_waits_for_those_to_whom_it_is_said),
	        TREE_TEST(move_is_said_to_nobody_else),
	        TREE_TEST(move_is_said_to_who_was_started_again_before_it_was_read),
	        TREE_TEST(who_does_not_come_is_named),
	        TREE_TEST(server_hears_of_addresses_that_it_wants_itself),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
