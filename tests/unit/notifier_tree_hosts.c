/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* Relays over relays: who is away, comes back, here or elsewhere, or is killed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "notifier/base/cleanup.h"
#include "tests/unit/deep_tree.h"
#include "tests/unit/tree_events.h"

/* Of vm1, and of its processes and peers by name. */
static void event_expecting_all(struct tree *tree, Tether__Step step)
{
	char *expected[] = {tree->nodes[P1].name, tree->nodes[P2].name, tree->nodes[PEER2].name,
	        tree->nodes[PEER4].name};

	event_all(tree, step, 1, "vm1", 5, expected, ARRAY_SIZE(expected));
}

static void is_done_by(const struct tree *tree, size_t count)
{
	assert_int_equal(tree->answers, 1);
	assert_int_equal(tree->answer->outcome, TETHER__OUTCOME__OUTCOME_DONE);
	assert_int_equal(tree->answer->n_answered, count);
}

static void host_that_is_away_is_waited_for_and_given_its_order(void **state)
{
	struct tree *tree = *state;

	tree_cut(tree, HYP1);
	tree_run(tree);
	assert_int_equal(tree->hosts_here, 3);
	event_order(tree, 1, "hyp1");
	tree_run(tree);
	assert_int_equal(tree->answers, 0);
	tree_connect(tree, HYP1);
	tree_run(tree);
	assert_int_equal(tree->hosts_here, 4);
	assert_int_equal(tree->nodes[HYP1].orders, 1);
	assert_int_equal(tree->answer->outcome, TETHER__OUTCOME__OUTCOME_DONE);
}

static void host_that_is_away_for_long_is_forgotten_at_every_level(void **state)
{
	struct tree *tree = *state;

	tree_cut(tree, HYP1);
	tree_pass(tree, 499);
	event_order(tree, 1, "hyp1");
	assert_int_equal(tree->answers, 0);
	tree_pass(tree, 499); /* no further than the order's deadline: it is only waited for */
	tree_pass(tree, 499);
	tree_forget(tree);
	event_order(tree, 2, "hyp1");
	assert_int_equal(tree->answers, 1);
	assert_string_equal(tree->answer->refusals[0]->reason, "no-such-host");
}

static void nobody_is_forgotten_while_a_vm_moves(void **state)
{
	struct tree *tree = *state;

	event_all(tree, TETHER__STEP__STEP_PREPARE, 1, "vm1", 5, NULL, 0);
	tree_run(tree);
	tree_cut(tree, HYP2);
	tree_pass(tree, 5000);
	tree_forget(tree);
	event_all(tree, TETHER__STEP__STEP_STOP, 2, "vm1", 5, NULL, 0);
	tree_run(tree);
	assert_int_equal(tree->answers, 0);
	tree_connect(tree, HYP2);
	tree_run(tree);
	assert_int_equal(tree->answers, 1);
	assert_int_equal(tree->answer->outcome, TETHER__OUTCOME__OUTCOME_DONE);
	assert_true(tree_answered(tree, PEER2));
}

static void host_is_in_one_place_only(void **state)
{
	struct tree *tree = *state;
	size_t other = tree_host(tree, ROOT, "hyp1"), deep = tree_host(tree, A, "hyp4");

	tree_connect(tree, other);
	tree_connect(tree, deep);
	tree_run(tree);
	assert_int_equal(tree->hosts_here, 4);
	assert_int_equal(tree->nodes[other].link, 0);
	assert_int_equal(tree->nodes[deep].link, 0);
	event_order(tree, 1, "hyp1");
	event_order(tree, 2, "hyp4");
	tree_run(tree);
	assert_int_equal(tree->nodes[HYP1].orders + tree->nodes[HYP4].orders, 2);
	assert_int_equal(tree->nodes[other].orders + tree->nodes[deep].orders, 0);
}

