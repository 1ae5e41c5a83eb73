/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* Relays over relays: what holds for one level holds at any depth. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/relay_tree.h"

enum { DEADLINE_MS = 1000, RANDOM_TREES = 60, RANDOM_EVENTS = 12 };

static Tether__Event event_of(Tether__Step step, uint32_t sequence, const char *vm,
        Tether__Address *address, uint16_t lid)
{
	Tether__Event event = TETHER__EVENT__INIT;

	tether__address__init(address);
	address->lid = lid;
	event.migration = 1;
	event.epoch = 1;
	event.step = step;
	event.sequence = sequence;
	event.deadline_ms = DEADLINE_MS;
	event.vm = (char *)vm;
	event.address = address;
	return event;
}

static void event_all(struct tree *tree, Tether__Step step, uint32_t sequence, const char *vm,
        uint16_t lid, char **expected, size_t expected_count)
{
	Tether__Address address;
	Tether__Event event = event_of(step, sequence, vm, &address, lid);

	event.to_vm = event.to_peers = true;
	event.expected = expected;
	event.n_expected = expected_count;
	tree_event(tree, &event);
}

static void event_order(struct tree *tree, uint32_t sequence, const char *host)
{
	Tether__Address address;
	Tether__Event event = event_of(TETHER__STEP__STEP_MOVE, sequence, "vm1", &address, 5);
	Tether__HostOrder order = TETHER__HOST_ORDER__INIT;

	order.host = (char *)host;
	order.action = TETHER__HOST_ACTION__HOST_DETACH;
	order.vm = (char *)"vm1";
	event.order = &order;
	tree_event(tree, &event);
}

/*
 *	root - a - b - hyp1: vm1 (two processes)
 *	     |   |   `- hyp2: vm2, talks to vm1
 *	     |   `- hyp3: vm3, talks to nobody
 *	     `- hyp4: vm4, talks to vm1
 */
enum { ROOT, A, B, HYP1, HYP2, HYP3, HYP4, P1, P2, PEER2, STRANGER, PEER4 };

static int deep_tree(void **state)
{
	struct tree *tree = tree_create();
	uint16_t five = 5;

	tree_between(tree, ROOT, "a");
	tree_between(tree, A, "b");
	tree_host(tree, B, "hyp1");
	tree_host(tree, B, "hyp2");
	tree_host(tree, A, "hyp3");
	tree_host(tree, ROOT, "hyp4");
	tree_vm(tree, HYP1, "vm1");
	tree_vm(tree, HYP2, "vm2");
	tree_vm(tree, HYP3, "vm3");
	tree_vm(tree, HYP4, "vm4");
	for (size_t host = HYP1; host <= HYP4; host++)
		tree_connect(tree, host);
	tree_process(tree, HYP1, "vm1", 10, NULL, 0);
	tree_process(tree, HYP1, "vm1", 11, NULL, 0);
	tree_process(tree, HYP2, "vm2", 10, &five, 1);
	tree_process(tree, HYP3, "vm3", 10, NULL, 0);
	tree_process(tree, HYP4, "vm4", 10, &five, 1);
	tree_run(tree);
	assert_int_equal(tree->hosts_here, 4);
	*state = tree;
	return 0;
}

static int tree_end(void **state)
{
	tree_destroy(*state);
	return 0;
}

static bool answered(const struct tree *tree, size_t node)
{
	return tree_answer_names(
	        tree->answer->answered, tree->answer->n_answered, tree->nodes[node].name);
}

