/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * A hypervisor with 16 VMs is evacuated from a fat-tree of 324 hosts, each a vSwitch with a PF and
 * 16 VFs. How many LFT Sets that takes in one plan, in each order, beside 16 plans of one move;
 * what is expected is counted by comparing tables whose columns were exchanged here. Prints both.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "sm-side/plan/plan.h"

enum {
	LEAVES = 18,
	SPINES = 18,
	HOSTS_PER_LEAF = 18,
	HOSTS = LEAVES * HOSTS_PER_LEAF,
	VFS = 16,
	SLOTS = HOSTS * (1 + VFS), /* a host's first is its PF */
	SWITCHES = LEAVES + SPINES + HOSTS,
	LFT = (SLOTS + SWITCHES + LFT_BLOCK_LIDS) / LFT_BLOCK_LIDS * LFT_BLOCK_LIDS,
	EVACUATIONS = 20,
};

static uint8_t lfts[SWITCHES][LFT], moved[SWITCHES][LFT];
static unsigned identity_at[SLOTS]; /* LIDs are identities + 1 */

/* Switches in this order: leaves, spines, vSwitches. */
static unsigned vswitch_of(unsigned host)
{
	return LEAVES + SPINES + host;
}

static unsigned host_of(unsigned slot)
{
	return slot / (1 + VFS);
}

static unsigned leaf_of(unsigned host)
{
	return host / HOSTS_PER_LEAF;
}

/* As OpenSM gives LIDs to what it finds: some order that is not that of the slots. */
static unsigned lid_of(unsigned identity)
{
	return 1 + (identity * 2749u) % SLOTS;
}

/* Up by the LID, down to the place: port 1 is a vSwitch's uplink, and a leaf's and spine's ports
 * are those of hosts, spines, leaves in their order. */
static uint8_t port_towards(unsigned sw, unsigned slot, unsigned lid)
{
	unsigned host = host_of(slot);

	if (sw >= LEAVES + SPINES)
		return sw == vswitch_of(host) ? (uint8_t)(2 + slot % (1 + VFS)) : 1;
	if (sw >= LEAVES)
		return (uint8_t)(1 + leaf_of(host));
	if (sw == leaf_of(host))
		return (uint8_t)(1 + host % HOSTS_PER_LEAF);
	return (uint8_t)(1 + HOSTS_PER_LEAF + lid % SPINES);
}

static void route_everybody(void)
{
	memset(lfts, LFT_NO_PORT, sizeof(lfts));
	for (unsigned slot = 0; slot < SLOTS; slot++) {
		unsigned lid;

		identity_at[slot] = slot;
		lid = lid_of(slot);
		for (unsigned sw = 0; sw < SWITCHES; sw++)
			lfts[sw][lid] = port_towards(sw, slot, lid);
	}
}

static void cable(struct fabric_view *view, unsigned a, unsigned port, unsigned b, unsigned peer)
{
	fabric_view_link(view, a, (uint8_t)port, (struct view_peer){b, (uint8_t)peer, PEER_SWITCH});
	fabric_view_link(view, b, (uint8_t)peer, (struct view_peer){a, (uint8_t)port, PEER_SWITCH});
}

static uint64_t port_guid_of(unsigned identity)
{
	return UINT64_C(0x900001) + identity * 2;
}

static uint64_t switch_guid_of(unsigned sw)
{
	return UINT64_C(0x100000) + sw;
}

static void add_slots(struct fabric_view *view)
{
	for (unsigned slot = 0; slot < SLOTS; slot++) {
		unsigned identity = identity_at[slot];
		struct view_end_port end_port = {
		        .port_guid = port_guid_of(identity),
		        .node_guid = port_guid_of(identity) - 1,
		        .lid = (uint16_t)lid_of(identity),
		        .node_ports = 1,
		};

		fabric_view_add_end_port(view, &end_port);
		fabric_view_link(view, vswitch_of(host_of(slot)), (uint8_t)(2 + slot % (1 + VFS)),
		        (struct view_peer){slot, 1, PEER_END_PORT});
	}
}

static struct fabric_view *view_of(uint8_t (*tables)[LFT])
{
	struct fabric_view *view = fabric_view_create();

	for (unsigned sw = 0; sw < SWITCHES; sw++)
		fabric_view_add_switch(view, switch_guid_of(sw), 36, tables[sw], LFT);
	for (unsigned leaf = 0; leaf < LEAVES; leaf++)
		for (unsigned spine = 0; spine < SPINES; spine++)
			cable(view, leaf, 1 + HOSTS_PER_LEAF + spine, LEAVES + spine, 1 + leaf);
	for (unsigned host = 0; host < HOSTS; host++)
		cable(view, leaf_of(host), 1 + host % HOSTS_PER_LEAF, vswitch_of(host), 1);
	add_slots(view);
	assert_int_equal(fabric_view_finish(view), 0);
	return view;
}

/* 16 VFs of one host, each to a VF of another one. */
struct evacuation {
	unsigned from[VFS], to[VFS];
};

static struct evacuation evacuation_make(void)
{
	unsigned host = (unsigned)random() % HOSTS;
	struct evacuation made;

