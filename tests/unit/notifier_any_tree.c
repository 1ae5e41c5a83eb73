/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* Any tree of relays: what is said reaches once whom it concerns, and who is killed at any point
 * costs no answer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/tree_chance.h"
#include "tests/unit/tree_events.h"

enum { RANDOM_TREES = 60, RANDOM_EVENTS = 12 };

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
	deliver_all(tree);
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

/* Itself, too. */
static bool is_above(const struct tree *tree, size_t above, size_t node)
{
	while (node != above && node)
		node = tree->nodes[node].parent;
	return node == above;
}

static bool is_above_one_concerned(
        const struct tree *tree, size_t above, const char *vm, uint16_t lid)
{
	for (size_t i = 0; i < tree->count; i++)
		if (is_concerned(&tree->nodes[i], vm, lid) && is_above(tree, above, i))
			return true;
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
			assert_true(tree_answered(tree, i));
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
	deliver_all(tree);
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
	for (size_t i = 0; i < tree->count; i++)
		if (strcmp(tree->nodes[i].vm, vm) != 0 && is_concerned(&tree->nodes[i], "", lid) &&
		        is_above(tree, above, i))
			return true;
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

static void reconnect_below(struct tree *tree, size_t node)
{
	for (size_t i = 1; i < tree->count; i++)
		if (tree->nodes[i].parent == node && !tree->nodes[i].link)
			tree_connect(tree, i);
}

/* Killed at any point of an event, its children back at any point, in any order. */
static void random_kill(struct tree *tree, uint32_t turn)
{
	uint32_t sequence = 2 * turn;
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
	deliver_some(tree, steps);
	tree_kill(tree, killed);
	deliver_some(tree, dice(20));
	tree_start(tree, killed);
	tree_connect(tree, killed);
	deliver_some(tree, dice(20));
	reconnect_below(tree, killed);
	deliver_all(tree);
	assert_int_equal(tree->answers, 1);
	assert_int_equal(tree->answer->outcome, TETHER__OUTCOME__OUTCOME_DONE);
	for (size_t i = 1; i < tree->count; i++)
		if (is_concerned(&tree->nodes[i], vm, lid))
			assert_true(tree_answered(tree, i));
	event_all(tree, TETHER__STEP__STEP_RESUME, sequence + 1, vm, lid, NULL, 0);
	tree_run(tree);
	tree_forget(tree);
}

static void in_any_tree(void (*happens)(struct tree *tree, uint32_t turn))
{
	for (unsigned seed = 1; seed <= RANDOM_TREES; seed++) {
		struct tree *tree;

		srand(seed);
		tree = tree_random();
		for (uint32_t i = 1; i <= RANDOM_EVENTS; i++)
			happens(tree, i);
		tree_destroy(tree);
	}
}

static void move_reaches_whom_it_concerns_once_in_any_tree(void **state)
{
	in_any_tree(random_move);
}

static void event_reaches_whom_it_concerns_once_in_any_tree(void **state)
{
	in_any_tree(random_event);
}

static void agent_killed_at_any_point_costs_no_answer(void **state)
{
	in_any_tree(random_kill);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(move_reaches_whom_it_concerns_once_in_any_tree),
	        cmocka_unit_test(event_reaches_whom_it_concerns_once_in_any_tree),
	        cmocka_unit_test(agent_killed_at_any_point_costs_no_answer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
