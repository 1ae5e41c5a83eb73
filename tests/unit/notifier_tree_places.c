/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* Relays over relays: where VMs are, and what is measured by it, at any depth. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "notifier/base/cleanup.h"
#include "tests/unit/deep_tree.h"
#include "tests/unit/tree_events.h"

enum { LID = 5, ONE = 0x8001, OTHER = 0x8002 };

/* vm1 and vm2 are in one partition, vm3 and vm4 in another. */
static void places_say(struct tree *tree)
{
	tree_place(tree, "vm1", "hyp1", "", LID, ONE);
	tree_place(tree, "vm2", "hyp2", "", 6, ONE);
	tree_place(tree, "vm3", "hyp3", "", 7, OTHER);
	tree_place(tree, "vm4", "hyp4", "", 8, OTHER);
	tree_run(tree);
}

static void event_with_pkeys(struct tree *tree, Tether__Step step, uint32_t sequence)
{
	Tether__Address address;
	Tether__Event event = event_of(step, sequence, "vm1", &address, LID);
	uint32_t pkeys[] = {ONE};

	event.to_vm = event.to_peers = true;
	event.pkeys = pkeys;
	event.n_pkeys = ARRAY_SIZE(pkeys);
	tree_event(tree, &event);
	tree_run(tree);
}

static void who_may_not_talk_hears_nothing_at_any_depth(void **state)
{
	struct tree *tree = *state;

	places_say(tree);
	event_with_pkeys(tree, TETHER__STEP__STEP_STOP, 1);
	assert_int_equal(tree->nodes[P1].events, 1);
	assert_int_equal(tree->nodes[PEER2].events, 1);
	assert_int_equal(tree->nodes[HYP4].events, 0);
	assert_int_equal(tree->nodes[PEER4].events, 0);
	assert_int_equal(tree->answer->outcome, TETHER__OUTCOME__OUTCOME_DONE);
	assert_int_equal(tree->answer->n_answered, 3);
}

/* Two VMs behind one agent between: it is told of for the one, and looks itself at the other. */
static void level_between_looks_at_its_hosts_itself(void **state)
{
	struct tree *tree = *state;

	places_say(tree);
	tree_place(tree, "vm2", "hyp2", "", 6, OTHER);
	tree_run(tree);
	event_with_pkeys(tree, TETHER__STEP__STEP_STOP, 1);
	assert_int_equal(tree->nodes[B].events, 1);
	assert_int_equal(tree->nodes[HYP2].events, 0);
	assert_int_equal(tree->answer->n_answered, 2);
}

/* The root knows whose process it is through three levels. */
static void who_may_not_talk_does_not_register_at_any_depth(void **state)
{
	struct tree *tree = *state;

	places_say(tree);
	tree_place(tree, "vm2", "hyp2", "", 6, OTHER);
	tree_run(tree);
	tree_interest(tree, PEER2, LID, 17, false);
	tree_run(tree);
	assert_int_equal(tree->refused, 1);
	tree_interest(tree, P1, 6, 0, false);
	tree_run(tree);
	assert_int_equal(tree->refused, 2);
	tree_interest(tree, P1, LID, 0, false); /* in its own VM */
	tree_run(tree);
	assert_int_equal(tree->refused, 2);
	assert_int_equal(tree->registered, 1);
}

static void place_follows_a_host_that_is_told_anew(void **state)
{
	struct tree *tree = *state;

	places_say(tree);
	tree_restart(tree, A);
	tree_connect(tree, B);
	tree_connect(tree, HYP3);
	tree_run(tree);
	event_with_pkeys(tree, TETHER__STEP__STEP_STOP, 1);
	assert_int_equal(tree->nodes[P1].events, 1);
	assert_int_equal(tree->nodes[PEER2].events, 1);
	assert_int_equal(tree->nodes[PEER4].events, 0);
}

/* hyp3 says that it has vm1, which is hyp1's: neither level between hands it anything. */
static void foreign_vm_is_not_its_at_any_depth(void **state)
{
	struct tree *tree = *state;

	places_say(tree);
	tree_cut(tree, HYP3);
	tree_vm(tree, HYP3, "vm1");
	tree_connect(tree, HYP3);
	tree_run(tree);
	event_all(tree, TETHER__STEP__STEP_STOP, 1, "vm1", LID, NULL, 0);
	tree_run(tree);
	assert_int_equal(tree->nodes[HYP1].events, 1);
	assert_int_equal(tree->nodes[HYP3].events, 0);
	assert_int_equal(relay_counts(tree->nodes[A].relay).foreign_vms, 1);
	assert_int_equal(relay_counts(tree->nodes[ROOT].relay).foreign_vms, 1);
}

/* The host that it comes to may say so, too, and the one that it leaves no more when it is there.
 */
static void vm_that_moves_is_of_both_hosts_until_it_is_there(void **state)
{
	struct tree *tree = *state;

	places_say(tree);
	tree_place(tree, "vm1", "hyp1", "hyp3", LID, ONE);
	tree_cut(tree, HYP3);
	tree_vm(tree, HYP3, "vm1");
	tree_connect(tree, HYP3);
	tree_run(tree);
	assert_int_equal(relay_counts(tree->nodes[ROOT].relay).foreign_vms, 0);
	event_all(tree, TETHER__STEP__STEP_STOP, 1, "vm1", LID, NULL, 0);
	tree_run(tree);
	assert_int_equal(tree->nodes[HYP1].events, 1);
	assert_int_equal(tree->nodes[HYP3].events, 1);
	tree_place(tree, "vm1", "hyp3", "", LID, ONE);
	tree_run(tree);
	tree_forget(tree);
	event_all(tree, TETHER__STEP__STEP_RESUME, 2, "vm1", LID, NULL, 0);
	tree_run(tree);
	assert_int_equal(tree->nodes[HYP1].events, 0);
	assert_int_equal(tree->nodes[HYP3].events, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TREE_TEST(who_may_not_talk_hears_nothing_at_any_depth),
	        TREE_TEST(level_between_looks_at_its_hosts_itself),
	        TREE_TEST(who_may_not_talk_does_not_register_at_any_depth),
	        TREE_TEST(place_follows_a_host_that_is_told_anew),
	        TREE_TEST(foreign_vm_is_not_its_at_any_depth),
	        TREE_TEST(vm_that_moves_is_of_both_hosts_until_it_is_there),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
