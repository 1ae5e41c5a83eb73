/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* Relays over relays: events, orders, names and registrations at any depth, as at one level. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "tests/unit/deep_tree.h"
#include "tests/unit/tree_events.h"

static void event_goes_once_over_each_link_to_somebody_concerned(void **state)
{
	struct tree *tree = *state;
	static const unsigned wanted[] = {[A] = 1,
	        [B] = 1,
	        [HYP1] = 1,
	        [HYP2] = 1,
	        [HYP4] = 1,
	        [P1] = 1,
	        [P2] = 1,
	        [PEER2] = 1,
	        [PEER4] = 1};

	event_all(tree, TETHER__STEP__STEP_PREPARE, 1, "vm1", 5, NULL, 0);
	tree_run(tree);
	for (size_t node = A; node <= PEER4; node++)
		assert_int_equal(tree->nodes[node].events, wanted[node]);
	assert_int_equal(tree->answers, 1);
	assert_int_equal(tree->answer->outcome, TETHER__OUTCOME__OUTCOME_DONE);
	assert_int_equal(tree->answer->n_answered, 4);
	assert_true(tree_answered(tree, P1) && tree_answered(tree, P2) &&
	            tree_answered(tree, PEER2) && tree_answered(tree, PEER4));
}

static void silent_process_is_named_through_every_level(void **state)
{
	struct tree *tree = *state;

	tree->nodes[P2].silent = true;
	event_all(tree, TETHER__STEP__STEP_PREPARE, 1, "vm1", 5, NULL, 0);
	tree_run(tree);
	assert_int_equal(tree->answers, 0);
	tree_pass(tree, DEADLINE_MS);
	assert_int_equal(tree->answers, 1);
	assert_int_equal(tree->answer->outcome, TETHER__OUTCOME__OUTCOME_PARTIAL);
	assert_int_equal(tree->answer->n_missing, 1);
	assert_true(tree_missing(tree, P2));
	assert_int_equal(tree->answer->n_answered, 3);
}

/* Each level answers a little before the one above it gives up. */
static void lower_level_answers_before_the_upper_gives_up(void **state)
{
	struct tree *tree = *state;
	uint64_t end = tree->now_ms + DEADLINE_MS;

	tree->nodes[P2].silent = true;
	event_all(tree, TETHER__STEP__STEP_PREPARE, 1, "vm1", 5, NULL, 0);
	tree_run(tree);
	while (!tree->answers && tree->now_ms < end)
		tree_pass(tree, 1);
	assert_true(tree->now_ms < end);
	assert_int_equal(tree->answer->n_missing, 1);
	assert_true(tree_missing(tree, P2));
}

static void order_reaches_a_host_at_any_depth(void **state)
{
	struct tree *tree = *state;

	for (uint32_t i = 0; i < 4; i++) {
		tree_forget(tree);
		event_order(tree, i + 1, tree->nodes[HYP1 + i].name);
		tree_run(tree);
		for (uint32_t k = 0; k < 4; k++)
			assert_int_equal(tree->nodes[HYP1 + k].orders, k == i);
		assert_int_equal(tree->answer->outcome, TETHER__OUTCOME__OUTCOME_DONE);
		assert_string_equal(tree->answer->result->host, tree->nodes[HYP1 + i].name);
	}
	tree_forget(tree);
	event_order(tree, 9, "hyp9");
	assert_int_equal(tree->answer->outcome, TETHER__OUTCOME__OUTCOME_REFUSED);
	assert_string_equal(tree->answer->refusals[0]->reason, "no-such-host");
}

/* The order's result says that the VM is there now, to everybody between. */
static void vm_is_found_where_the_result_of_an_order_shows_it(void **state)
{
	struct tree *tree = *state;

	tree->nodes[HYP1].vms_count = 0;
	event_order(tree, 1, "hyp1");
	tree_run(tree);
	tree_vm(tree, HYP3, "vm1");
	event_order(tree, 2, "hyp3");
	tree_run(tree);
	tree_forget(tree);
	event_all(tree, TETHER__STEP__STEP_ATTACH, 3, "vm1", 9, NULL, 0);
	tree_run(tree);
	assert_int_equal(tree->nodes[HYP3].events, 1);
	assert_int_equal(tree->nodes[HYP1].events, 0);
	assert_int_equal(tree->nodes[B].events, 0);
}

