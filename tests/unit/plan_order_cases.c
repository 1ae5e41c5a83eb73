/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "sm-side/plan/order.h"
#include "unit/plan_prefixes.h"
#include "unit/plan_order_cases.h"

enum { CASES = 400, CASES_FULL = 4000 };

struct topology before, after;
struct prefixes prefixes;
struct plan plan;
struct plan_transfer transfers[PREFIX_LIDS];
struct plan_entry entries[TOPOLOGY_SWITCHES * PREFIX_LIDS];

unsigned cases(void)
{
	return getenv("TETHER_FULL") ? CASES_FULL : CASES;
}

/* ---- what the tables shall become ---- */

void becomes_like(uint16_t lid, uint16_t like)
{
	for (unsigned sw = 0; sw < before.switch_count; sw++)
		after.switches[sw].lft[lid] = before.switches[sw].lft[like];
}

static void transfer_add(uint16_t lid, bool in_use)
{
	unsigned at = plan.transfer_count++;

	for (; at && transfers[at - 1].identity.lid > lid; at--)
		transfers[at] = transfers[at - 1];
	transfers[at] = (struct plan_transfer){.identity = {.lid = lid}, .in_use = in_use};
}

unsigned random_slot(void)
{
	return topology_random(&before, before.slot_count);
}

static bool is_taken(uint16_t lid)
{
	for (unsigned i = 0; i < plan.transfer_count; i++)
		if (transfers[i].identity.lid == lid)
			return true;
	return false;
}

static void swap_some(void)
{
	uint16_t a = topology_lid_in(&before, random_slot());
	uint16_t b = topology_lid_in(&before, random_slot());

	if (a == b || is_taken(a) || is_taken(b))
		return;
	becomes_like(a, b);
	becomes_like(b, a);
	transfer_add(a, true);
	transfer_add(b, topology_random(&before, 2));
}

static void swap_many(void)
{
	for (unsigned i = 1 + topology_random(&before, 16); i; i--)
		swap_some();
}

/* All who are behind one switch go to slots anywhere. */
static void evacuate(void)
{
	unsigned sw = before.slots[random_slot()].sw;

	for (unsigned slot = 0; slot < before.slot_count; slot++) {
		uint16_t a = topology_lid_in(&before, slot);
		uint16_t b = topology_lid_in(&before, random_slot());

		if (before.slots[slot].sw != sw || a == b || is_taken(a) || is_taken(b) ||
		        plan.transfer_count + 2 > PREFIX_LIDS)
			continue;
		becomes_like(a, b);
		becomes_like(b, a);
		transfer_add(a, true);
		transfer_add(b, false);
	}
}

static uint16_t lid_empty(unsigned slot)
{
	uint16_t lid = topology_lid_in(&before, slot);

	topology_empty(&before, slot);
	after = before;
	return lid;
}

/* As the PF's on the way to the hypervisor @slot is in. */
static void comes_to(uint16_t lid, unsigned slot)
{
	unsigned pf = slot;

	while (before.has_vswitches && !before.slots[pf].is_pf)
		pf--;
	if (before.has_vswitches)
		becomes_like(lid, topology_lid_in(&before, pf));
	after.switches[before.slots[slot].sw].lft[lid] = before.slots[slot].port;
	transfer_add(lid, true);
}

static void copy(void)
{
	unsigned from = random_slot(), to = random_slot();

	if (from == to || !before.has_vswitches || before.slots[to].is_pf)
		return;
	lid_empty(to);
	comes_to(topology_lid_in(&before, from), to);
}

static void create(void)
{
	unsigned to = random_slot();

	if (before.has_vswitches && !before.slots[to].is_pf)
		comes_to(lid_empty(to), to);
}

static void destroy(void)
{
	uint16_t lid = topology_lid_in(&before, random_slot());

	topology_empty(&after, (unsigned)topology_slot_of_lid(&after, lid));
	transfer_add(lid, true);
}

