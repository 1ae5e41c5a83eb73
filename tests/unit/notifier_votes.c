/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * No step is done without everybody who was expected and lives. In trees up to five links deep,
 * whose agents are killed, come back, lose their links and come to other parents, whose processes
 * end, at any point, in any order and several at once: whoever was expected has answered, is
 * missing or has ended, and each is true.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/tree_chance.h"
#include "tests/unit/tree_events.h"

enum {
	TREES = 150,
	TREES_FULL = 8000,
	TURNS = 8,
	TROUBLES_MOST = 6,
	VM_LID = 5,
};

struct scene {
	struct tree *tree;
	size_t between[6], hosts[8], processes[40];
	size_t between_count, hosts_count, process_count;
	uint32_t sequence;
	bool has_gone_elsewhere; /* somebody, since the turn began */
	char *expected[40];
	size_t expected_nodes[40], expected_count;
};

/* Those who talk to vm0 are in every VM, vm0 on the first host. */
static void process_make(struct scene *scene, size_t host, unsigned vm, unsigned pid)
{
	static const uint16_t lid = VM_LID;
	char name[16];
	size_t node;

	snprintf(name, sizeof(name), "vm%u", vm);
	node = tree_process(scene->tree, host, name, pid, &lid, vm ? 1 : 0);
	scene->tree->nodes[node].takes_part = true;
	scene->processes[scene->process_count++] = node;
}

/* Agents between hang below each other rather than beside, and hosts below the lowest. */
static struct scene scene_make(void)
{
	struct scene scene = {.tree = tree_create()};
	size_t between = 1 + dice(4), hosts = 2 + dice(4);
	char name[16];

	for (size_t i = 0; i < between; i++) {
		snprintf(name, sizeof(name), "between%zu", i);
		scene.between[i] =
		        tree_between(scene.tree, !i || !dice(4) ? 0 : scene.between[i - 1], name);
	}
	scene.between_count = between;
	for (size_t i = 0; i < hosts; i++) {
		size_t parent = dice(3) ? scene.between[between - 1] : scene.between[dice(between)];

		snprintf(name, sizeof(name), "hyp%zu", i);
		scene.hosts[i] = tree_host(scene.tree, parent, name);
		snprintf(name, sizeof(name), "vm%zu", i);
		tree_vm(scene.tree, scene.hosts[i], name);
		tree_connect(scene.tree, scene.hosts[i]);
		parent = dice(3) ? scene.hosts[i] : tree_guest(scene.tree, scene.hosts[i], name);
		for (unsigned pid = 1 + dice(3); pid; pid--)
			process_make(&scene, parent, i, pid);
	}
	scene.hosts_count = hosts;
	deliver_all(scene.tree);
	assert_int_equal(scene.tree->hosts_here, hosts);
	return scene;
}

static bool is_agent(const struct tree_node *node)
{
	return strcmp(node->kind, "process") != 0;
}

static bool is_above(const struct tree *tree, size_t above, size_t node)
{
	while (node != above && node)
		node = tree->nodes[node].parent;
	return node == above;
}

/* To another agent between or to the root, as where its settings name two. */
static void host_goes_elsewhere(struct scene *scene)
{
	size_t host = scene->hosts[dice(scene->hosts_count)];

	scene->has_gone_elsewhere = true;
	tree_cut(scene->tree, host);
	scene->tree->nodes[host].parent = dice(4) ? scene->between[dice(scene->between_count)] : 0;
}

static void between_goes_elsewhere(struct scene *scene)
{
	size_t node = scene->between[dice(scene->between_count)];
	size_t parent = dice(2) ? scene->between[dice(scene->between_count)] : 0;

	if (is_above(scene->tree, node, parent))
		return;
	scene->has_gone_elsewhere = true;
	tree_cut(scene->tree, node);
	scene->tree->nodes[node].parent = parent;
}

/* Of processes that are behind a guest now and then that. */
static size_t some_agent(const struct scene *scene)
{
	if (dice(3))
		return scene->between[dice(scene->between_count)];
	if (dice(2))
		return scene->hosts[dice(scene->hosts_count)];
	return scene->tree->nodes[scene->processes[dice(scene->process_count)]].parent;
}

static void agent_is_killed(struct scene *scene)
{
	tree_kill(scene->tree, some_agent(scene));
}

