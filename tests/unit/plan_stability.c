/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* What is said of a plan's life under a routing engine, over random fabrics. That it is true is
 * shown by tests/simfabric/stability_test.py with OpenSM. */
#include <string.h>

#include "sm-side/plan/stability.h"
#include "unit/plan_moves.h"

#define ROUNDS FABRICS

static const char *const keep_shortest[] = {"minhop", "updn", "dnup"};
static const char *const choose_by_switch[] = {"dor", "lash"};
static const char *const choose_by_place[] = {"ftree", "sssp", "dfsssp"};
static const char *const unknown[] = {"nue", "torus-2QoS", "", "minhop2", "file"};

struct said {
	enum refusal refused;
	enum stability keeps, by_switch, by_place, unknown;
	uint32_t entries;
};

static enum stability said_under(const struct fabric_view *view, const struct plan_request *request,
        const struct plan *plan, const char *const *engines, size_t count)
{
	enum stability first = plan_stability(view, &endpoint_vswitch, request, plan, engines[0]);

	for (size_t i = 1; i < count; i++)
		assert_int_equal(
		        plan_stability(view, &endpoint_vswitch, request, plan, engines[i]), first);
	return first;
}

#define under(engines)                                                                             \
	said_under(view, &request, plan, engines, sizeof(engines) / sizeof(*(engines)))

static struct said said_of(struct plan_move_request move, enum plan_reach reach)
{
	struct fabric_view *view = test_view(&fabric);
	struct plan_request request = {.reach = reach, .move_count = 1, .moves = &move};
	struct said said = {0};
	struct plan *plan;

	said.refused = plan_make(view, &endpoint_vswitch, &request, &plan);
	if (!said.refused) {
		said.keeps = under(keep_shortest);
		said.by_switch = under(choose_by_switch);
		said.by_place = under(choose_by_place);
		said.unknown = under(unknown);
		said.entries = plan->entry_count;
		plan_destroy(plan);
	}
	fabric_view_destroy(view);
	return said;
}

static void an_exchange_of_all_entries_is_stable_under_what_is_known(void **state)
{
	for (unsigned round = 0; round < ROUNDS; round++) {
		unsigned slot;
		struct said said;

		test_fabric_make(&fabric, round);
		slot = test_random(&fabric, fabric.slot_count);
		said = said_of(request_for(slot, another_slot(slot)), PLAN_DETERMINISTIC);
		assert_int_equal(said.refused, REFUSAL_NONE);
		assert_int_equal(said.keeps, PLAN_STABLE);
		assert_int_equal(said.by_switch, PLAN_STABLE);
		assert_int_equal(said.by_place, PLAN_STABLE);
		assert_int_equal(said.unknown, PLAN_REVERTED);
	}
}

/* A vSwitch's first port is its uplink. */
static unsigned leaf_of(unsigned slot)
{
	return fabric.switches[fabric.slots[slot].sw].peer[1].index;
}

static void the_least_is_stable_at_its_leaf_or_where_it_is_all(void **state)
{
	unsigned at_leaf = 0, elsewhere = 0, all = 0;

	for (unsigned round = 0; round < ROUNDS; round++) {
		unsigned from, to;
		struct said least;
		bool is_all, stays;

		test_fabric_make(&fabric, round);
		from = test_random(&fabric, fabric.slot_count);
		to = another_slot(from);
		earlier = fabric;
		least = said_of(request_for(from, to), PLAN_MINIMUM);
		assert_memory_equal(&fabric, &earlier, sizeof(fabric));
		if (least.refused) {
			assert_int_equal(least.refused, REFUSAL_DEADLOCK);
			continue;
		}
		is_all =
		        least.entries == said_of(request_for(from, to), PLAN_DETERMINISTIC).entries;
		stays = leaf_of(from) == leaf_of(to);
		assert_int_equal(least.keeps, is_all || stays ? PLAN_STABLE : PLAN_REVERTED);
		assert_int_equal(least.by_switch, least.keeps);
		assert_int_equal(least.by_place, is_all ? PLAN_STABLE : PLAN_REVERTED);
		assert_int_equal(least.unknown, PLAN_REVERTED);
		at_leaf += stays && !is_all;
		elsewhere += !stays && !is_all;
		all += is_all;
	}
	assert_true(at_leaf && elsewhere && all);
}

/* A link goes down with the VM, for which OpenSM chooses anew. */
static void what_is_no_exchange_is_stable_only_where_the_switch_decides(void **state)
{
	for (unsigned round = 0; round < ROUNDS; round++) {
		struct plan_move_request move = {.kind = VM_DESTROY};
		struct said said;

		test_fabric_make(&fabric, round);
		move.vm_port_guid =
		        request_for(test_random(&fabric, fabric.slot_count), 0).vm_port_guid;
		said = said_of(move, PLAN_DETERMINISTIC);
		assert_int_equal(said.refused, REFUSAL_NONE);
		assert_int_equal(said.by_switch, PLAN_STABLE);
		assert_int_equal(said.keeps, PLAN_REVERTED);
		assert_int_equal(said.by_place, PLAN_REVERTED);
		assert_int_equal(said.unknown, PLAN_REVERTED);
	}
}

static unsigned slots_asked;

static enum refusal counted_slot(
        const struct fabric_view *view, struct view_place place, uint32_t *occupant)
{
	slots_asked++;
	return endpoint_vswitch.slot(view, place, occupant);
}

static bool plans_again(const struct fabric_view *view, const struct plan_request *request,
        const struct plan *plan, const char *engine)
{
	struct endpoint_model counting = endpoint_vswitch;

	counting.slot = counted_slot;
	slots_asked = 0;
	plan_stability(view, &counting, request, plan, engine);
	return slots_asked;
}

/* OpenSM's lock is held meanwhile. */
static void a_second_plan_is_made_only_where_it_decides(void **state)
{
	unsigned made = 0, spared = 0;

	for (unsigned round = 0; round < ROUNDS; round++) {
		struct plan_move_request move;
		struct plan_request request = {.move_count = 1, .moves = &move};
		struct fabric_view *view;
		struct plan *plan;
		unsigned from, to;

		test_fabric_make(&fabric, round);
		from = test_random(&fabric, fabric.slot_count);
		to = another_slot(from);
		move = request_for(from, to);
		request.reach = round % 4 ? PLAN_MINIMUM : PLAN_DETERMINISTIC;
		view = test_view(&fabric);
		if (!plan_make(view, &endpoint_vswitch, &request, &plan)) {
			bool decides =
			        request.reach == PLAN_MINIMUM && leaf_of(from) != leaf_of(to);

			assert_false(plans_again(view, &request, plan, "nue"));
			assert_int_equal(plans_again(view, &request, plan, "minhop"), decides);
			assert_int_equal(plans_again(view, &request, plan, "lash"), decides);
			made += decides;
			spared += request.reach == PLAN_MINIMUM && !decides;
			plan_destroy(plan);
		}
		fabric_view_destroy(view);
	}
	assert_true(made && spared);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(an_exchange_of_all_entries_is_stable_under_what_is_known),
	        cmocka_unit_test(the_least_is_stable_at_its_leaf_or_where_it_is_all),
	        cmocka_unit_test(what_is_no_exchange_is_stable_only_where_the_switch_decides),
	        cmocka_unit_test(a_second_plan_is_made_only_where_it_decides),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