static bool missing(const struct tree *tree, size_t node)
{
	return tree_answer_names(
	        tree->answer->missing, tree->answer->n_missing, tree->nodes[node].name);
}

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
	assert_true(answered(tree, P1) && answered(tree, P2) && answered(tree, PEER2) &&
	            answered(tree, PEER4));
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
	assert_true(missing(tree, P2));
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
	assert_true(missing(tree, P2));
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
	assert_true(answered(tree, PEER2));
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
	char *expected[] = {tree->nodes[P1].name, tree->nodes[P2].name, tree->nodes[PEER2].name,
	        tree->nodes[PEER4].name};

	tree->nodes[PEER2].silent = true;
	event_all(tree, TETHER__STEP__STEP_STOP, 1, "vm1", 5, expected, 4);
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
	assert_int_equal(tree->answers, 1);
	assert_int_equal(tree->answer->outcome, TETHER__OUTCOME__OUTCOME_DONE);
	assert_int_equal(tree->answer->n_answered, 4);
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

static void event_moved(
        struct tree *tree, uint32_t sequence, uint64_t epoch, const char *vm, uint16_t lid)
{
	Tether__Address address;
	Tether__Event event = event_of(TETHER__STEP__STEP_MOVED, sequence, vm, &address, lid);

	event.epoch = epoch;
	event.to_peers = true;
	tree_event(tree, &event);
	tree_run(tree);
}

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

/* ---- any tree ---- */

static unsigned dice(unsigned sides)
{
	return (unsigned)rand() % sides;
}

/* Up to six agents between, eight hosts with up to two VMs each, and their processes. */
static struct tree *tree_random(void)
{
	struct tree *tree = tree_create();
	size_t between = dice(7), hosts = 2 + dice(7);
	unsigned vm = 0;
	char name[32];

	for (size_t i = 0; i < between; i++) {
		snprintf(name, sizeof(name), "between%zu", i);
		tree_between(tree, dice(i + 1), name);
	}
	for (size_t i = 0; i < hosts; i++) {
		size_t host, first = vm;

		snprintf(name, sizeof(name), "hyp%zu", i);
		host = tree_host(tree, dice(between + 1), name);
		for (unsigned k = 1 + dice(2); k; k--) {
			snprintf(name, sizeof(name), "vm%u", vm++);
			tree_vm(tree, host, name);
		}
		tree_connect(tree, host);
		for (unsigned pid = 1; pid <= 4; pid++) {
			uint16_t lids[4];
			size_t count = dice(5);

			for (size_t k = 0; k < count; k++)
				lids[k] = 1 + dice(16);
			snprintf(name, sizeof(name), "vm%zu", first + dice(vm - first));
			tree_process(tree, host, name, pid, lids, count);
		}
	}
	while (tree_deliver(tree, 1 + dice(8)))
		;
	assert_int_equal(tree->hosts_here, hosts);
	return tree;
}

/* vmN is at LID N + 1. */
static bool is_concerned(const struct tree_node *node, const char *vm, uint16_t lid)
{
	if (strcmp(node->kind, "process"))
		return false;
	if (!strcmp(node->vm, vm))
		return true;
	for (size_t i = 0; i < node->lids_count; i++)
		if (node->lids[i] == lid)
			return true;
	return false;
}

static bool is_above_one_concerned(
        const struct tree *tree, size_t above, const char *vm, uint16_t lid)
{
	for (size_t i = 0; i < tree->count; i++) {
		size_t at = i;

		if (!is_concerned(&tree->nodes[i], vm, lid))
			continue;
		while (at != above && at)
			at = tree->nodes[at].parent;
		if (at == above)
			return true;
	}
	return false;
}

static void everybody_concerned_got_it_once(
        const struct tree *tree, const char *vm, uint16_t lid, size_t silent)
{
	size_t concerned = 0;

	for (size_t i = 1; i < tree->count; i++) {
		const struct tree_node *node = &tree->nodes[i];
		bool has_vm = false;

		for (size_t k = 0; k < node->vms_count; k++)
			has_vm |= !strcmp(node->vms[k], vm);
		concerned += is_concerned(node, vm, lid);
		if (!strcmp(node->kind, "process"))
			assert_int_equal(node->events, is_concerned(node, vm, lid));
		else if (is_above_one_concerned(tree, i, vm, lid) || has_vm)
			assert_int_equal(node->events, 1);
		else
			assert_in_range(node->events, 0, 1); /* above a VM without processes */
		if (is_concerned(node, vm, lid) && i != silent)
			assert_true(tree_answer_names(
			        tree->answer->answered, tree->answer->n_answered, node->name));
	}
	assert_int_equal(tree->answers, 1);
	assert_int_equal(tree->answer->n_answered + tree->answer->n_missing, concerned);
}