/* Where it comes it is taken, if it is away where it was. */
static void host_may_come_back_elsewhere(void **state)
{
	struct tree *tree = *state;
	size_t direct = tree_host(tree, ROOT, "hyp1"), deep = tree_host(tree, B, "hyp4");

	tree_vm(tree, direct, "vm1");
	tree_vm(tree, deep, "vm4");
	tree_cut(tree, HYP1);
	tree_cut(tree, HYP4);
	tree_run(tree);
	tree_connect(tree, direct);
	tree_connect(tree, deep);
	tree_run(tree);
	assert_int_equal(tree->hosts_here, 4);
	tree_forget(tree);
	event_order(tree, 1, "hyp1");
	event_order(tree, 2, "hyp4");
	tree_run(tree);
	assert_int_equal(tree->nodes[direct].orders, 1);
	assert_int_equal(tree->nodes[deep].orders, 1);
	tree_forget(tree);
	event_all(tree, TETHER__STEP__STEP_PREPARE, 3, "vm4", 7, NULL, 0);
	tree_run(tree);
	assert_int_equal(tree->nodes[deep].events, 1);
	assert_int_equal(tree->answer->outcome, TETHER__OUTCOME__OUTCOME_DONE);
}

static void killed_agent_between_is_given_the_open_event_again(void **state)
{
	struct tree *tree = *state;

	tree->nodes[PEER2].silent = true;
	event_expecting_all(tree, TETHER__STEP__STEP_STOP);
	tree_run(tree);
	tree_kill(tree, B);
	tree_run(tree);
	assert_int_equal(tree->hosts_here, 2);
	tree_start(tree, B);
	tree_connect(tree, B);
	tree_run(tree);
	assert_int_equal(tree->answers, 0); /* it knows nobody yet, and has to wait for them */
	tree_connect(tree, HYP1);
	tree_run(tree);
	assert_int_equal(tree->answers, 0);
	tree->nodes[PEER2].silent = false;
	tree_connect(tree, HYP2);
	tree_cut(tree, PEER2);
	tree_connect(tree, PEER2);
	tree_run(tree);
	is_done_by(tree, 4);
	assert_int_equal(tree->nodes[P1].events, 1);
	assert_int_equal(tree->hosts_here, 4);
}

static void killed_agent_between_is_given_the_open_order_again(void **state)
{
	struct tree *tree = *state;

	tree_cut(tree, HYP1);
	event_order(tree, 1, "hyp1");
	tree_run(tree);
	tree_kill(tree, A);
	tree_run(tree);
	tree_start(tree, A);
	tree_connect(tree, A);
	tree_run(tree);
	assert_int_equal(tree->answers, 0);
	tree_connect(tree, B);
	tree_run(tree);
	assert_int_equal(tree->answers, 0);
	tree_connect(tree, HYP1);
	tree_run(tree);
	assert_int_equal(tree->nodes[HYP1].orders, 1);
	assert_int_equal(tree->answers, 1);
	assert_int_equal(tree->answer->outcome, TETHER__OUTCOME__OUTCOME_DONE);
}

/* An agent below it comes back before it has said who is behind it. */
static void killed_agent_above_others_waits_for_all_that_are_behind_them(void **state)
{
	struct tree *tree = *state;

	event_expecting_all(tree, TETHER__STEP__STEP_SETTLE);
	tree_restart(tree, A);
	tree_connect(tree, B);
	tree_connect(tree, HYP3);
	tree_run(tree);
	assert_int_equal(tree->answers, 1);
	assert_int_equal(tree->answer->outcome, TETHER__OUTCOME__OUTCOME_DONE);
	assert_int_equal(tree->nodes[P1].events, 1);
	assert_int_equal(tree->nodes[P2].events, 1);
	assert_true(tree_answered(tree, P1) && tree_answered(tree, P2) &&
	            tree_answered(tree, PEER2) && tree_answered(tree, PEER4));
}

/* Nobody knows any more who is behind whom: what has been answered for one host is asked again,
 * with the other's. */
static void hosts_that_come_back_one_by_one_are_all_asked(void **state)
{
	struct tree *tree = *state;

	event_expecting_all(tree, TETHER__STEP__STEP_SETTLE);
	tree_kill(tree, B);
	tree_kill(tree, A);
	tree_start(tree, A);
	tree_start(tree, B);
	tree_connect(tree, A);
	tree_connect(tree, B);
	tree_run(tree);
	tree_connect(tree, HYP1);
	tree_run(tree);
	assert_int_equal(tree->answers, 0);
	tree_connect(tree, HYP2);
	tree_run(tree);
	is_done_by(tree, 4);
	assert_int_equal(tree->answer->counts->processes, 4);
	assert_int_equal(tree->nodes[P1].events, 1);
}

