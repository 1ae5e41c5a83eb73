/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* MTU and rate of paths as they are after a plan, against walks through the tables it leaves. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "sm-side/plan/paths.h"
#include "unit/plan_topologies.h"

enum { SEEDS = 200 };

static struct topology topology, after;
static struct view_cable cables[TOPOLOGY_SWITCHES][TOPOLOGY_PORTS + 1];

/* From slow to fast (IBA 15.2.5.16). */
static const uint8_t rates[] = {
        2, 5, 3, 11, 6, 15, 19, 4, 7, 20, 12, 8, 9, 16, 13, 10, 14, 17, 18, 21, 22, 23, 24};
enum { RATES = sizeof(rates) };

static unsigned speed_of(uint8_t rate)
{
	unsigned speed = 0;

	while (rates[speed] != rate)
		speed++;
	return speed;
}

static void the_slower_of_two_rates_is_not_the_smaller_code(void **state)
{
	for (unsigned a = 0; a < RATES; a++)
		for (unsigned b = 0; b < RATES; b++)
			assert_int_equal(slower_rate(rates[a], rates[b]), rates[a < b ? a : b]);
	assert_int_equal(slower_rate(0, 7), 7);
	assert_int_equal(slower_rate(7, 0), 7);
	assert_int_equal(slower_rate(0, 0), 0);
	assert_int_equal(slower_rate(200, 7), 7);
}

static void cables_choose(struct fabric_view *view)
{
	for (unsigned sw = 0; sw < topology.switch_count; sw++)
		for (unsigned port = 1; port <= topology.switches[sw].ports; port++) {
			struct topology_peer peer = topology.switches[sw].peer[port];
			struct view_cable *cable = &cables[sw][port];

			*cable = (struct view_cable){(uint8_t)(1 + topology_random(&topology, 5)),
			        rates[topology_random(&topology, RATES)]};
			if (peer.kind == PEER_SWITCH && peer.index < sw)
				*cable = cables[peer.index][peer.port];
			assert_int_equal(fabric_view_limit(view, sw, (uint8_t)port, *cable), 0);
		}
}

/* The test's own walk, over tables that have been written. */
static void walk(unsigned from, unsigned to, uint8_t *mtu, uint8_t *rate)
{
	unsigned sw = after.slots[from].sw, port = after.slots[from].port;

	for (;;) {
		const struct view_cable *cable = &cables[sw][port];

		*mtu = cable->mtu < *mtu ? cable->mtu : *mtu;
		*rate = speed_of(cable->rate) < speed_of(*rate) ? cable->rate : *rate;
		if (after.switches[sw].peer[port].kind == PEER_SWITCH)
			sw = after.switches[sw].peer[port].index;
		if (sw == after.slots[to].sw && port == after.slots[to].port)
			return;
		port = after.switches[sw].lft[topology_lid_in(&after, to)];
	}
}

static unsigned vf(void)
{
	unsigned slot;

	do
		slot = topology_random(&topology, topology.slot_count);
	while (!topology_lid_in(&topology, slot) || topology.slots[slot].is_pf);
	return slot;
}

static struct plan *swap(struct fabric_view *view, unsigned a, unsigned b, enum plan_reach reach)
{
	struct plan_move_request move = {.vm_port_guid = topology_port_guid_in(&topology, a),
	        .to = topology_place(&topology, b)};
	struct plan_request request = {.reach = reach, .move_count = 1, .moves = &move};
	struct plan *plan = NULL;
	enum refusal refused = plan_make(view,
	        topology.has_vswitches ? &endpoint_vswitch : &endpoint_plain_ca, &request, &plan);

	assert_true(!refused || refused == REFUSAL_DEADLOCK || refused == REFUSAL_SAME_PLACE);
	return plan;
}

static void plan_write(const struct plan *plan, unsigned a, unsigned b)
{
	after = topology;
	for (uint32_t i = 0; i < plan->sets.change_count; i++)
		topology_write(&after, plan->sets.changes[i].switch_guid,
		        plan->sets.changes[i].block, plan->sets.changes[i].after);
	topology_exchange(&after, a, b);
}

static void assert_paths_are_walked(const struct fabric_view *view, const struct plan *plan)
{
	uint16_t peers[TOPOLOGY_SLOTS + 1];
	struct plan_path *paths;
	uint32_t peer_count = 0, count;

	for (unsigned slot = 0; slot < after.slot_count; slot++)
		if (topology_lid_in(&after, slot))
			peers[peer_count++] = topology_lid_in(&after, slot);
	peers[peer_count++] = TOPOLOGY_LIDS + 1; /* nobody's */
	assert_int_equal(plan_paths(view, plan, peers, peer_count, &paths, &count), 0);
	assert_int_equal(count, (peer_count - 1) * plan->transfer_count);
	for (uint32_t i = 0; i < count; i++) {
		int from = topology_slot_of_lid(&after, paths[i].local_lid);
		int to = topology_slot_of_lid(&after, paths[i].remote_lid);
		uint8_t mtu = 5, rate = rates[RATES - 1];

		walk((unsigned)from, (unsigned)to, &mtu, &rate);
		walk((unsigned)to, (unsigned)from, &mtu, &rate);
		assert_int_equal(paths[i].mtu, mtu);
		assert_int_equal(paths[i].rate, rate);
	}
	free(paths);
}

static void paths_are_limited_as_their_cables_are(void **state)
{
	unsigned planned = 0;

	for (uint64_t seed = 0; seed < SEEDS; seed++) {
		struct fabric_view *view, *copy;
		struct plan *plan;
		unsigned a, b;

		topology_make(&topology, TOPOLOGY_ANY, seed);
		view = topology_view(&topology);
		cables_choose(view);
		a = vf();
		b = vf();
		plan = swap(view, a, b, seed % 2);
		if (plan) {
			plan_write(plan, a, b);
			assert_paths_are_walked(view, plan);
			copy = fabric_view_copy(view);
			assert_paths_are_walked(copy, plan);
			fabric_view_destroy(copy);
			planned++;
		}
		plan_destroy(plan);
		fabric_view_destroy(view);
	}
	assert_in_range(planned, SEEDS / 2, SEEDS);
}

static void what_is_not_known_is_said_to_be_not_known(void **state)
{
	struct fabric_view *view;
	struct plan_path *paths;
	struct plan *plan;
	uint16_t peer;
	uint32_t count;
	unsigned a, b;

	topology_make(&topology, (struct topology_wish){TOPOLOGY_FAT_TREE_2, TOPOLOGY_UPDN, 1}, 3);
	view = topology_view(&topology);
	do {
		a = vf();
		b = vf();
		plan = swap(view, a, b, PLAN_DETERMINISTIC);
	} while (!plan);
	peer = topology_lid_in(&topology, b);
	assert_int_equal(plan_paths(view, plan, &peer, 1, &paths, &count), 0);
	assert_int_equal(count, 2);
	assert_int_equal(paths[0].mtu, 0);
	assert_int_equal(paths[0].rate, 0);
	free(paths);
	assert_int_equal(plan_paths(view, plan, NULL, 0, &paths, &count), 0);
	assert_int_equal(count, 0);
	free(paths);
	plan_destroy(plan);
	fabric_view_destroy(view);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(the_slower_of_two_rates_is_not_the_smaller_code),
	        cmocka_unit_test(paths_are_limited_as_their_cables_are),
	        cmocka_unit_test(what_is_not_known_is_said_to_be_not_known),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