static size_t somebody_concerned(const struct tree *tree, const char *vm, uint16_t lid)
{
	for (size_t tries = 0; tries < 64; tries++) {
		size_t node = dice(tree->count);

		if (is_concerned(&tree->nodes[node], vm, lid))
			return node;
	}
	return 0;
}

static void random_event(struct tree *tree, uint32_t sequence)
{
	unsigned number = dice(8);
	uint16_t lid = number + 1;
	size_t silent;
	char vm[16];

	snprintf(vm, sizeof(vm), "vm%u", number);
	silent = dice(2) ? somebody_concerned(tree, vm, lid) : 0;
	tree->nodes[silent].silent = true;
	event_all(tree, TETHER__STEP__STEP_RESUME, sequence, vm, lid, NULL, 0);
	while (tree_deliver(tree, 1 + dice(8)))
		;
	assert_int_equal(tree->answers, !silent);
	tree_pass(tree, DEADLINE_MS);
	everybody_concerned_got_it_once(tree, vm, lid, silent);
	assert_int_equal(tree->answer->n_missing, !!silent);
	if (silent)
		assert_string_equal(tree->answer->missing[0], tree->nodes[silent].name);
	tree->nodes[silent].silent = false;
	tree_forget(tree);
}

static bool has_interest_below(const struct tree *tree, size_t above, const char *vm, uint16_t lid)
{
	for (size_t i = 0; i < tree->count; i++) {
		size_t at = i;

		if (!strcmp(tree->nodes[i].vm, vm) || !is_concerned(&tree->nodes[i], "", lid))
			continue;
		while (at != above && at)
			at = tree->nodes[at].parent;
		if (at == above)
			return true;
	}
	return false;
}

static void random_move(struct tree *tree, uint32_t sequence)
{
	unsigned number = dice(8);
	uint16_t lid = number + 1;
	char vm[16];

	snprintf(vm, sizeof(vm), "vm%u", number);
	event_moved(tree, sequence, sequence, vm, lid);
	for (size_t i = 1; i < tree->count; i++)
		if (strcmp(tree->nodes[i].kind, "process") != 0)
			assert_in_range(tree->nodes[i].moved, has_interest_below(tree, i, vm, lid),
			        is_above_one_concerned(tree, i, vm, lid));
	tree_forget(tree);
}

static void move_reaches_whom_it_concerns_once_in_any_tree(void **state)
{
	for (unsigned seed = 1; seed <= RANDOM_TREES; seed++) {
		struct tree *tree;

		srand(seed);
		tree = tree_random();
		for (uint32_t i = 1; i <= RANDOM_EVENTS; i++)
			random_move(tree, i);
		tree_destroy(tree);
	}
}

static void event_reaches_whom_it_concerns_once_in_any_tree(void **state)
{
	for (unsigned seed = 1; seed <= RANDOM_TREES; seed++) {
		struct tree *tree;

		srand(seed);
		tree = tree_random();
		for (uint32_t i = 1; i <= RANDOM_EVENTS; i++)
			random_event(tree, i);
		tree_destroy(tree);
	}
}

static void reconnect_below(struct tree *tree, size_t node)
{
	for (size_t i = 1; i < tree->count; i++)
		if (tree->nodes[i].parent == node && !tree->nodes[i].link)
			tree_connect(tree, i);
}