/* As a host does that is started with another parent. */
static void host_that_comes_to_one_who_has_the_event_is_asked_there(void **state)
{
	struct tree *tree = *state;

	tree_cut(tree, HYP4);
	tree_run(tree);
	tree->nodes[PEER2].silent = true;
	event_expecting_all(tree, TETHER__STEP__STEP_SETTLE);
	tree_run(tree);
	tree->nodes[HYP4].parent = B;
	tree_connect(tree, HYP4);
	tree_run(tree);
	assert_int_equal(tree->nodes[PEER4].events, 1);
	assert_int_equal(tree->answers, 0);
	tree->nodes[PEER2].silent = false;
	tree_cut(tree, PEER2);
	tree_connect(tree, PEER2);
	tree_run(tree);
	is_done_by(tree, 4);
	assert_int_equal(tree->answer->counts->processes, 4);
}

/* What all others have answered is asked anew, and there is no time left for that. */
static void host_that_comes_just_before_the_deadline_costs_itself_alone(void **state)
{
	struct tree *tree = *state;

	tree->nodes[PEER4].silent = true;
	event_expecting_all(tree, TETHER__STEP__STEP_RECONNECT);
	tree_run(tree);
	tree->now_ms += 949; /* its own agent says nothing, either */
	assert_int_equal(tree->answers, 0);
	tree_cut(tree, HYP4);
	tree->nodes[HYP4].parent = B;
	tree_connect(tree, HYP4);
	tree_run(tree);
	assert_int_equal(tree->answers, 0);
	relay_tick(tree->nodes[ROOT].relay, tree->now_ms + 1);
	assert_int_equal(tree->answers, 1);
	assert_int_equal(tree->answer->outcome, TETHER__OUTCOME__OUTCOME_PARTIAL);
	assert_true(
	        tree_answered(tree, P1) && tree_answered(tree, P2) && tree_answered(tree, PEER2));
	assert_true(tree_missing(tree, PEER4));
	assert_int_equal(tree->answer->n_missing, 1);
}

/* Nobody names the peers of PREPARE: what it knew of them is waited for until they are back. */
static void peer_behind_a_killed_agent_is_not_overlooked_at_prepare(void **state)
{
	struct tree *tree = *state;

	tree_restart(tree, B);
	event_all(tree, TETHER__STEP__STEP_PREPARE, 1, "vm3", 5, NULL, 0);
	tree_run(tree);
	assert_int_equal(tree->answers, 0);
	tree_connect(tree, HYP1);
	tree_run(tree);
	assert_int_equal(tree->answers, 0);
	tree_connect(tree, HYP2);
	tree_run(tree);
	assert_int_equal(tree->answers, 1);
	assert_int_equal(tree->answer->outcome, TETHER__OUTCOME__OUTCOME_DONE);
	assert_true(tree_answered(tree, PEER2) && tree_answered(tree, PEER4) &&
	            tree_answered(tree, STRANGER));
}

/* Neither are those of the VM itself, nor where it is killed between. */
static void vm_behind_a_killed_agent_is_not_overlooked_at_prepare(void **state)
{
	struct tree *tree = *state;

	tree->nodes[P1].silent = true;
	event_all(tree, TETHER__STEP__STEP_PREPARE, 1, "vm1", 5, NULL, 0);
	tree_run(tree);
	tree_restart(tree, B);
	assert_int_equal(tree->answers, 0);
	tree_connect(tree, HYP2);
	tree_run(tree);
	assert_int_equal(tree->answers, 0);
	tree->nodes[P1].silent = false;
	tree_cut(tree, P1);
	tree_connect(tree, P1);
	tree_connect(tree, HYP1);
	tree_run(tree);
	is_done_by(tree, 4);
}

/* One that does not come back costs the deadline, and is forgotten as if it had been a child. */
static void host_that_stays_away_from_a_killed_agent_is_forgotten(void **state)
{
	struct tree *tree = *state;

	tree_restart(tree, B);
	tree_connect(tree, HYP1);
	tree_run(tree);
	tree_pass(tree, 500);
	event_all(tree, TETHER__STEP__STEP_PREPARE, 1, "vm3", 5, NULL, 0);
	tree_run(tree);
	is_done_by(tree, 2);
}

static void prepare_another(struct tree *tree, const char *vm, uint16_t lid)
{
	Tether__Address address;
	Tether__Event event = event_of(TETHER__STEP__STEP_PREPARE, 2, vm, &address, lid);

	event.migration = event.epoch = 2;
	event.to_vm = event.to_peers = true;
	tree_forget(tree);
	tree_event(tree, &event);
	tree_run(tree);
}