static void agent_starts(struct tree *tree, size_t node)
{
	if (tree->nodes[node].relay)
		return;
	tree_start(tree, node);
}

static void somebody_connects(struct tree *tree, size_t node)
{
	const struct tree_node *it = &tree->nodes[node];

	if (!it->link && !it->ended && (!is_agent(it) || it->relay))
		tree_connect(tree, node);
}

static void trouble(struct scene *scene)
{
	struct tree *tree = scene->tree;
	size_t node = 1 + dice(tree->count - 1);

	switch (dice(9)) {
	case 0:
		host_goes_elsewhere(scene);
		break;
	case 1:
		between_goes_elsewhere(scene);
		break;
	case 2:
	case 3:
		agent_is_killed(scene);
		break;
	case 4:
		tree_cut(tree, node);
		break;
	case 5:
		if (!is_agent(&tree->nodes[node]) && !dice(3))
			tree_process_ends(tree, node);
		break;
	case 6:
		if (is_agent(&tree->nodes[node]))
			agent_starts(tree, node);
		break;
	default:
		somebody_connects(tree, node);
		break;
	}
}

/* Everybody who lives comes back, in any order. */
static void all_come_back(struct scene *scene)
{
	struct tree *tree = scene->tree;

	for (unsigned round = 0; round < 12; round++) {
		size_t first = dice(tree->count);

		for (size_t i = 0; i < tree->count; i++) {
			size_t node = (first + i) % tree->count;

			if (!node)
				continue;
			if (is_agent(&tree->nodes[node]))
				agent_starts(tree, node);
			somebody_connects(tree, node);
			deliver_some(tree, dice(12));
		}
		deliver_all(tree);
	}
}

static void event_is_sent(struct scene *scene)
{
	static const Tether__Step steps[] = {TETHER__STEP__STEP_STOP, TETHER__STEP__STEP_SETTLE,
	        TETHER__STEP__STEP_RELEASE, TETHER__STEP__STEP_RECONNECT};

	scene->expected_count = 0;
	for (size_t i = 0; i < scene->process_count; i++) {
		struct tree_node *node = &scene->tree->nodes[scene->processes[i]];

		if (node->ended)
			continue;
		scene->expected_nodes[scene->expected_count] = scene->processes[i];
		scene->expected[scene->expected_count++] = node->name;
	}
	event_all(scene->tree, steps[dice(4)], ++scene->sequence, "vm0", VM_LID, scene->expected,
	        scene->expected_count);
}

static unsigned times_named(char **names, size_t count, const char *name)
{
	unsigned times = 0;

	for (size_t i = 0; i < count; i++)
		times += !strcmp(names[i], name);
	return times;
}

static void answer_tells_the_truth_of_all(const struct scene *scene)
{
	const Tether__Answer *answer = scene->tree->answer;

	assert_int_equal(scene->tree->answers, 1);
	/* One that has answered through two agents has done so twice. */
	if (answer->outcome == TETHER__OUTCOME__OUTCOME_DONE && !scene->has_gone_elsewhere)
		assert_int_equal(
		        answer->counts ? answer->counts->processes : 0, answer->n_answered);
	for (size_t i = 0; i < scene->expected_count; i++) {
		const struct tree_node *node = &scene->tree->nodes[scene->expected_nodes[i]];
		unsigned answered = times_named(answer->answered, answer->n_answered, node->name);
		unsigned missing = times_named(answer->missing, answer->n_missing, node->name);
		unsigned ended = times_named(answer->ended, answer->n_ended, node->name);

		assert_int_equal(answered + missing + ended, 1);
		assert_true(!answered || node->answers);
		assert_true(!ended || node->ended);
		assert_true(!missing || answer->outcome != TETHER__OUTCOME__OUTCOME_DONE);
	}
}

static void migration_is_over(struct scene *scene)
{
	all_come_back(scene);
	tree_forget(scene->tree);
	event_all(
	        scene->tree, TETHER__STEP__STEP_RESUME, ++scene->sequence, "vm0", VM_LID, NULL, 0);
	deliver_all(scene->tree);
	tree_pass(scene->tree, DEADLINE_MS);
	tree_forget(scene->tree);
}