/* Other trees, to the same places: as a sweep makes them, but of no kind at all. */
static void reroute(void)
{
	struct topology swept = before;

	swept.routing = TOPOLOGY_TREE;
	topology_sweep(&swept);
	for (unsigned i = 1 + topology_random(&before, 4); i; i--) {
		uint16_t lid = topology_lid_in(&before, random_slot());

		for (unsigned sw = 0; sw < before.switch_count; sw++)
			after.switches[sw].lft[lid] = swept.switches[sw].lft[lid];
		if (!is_taken(lid))
			transfer_add(lid, true);
	}
}

/* Some switches that no route to a LID goes through any more have no entry for it. */
static void holes(void)
{
	reroute();
	for (unsigned i = 0; i < 3; i++) {
		uint16_t lid = transfers[0].identity.lid;
		unsigned hole = topology_random(&before, before.switch_count);
		bool is_used = false;

		for (unsigned sw = 0; sw < before.switch_count; sw++) {
			const struct topology_switch *at = &after.switches[sw];

			is_used |= at->lft[lid] <= at->ports &&
			           at->peer[at->lft[lid]].kind == PEER_SWITCH &&
			           at->peer[at->lft[lid]].index == hole;
		}
		if (!is_used)
			after.switches[hole].lft[lid] = LFT_NO_PORT;
	}
}

static void (*const changes[])(void) = {
        swap_some, swap_many, evacuate, copy, create, destroy, reroute, holes};

/* ---- entries and Sets ---- */

static int by_guid(const void *a, const void *b)
{
	const struct plan_entry *x = a, *y = b;

	if (x->switch_guid != y->switch_guid)
		return x->switch_guid < y->switch_guid ? -1 : 1;
	return x->lid < y->lid ? -1 : x->lid > y->lid;
}

uint32_t entries_find(const struct topology *from, const struct topology *to)
{
	uint32_t count = 0;

	for (unsigned sw = 0; sw < from->switch_count; sw++)
		for (unsigned lid = 1; lid < TOPOLOGY_LIDS; lid++)
			if (from->switches[sw].lft[lid] != to->switches[sw].lft[lid])
				entries[count++] = (struct plan_entry){from->switches[sw].guid, sw,
				        (uint16_t)lid, from->switches[sw].lft[lid],
				        to->switches[sw].lft[lid]};
	qsort(entries, count, sizeof(*entries), by_guid);
	return count;
}

void sets_find(const struct topology *from, const struct topology *to, struct plan_sets *sets)
{
	struct fabric_view *view = topology_view(from);

	assert_int_equal(plan_order_sets(view, &plan, entries, entries_find(from, to), sets), 0);
	fabric_view_destroy(view);
}

unsigned switches_in(const struct plan_sets *sets)
{
	unsigned count = 0;

	for (uint32_t i = 0; i < sets->change_count; i++) {
		bool is_new = true;

		for (uint32_t j = 0; j < i; j++)
			is_new &= sets->changes[j].switch_guid != sets->changes[i].switch_guid;
		count += is_new;
	}
	return count;
}

void case_make(unsigned seed, enum plan_order order)
{
	topology_make(&before, TOPOLOGY_ANY, seed);
	after = before;
	plan = (struct plan){.order = order, .transfers = transfers};
	changes[seed % (sizeof(changes) / sizeof(*changes))]();
	prefixes_begin(&prefixes, &before, &after);
}

void assert_arrived(void)
{
	for (unsigned sw = 0; sw < after.switch_count; sw++)
		assert_memory_equal(
		        prefixes.at.switches[sw].lft, after.switches[sw].lft, TOPOLOGY_LIDS);
}

void assert_holds(const struct plan_sets *sets)
{
	if (!prefixes_hold(&prefixes, sets, PREFIX_ORDERS))
		fail_msg("%s", prefixes.why);
	assert_arrived();
}

void assert_half_goes_on_or_back(unsigned seed)
{
	struct plan_sets sets, rest;

	sets_find(&before, &after, &sets);
	prefixes_write_some(&prefixes, &sets);
	if (seed % 16 >= 8)
		after = before;
	sets_find(&prefixes.at, &after, &rest);
	assert_holds(&rest);
	plan_sets_clear(&rest);
	plan_sets_clear(&sets);
}