/* HYP2 does not come back to B while VMs move, one after the other. */
static void host_stays_away_while_a_vm_moves(struct tree *tree)
{
	event_all(tree, TETHER__STEP__STEP_PREPARE, 1, "vm1", 9, NULL, 0);
	tree_run(tree);
	assert_int_equal(tree->answers, 1);
	tree_kill(tree, B);
	tree_start(tree, B);
	tree_connect(tree, B);
	tree_connect(tree, HYP1);
	tree_run(tree);
}

static void one_dead_host_does_not_hold_up_those_beside_it(void **state)
{
	struct tree *tree = *state;

	host_stays_away_while_a_vm_moves(tree);
	tree_pass(tree, 500);
	prepare_another(tree, "vm3", 5);
	assert_int_equal(tree->answers, 1);
	assert_int_equal(tree->answer->outcome, TETHER__OUTCOME__OUTCOME_DONE);
	assert_true(tree_answered(tree, PEER4) && tree_answered(tree, STRANGER));
	/* What it knows of its own it has not forgotten: who names it waits for it. */
	event_all(tree, TETHER__STEP__STEP_STOP, 3, "vm1", 9,
	        (char *[]){tree->nodes[PEER2].name, tree->nodes[PEER4].name}, 2);
	tree_run(tree);
	assert_int_equal(tree->answers, 1);
	tree_connect(tree, HYP2);
	tree_run(tree);
	assert_int_equal(tree->answers, 2);
	assert_true(tree_answered(tree, PEER2));
}

/* Who asks meanwhile is answered when their time is over, or all are back: not later. */
static void hosts_have_their_time_to_come_back_also_while_a_vm_moves(void **state)
{
	struct tree *tree = *state;

	tree_pass(tree, 700);
	host_stays_away_while_a_vm_moves(tree);
	tree_pass(tree, 499);
	prepare_another(tree, "vm3", 5);
	assert_int_equal(tree->answers, 0);
	assert_int_equal(relay_next_ms(tree->nodes[A].relay, tree->now_ms), 1);
	tree_pass(tree, 1);
	assert_int_equal(tree->answers, 1);
	assert_int_equal(tree->answer->outcome, TETHER__OUTCOME__OUTCOME_DONE);
	assert_true(relay_next_ms(tree->nodes[A].relay, tree->now_ms) > 0);
}

static void restarted_root_hears_of_every_host(void **state)
{
	struct tree *tree = *state;

	tree_kill(tree, ROOT);
	tree->hosts_here = 0;
	tree_start(tree, ROOT);
	tree_connect(tree, A);
	tree_connect(tree, HYP4);
	tree_run(tree);
	assert_int_equal(tree->hosts_here, 4);
	event_order(tree, 1, "hyp1");
	event_all(tree, TETHER__STEP__STEP_PREPARE, 2, "vm1", 5, NULL, 0);
	tree_run(tree);
	assert_int_equal(tree->nodes[HYP1].orders, 1);
	assert_int_equal(tree->answer->n_answered, 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TREE_TEST(host_that_is_away_is_waited_for_and_given_its_order),
	        TREE_TEST(host_that_is_away_for_long_is_forgotten_at_every_level),
	        TREE_TEST(nobody_is_forgotten_while_a_vm_moves),
	        TREE_TEST(host_is_in_one_place_only),
	        TREE_TEST(host_may_come_back_elsewhere),
	        TREE_TEST(killed_agent_between_is_given_the_open_event_again),
	        TREE_TEST(killed_agent_between_is_given_the_open_order_again),
	        TREE_TEST(killed_agent_above_others_waits_for_all_that_are_behind_them),
	        TREE_TEST(hosts_that_come_back_one_by_one_are_all_asked),
	        TREE_TEST(host_that_comes_to_one_who_has_the_event_is_asked_there),
	        TREE_TEST(host_that_comes_just_before_the_deadline_costs_itself_alone),
	        TREE_TEST(peer_behind_a_killed_agent_is_not_overlooked_at_prepare),
	        TREE_TEST(vm_behind_a_killed_agent_is_not_overlooked_at_prepare),
	        TREE_TEST(host_that_stays_away_from_a_killed_agent_is_forgotten),
	        TREE_TEST(one_dead_host_does_not_hold_up_those_beside_it),
	        TREE_TEST(hosts_have_their_time_to_come_back_also_while_a_vm_moves),
	        TREE_TEST(restarted_root_hears_of_every_host),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