/* @troubles: so many at most. Returns whether it was done. */
static bool turn(struct scene *scene, unsigned troubles)
{
	bool done;

	tree_forget(scene->tree);
	scene->has_gone_elsewhere = false;
	for (unsigned i = dice(troubles + 1); i; i--) {
		trouble(scene);
		deliver_some(scene->tree, dice(10));
	}
	event_is_sent(scene);
	for (unsigned i = dice(troubles + 1); i; i--) {
		deliver_some(scene->tree, dice(20));
		trouble(scene);
	}
	all_come_back(scene);
	if (!scene->tree->answers)
		tree_pass(scene->tree, DEADLINE_MS);
	answer_tells_the_truth_of_all(scene);
	done = scene->tree->answer->outcome == TETHER__OUTCOME__OUTCOME_DONE;
	migration_is_over(scene);
	return done;
}

/* Before it is delivered or at any point after that; nobody else has any trouble. */
static void one_is_killed(struct scene *scene)
{
	struct tree *tree = scene->tree;
	size_t node = some_agent(scene);

	event_is_sent(scene);
	deliver_some(tree, dice(2) ? dice(60) : 0);
	tree_kill(tree, node);
	deliver_some(tree, dice(20));
	agent_starts(tree, node);
	all_come_back(scene);
	assert_int_equal(tree->answers, 1);
	assert_int_equal(tree->answer->outcome, TETHER__OUTCOME__OUTCOME_DONE);
	assert_int_equal(tree->answer->n_answered, scene->expected_count);
	answer_tells_the_truth_of_all(scene);
	migration_is_over(scene);
}

/* Nobody is named by PREPARE: whom it concerns the agents know, and one that is killed before it,
 * or in the middle of it, does not any more. */
static void one_between_is_killed_at_prepare(struct scene *scene)
{
	struct tree *tree = scene->tree;
	size_t node = scene->between[dice(scene->between_count)];
	bool before = dice(2);

	if (before) {
		tree_kill(tree, node);
		deliver_some(tree, dice(20));
		agent_starts(tree, node);
		somebody_connects(tree, node);
		deliver_some(tree, dice(20));
	}
	event_all(tree, TETHER__STEP__STEP_PREPARE, ++scene->sequence, "vm0", VM_LID, NULL, 0);
	deliver_some(tree, dice(60));
	if (!before)
		tree_kill(tree, node);
	all_come_back(scene);
	assert_int_equal(tree->answers, 1);
	assert_int_equal(tree->answer->outcome, TETHER__OUTCOME__OUTCOME_DONE);
	assert_int_equal(tree->answer->n_answered, scene->process_count);
	migration_is_over(scene);
}

static void trees_each(void (*happens)(struct scene *scene))
{
	unsigned trees = getenv("TETHER_FULL") ? TREES_FULL : TREES;
	const char *from = getenv("VOTES_SEED");
	unsigned first = from ? strtoul(from, NULL, 10) : 1;

	for (unsigned seed = first; seed < first + trees; seed++) {
		struct scene scene;

		srand(seed);
		if (from)
			fprintf(stderr, "seed %u\n", seed);
		scene = scene_make();
		for (unsigned i = 0; i < TURNS; i++)
			happens(&scene);
		tree_destroy(scene.tree);
	}
}

static void one_agent_that_is_killed_costs_nobodys_answer(void **state)
{
	trees_each(one_is_killed);
}

static void nobody_is_overlooked_at_prepare_because_of_one_that_is_killed(void **state)
{
	trees_each(one_between_is_killed_at_prepare);
}

static unsigned turns_done, turns_in_all;

static void all_sorts_of_trouble(struct scene *scene)
{
	turns_in_all++;
	turns_done += turn(scene, TROUBLES_MOST);
}

static void nothing_is_done_without_somebody_who_was_expected_and_lives(void **state)
{
	trees_each(all_sorts_of_trouble);
	print_message("# %u turns of %u were done all the same\n", turns_done, turns_in_all);
	/* Somebody who does nothing at all would tell no lie, either. */
	assert_true(turns_done > turns_in_all / 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(one_agent_that_is_killed_costs_nobodys_answer),
	        cmocka_unit_test(nobody_is_overlooked_at_prepare_because_of_one_that_is_killed),
	        cmocka_unit_test(nothing_is_done_without_somebody_who_was_expected_and_lives),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