/* Nobody below an agent between need be told the end of a migration whose VM has left it. */
static void barrier_falls_at_each_level_that_the_vm_has_left(void **state)
{
	struct tree *tree = *state;

	event_all(tree, TETHER__STEP__STEP_PREPARE, 1, "vm3", 7, NULL, 0);
	tree_run(tree);
	tree_interest(tree, PEER2, 7, 0, false);
	tree_run(tree);
	assert_int_equal(tree->held, 1);
	tree->nodes[HYP3].vms_count = 0;
	relay_vm_left(tree->nodes[HYP3].relay, "vm3", tree->now_ms);
	event_order(tree, 2, "hyp3");
	tree_run(tree);
	assert_int_equal(tree->registered, 0); /* the root holds it */
	relay_let_go(tree->nodes[ROOT].relay, 1);
	tree_run(tree);
	assert_int_equal(tree->registered, 1);
}

static void registration_is_acknowledged_by_the_root_and_held_by_its_barrier(void **state)
{
	struct tree *tree = *state;
	struct address address = {.lid = 9};

	tree_interest(tree, STRANGER, 77, 0, false);
	tree_run(tree);
	assert_int_equal(tree->registered, 1);
	assert_int_equal(relay_hold(tree->nodes[ROOT].relay, 1, "vm1", &address, 90000), 0);
	tree_interest(tree, STRANGER, 9, 0, false);
	tree_run(tree);
	assert_int_equal(tree->registered, 1);
	assert_int_equal(tree->held, 1);
	relay_let_go(tree->nodes[ROOT].relay, 1);
	tree_run(tree);
	assert_int_equal(tree->registered, 2);
	tree_forget(tree);
	event_all(tree, TETHER__STEP__STEP_PREPARE, 1, "vm1", 9, NULL, 0);
	tree_run(tree);
	assert_int_equal(tree->nodes[STRANGER].events, 1);
}

/* PREPARE is not answered before what went up earlier has been acknowledged, or is held. */
static void prepare_waits_for_registrations_at_every_depth(void **state)
{
	struct tree *tree = *state;

	tree_interest(tree, STRANGER, 9, 0, false);
	assert_true(tree_deliver(tree, 1)); /* at hyp3, on its way to a */
	event_all(tree, TETHER__STEP__STEP_PREPARE, 1, "vm1", 9, NULL, 0);
	tree_run(tree);
	assert_int_equal(tree->answers, 1);
	assert_int_equal(tree->answer->outcome, TETHER__OUTCOME__OUTCOME_DONE);
	assert_int_equal(tree->held, 1);
	assert_int_equal(tree->registered, 0);
	event_all(tree, TETHER__STEP__STEP_RESUME, 2, "vm1", 9, NULL, 0);
	tree_run(tree);
	assert_int_equal(tree->registered, 1);
}

static void what_one_host_missed_is_told_to_it_alone(void **state)
{
	struct tree *tree = *state;
	Tether__Address address;
	Tether__Event event = event_of(TETHER__STEP__STEP_ABORT, 7, "vm1", &address, 5);

	event.to_vm = event.to_peers = true;
	assert_int_equal(relay_tell_host(tree->nodes[ROOT].relay, "hyp1", &event), 0);
	tree_run(tree);
	assert_int_equal(tree->nodes[HYP1].events, 1);
	assert_int_equal(tree->nodes[P1].events, 1);
	assert_int_equal(tree->nodes[HYP2].events, 0);
	assert_int_equal(tree->nodes[HYP4].events, 0);
	assert_int_equal(tree->answers, 0);
	assert_int_equal(relay_tell_host(tree->nodes[ROOT].relay, "hyp9", &event), -107);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TREE_TEST(event_goes_once_over_each_link_to_somebody_concerned),
	        TREE_TEST(silent_process_is_named_through_every_level),
	        TREE_TEST(lower_level_answers_before_the_upper_gives_up),
	        TREE_TEST(order_reaches_a_host_at_any_depth),
	        TREE_TEST(vm_is_found_where_the_result_of_an_order_shows_it),
	        TREE_TEST(barrier_falls_at_each_level_that_the_vm_has_left),
	        TREE_TEST(registration_is_acknowledged_by_the_root_and_held_by_its_barrier),
	        TREE_TEST(prepare_waits_for_registrations_at_every_depth),
	        TREE_TEST(what_one_host_missed_is_told_to_it_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