	for (unsigned vf = 0; vf < VFS; vf++) {
		unsigned other = (host + 1 + vf * 19 + (unsigned)random() % 19) % HOSTS;

		made.from[vf] = host * (1 + VFS) + 1 + vf;
		made.to[vf] = other * (1 + VFS) + 1 + (unsigned)random() % VFS;
	}
	return made;
}

static struct plan *plan_of(const struct evacuation *evacuation, enum plan_order order)
{
	struct plan_move_request moves[VFS] = {0};
	struct plan_request request = {.order = order, .move_count = VFS, .moves = moves};
	struct fabric_view *view = view_of(lfts);
	struct plan *plan;

	for (unsigned vf = 0; vf < VFS; vf++) {
		unsigned to = evacuation->to[vf];

		moves[vf].vm_port_guid = port_guid_of(identity_at[evacuation->from[vf]]);
		moves[vf].to = (struct view_place){
		        switch_guid_of(vswitch_of(host_of(to))), (uint8_t)(2 + to % (1 + VFS))};
	}
	assert_int_equal(plan_make(view, &endpoint_vswitch, &request, &plan), REFUSAL_NONE);
	fabric_view_destroy(view);
	return plan;
}

struct counted {
	unsigned physical, vswitch;
};

static struct counted blocks_differing(uint8_t (*a)[LFT], uint8_t (*b)[LFT])
{
	struct counted count = {0, 0};

	for (unsigned sw = 0; sw < SWITCHES; sw++)
		for (unsigned at = 0; at < LFT; at += LFT_BLOCK_LIDS) {
			bool differs = memcmp(a[sw] + at, b[sw] + at, LFT_BLOCK_LIDS);

			count.physical += sw < LEAVES + SPINES && differs;
			count.vswitch += sw >= LEAVES + SPINES && differs;
		}
	return count;
}

/* What one move after the other writes; @moved is then as all have left it. */
static struct counted move_one_by_one(const struct evacuation *evacuation)
{
	static uint8_t before[SWITCHES][LFT];
	struct counted sum = {0, 0};

	memcpy(moved, lfts, sizeof(moved));
	for (unsigned vf = 0; vf < VFS; vf++) {
		unsigned a = lid_of(identity_at[evacuation->from[vf]]);
		unsigned b = lid_of(identity_at[evacuation->to[vf]]);
		struct counted one;

		memcpy(before, moved, sizeof(before));
		for (unsigned sw = 0; sw < SWITCHES; sw++) {
			uint8_t port = moved[sw][a];

			moved[sw][a] = moved[sw][b];
			moved[sw][b] = port;
		}
		one = blocks_differing(before, moved);
		sum.physical += one.physical;
		sum.vswitch += one.vswitch;
	}
	return sum;
}

/* Carried out, in the order of its waves, it leaves what the moves one by one do. */
static void check_leaves_moved(const struct plan *plan)
{
	static uint8_t tables[SWITCHES][LFT];

	memcpy(tables, lfts, sizeof(tables));
	for (uint32_t i = 0; i < plan->sets.change_count; i++) {
		const struct plan_change *change = &plan->sets.changes[i];
		uint8_t *block = tables[change->switch_guid - switch_guid_of(0)] +
		                 (size_t)change->block * LFT_BLOCK_LIDS;

		assert_memory_equal(block, change->before, LFT_BLOCK_LIDS);
		memcpy(block, change->after, LFT_BLOCK_LIDS);
	}
	assert_memory_equal(tables, moved, sizeof(tables));
}

static struct counted check_order(
        const struct evacuation *evacuation, enum plan_order order, unsigned *splits)
{
	struct counted distinct = blocks_differing(lfts, moved);
	struct plan *plan = plan_of(evacuation, order);
	struct counted sets = {plan->counts.lft_physical, plan->counts.lft_vswitch};

	check_leaves_moved(plan);
	assert_int_equal(sets.physical + sets.vswitch,
	        distinct.physical + distinct.vswitch + plan->sets.splits);
	if (order == PLAN_FAST) {
		assert_int_equal(sets.physical, distinct.physical);
		assert_int_equal(sets.vswitch, distinct.vswitch);
	}
	*splits = plan->sets.splits;
	plan_destroy(plan);
	return sets;
}

static void an_evacuation_takes_fewer_sets_than_its_moves(void **state)
{
	srandom(1);
	route_everybody();
	for (unsigned i = 0; i < EVACUATIONS; i++) {
		struct evacuation evacuation = evacuation_make();
		struct counted single = move_one_by_one(&evacuation), fast, consistent, dropping;
		unsigned none, splits, drops;

		fast = check_order(&evacuation, PLAN_FAST, &none);
		consistent = check_order(&evacuation, PLAN_CONSISTENT, &splits);
		dropping = check_order(&evacuation, PLAN_DROP_FIRST, &drops);
		assert_int_equal(none, 0);
		assert_true(fast.physical + fast.vswitch < single.physical + single.vswitch);
		print_message("# %2u: 16 single moves %u physical %u vSwitch; together fast %u %u, "
		              "consistent %u %u (%u splits), drop-first %u %u\n",
		        i + 1, single.physical, single.vswitch, fast.physical, fast.vswitch,
		        consistent.physical, consistent.vswitch, splits, dropping.physical,
		        dropping.vswitch);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(an_evacuation_takes_fewer_sets_than_its_moves),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