/* Killed at any point of an event, its children back at any point, in any order. */
static void random_kill(struct tree *tree, uint32_t sequence)
{
	size_t killed = 1 + dice(tree->count - 1);
	unsigned number = dice(8), steps = dice(40);
	uint16_t lid = number + 1;
	char *expected[TREE_NODES_MOST], vm[16];
	size_t count = 0;

	while (strcmp(tree->nodes[killed].kind, "between") &&
	        strcmp(tree->nodes[killed].kind, "host"))
		killed = 1 + dice(tree->count - 1);
	snprintf(vm, sizeof(vm), "vm%u", number);
	for (size_t i = 1; i < tree->count; i++)
		if (is_concerned(&tree->nodes[i], vm, lid))
			expected[count++] = tree->nodes[i].name;
	event_all(tree, TETHER__STEP__STEP_STOP, sequence, vm, lid, expected, count);
	while (steps-- && tree_deliver(tree, 1 + dice(8)))
		;
	tree_kill(tree, killed);
	for (steps = dice(20); steps && tree_deliver(tree, 1 + dice(8)); steps--)
		;
	tree_start(tree, killed);
	tree_connect(tree, killed);
	for (steps = dice(20); steps && tree_deliver(tree, 1 + dice(8)); steps--)
		;
	reconnect_below(tree, killed);
	while (tree_deliver(tree, 1 + dice(8)))
		;
	assert_int_equal(tree->answers, 1);
	assert_int_equal(tree->answer->outcome, TETHER__OUTCOME__OUTCOME_DONE);
	for (size_t i = 0; i < count; i++)
		assert_true(tree_answer_names(
		        tree->answer->answered, tree->answer->n_answered, expected[i]));
	event_all(tree, TETHER__STEP__STEP_RESUME, sequence + 1, vm, lid, NULL, 0);
	tree_run(tree);
	tree_forget(tree);
}

static void agent_killed_at_any_point_costs_no_answer(void **state)
{
	for (unsigned seed = 1; seed <= RANDOM_TREES; seed++) {
		struct tree *tree;

		srand(seed);
		tree = tree_random();
		for (uint32_t i = 1; i <= RANDOM_EVENTS; i++)
			random_kill(tree, 2 * i);
		tree_destroy(tree);
	}
}

#define TREE_TEST(name) cmocka_unit_test_setup_teardown(name, deep_tree, tree_end)

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TREE_TEST(event_goes_once_over_each_link_to_somebody_concerned),
	        TREE_TEST(silent_process_is_named_through_every_level),
	        TREE_TEST(lower_level_answers_before_the_upper_gives_up),
	        TREE_TEST(order_reaches_a_host_at_any_depth),
	        TREE_TEST(vm_is_found_where_the_result_of_an_order_shows_it),
	        TREE_TEST(barrier_falls_at_each_level_that_the_vm_has_left),
	        TREE_TEST(host_that_is_away_is_waited_for_and_given_its_order),
	        TREE_TEST(host_that_is_away_for_long_is_forgotten_at_every_level),
	        TREE_TEST(nobody_is_forgotten_while_a_vm_moves),
	        TREE_TEST(host_is_in_one_place_only),
	        TREE_TEST(host_may_come_back_elsewhere),
	        TREE_TEST(killed_agent_between_is_given_the_open_event_again),
	        TREE_TEST(killed_agent_between_is_given_the_open_order_again),
	        TREE_TEST(restarted_root_hears_of_every_host),
	        TREE_TEST(registration_is_acknowledged_by_the_root_and_held_by_its_barrier),
	        TREE_TEST(prepare_waits_for_registrations_at_every_depth),
	        TREE_TEST(what_one_host_missed_is_told_to_it_alone),
	        TREE_TEST(move_is_said_once_to_each_server_with_interest),
	        TREE_TEST(move_of_an_older_epoch_is_not_said),
	        TREE_TEST(move_is_no_migration),
	        TREE_TEST(server_hears_of_addresses_that_it_wants_itself),
	        cmocka_unit_test(move_reaches_whom_it_concerns_once_in_any_tree),
	        cmocka_unit_test(event_reaches_whom_it_concerns_once_in_any_tree),
	        cmocka_unit_test(agent_killed_at_any_point_costs_no_answer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
