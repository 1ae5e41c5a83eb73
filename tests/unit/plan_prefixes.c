/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "unit/plan_prefixes.h"

static bool tables_differ(const struct topology *a, const struct topology *b, uint16_t lid)
{
	for (unsigned sw = 0; sw < a->switch_count; sw++)
		if (a->switches[sw].lft[lid] != b->switches[sw].lft[lid])
			return true;
	return false;
}

static bool is_one_end(const int *ends, unsigned count)
{
	for (unsigned sw = 1; sw < count; sw++)
		if (ends[sw] != ends[0])
			return false;
	return true;
}

void prefixes_begin(
        struct prefixes *prefixes, const struct topology *before, const struct topology *after)
{
	prefixes->at = *before;
	prefixes->lid_count = 0;
	prefixes->look = NULL;
	for (unsigned number = 1; number < TOPOLOGY_LIDS; number++) {
		uint16_t lid = (uint16_t)number;
		struct prefix_lid *of = &prefixes->lids[prefixes->lid_count];

		if (!tables_differ(before, after, lid))
			continue;
		if (++prefixes->lid_count > PREFIX_LIDS)
			abort();
		*of = (struct prefix_lid){.lid = lid, .is_watched = true};
		topology_walk_all(before, lid, of->ends[0]);
		topology_walk_all(after, lid, of->ends[1]);
		of->have_one_end = is_one_end(of->ends[0], before->switch_count) &&
		                   is_one_end(of->ends[1], before->switch_count);
	}
}

struct prefix_lid *prefixes_lid(struct prefixes *prefixes, uint16_t lid)
{
	for (unsigned i = 0; i < prefixes->lid_count; i++)
		if (prefixes->lids[i].lid == lid)
			return &prefixes->lids[i];
	return NULL;
}

/* ---- looking ---- */

static bool end_is_right(
        struct prefixes *prefixes, const struct prefix_lid *of, unsigned sw, int end)
{
	if (end == of->ends[0][sw] || end == of->ends[1][sw])
		return true;
	if (end == WALK_DROPPED && of->may_be_dropped)
		return true;
	snprintf(prefixes->why, sizeof(prefixes->why),
	        "%s: LID %u from switch %u comes out at %d, before at %d, afterwards at %d",
	        topology_name(&prefixes->at), of->lid, sw, end, of->ends[0][sw], of->ends[1][sw]);
	return false;
}

/*
 * After the entry of switch @written has changed, in a state where all came out. Ways that do not
 * come by there are as they were; those that do end as the way from there does, which is right for
 * all of them if it is for one.
 */
static bool lid_comes_out(struct prefixes *prefixes, const struct prefix_lid *of, unsigned written)
{
	int ends[TOPOLOGY_SWITCHES];

	if (of->have_one_end)
		return end_is_right(
		        prefixes, of, written, topology_walk(&prefixes->at, written, of->lid));
	topology_walk_all(&prefixes->at, of->lid, ends);
	for (unsigned sw = 0; sw < prefixes->at.switch_count; sw++)
		if (!end_is_right(prefixes, of, sw, ends[sw]))
			return false;
	return true;
}

/* After @set has been written, or taken back. */
static bool all_come_out(struct prefixes *prefixes, const struct plan_change *set)
{
	unsigned sw = (unsigned)topology_find_switch(&prefixes->at, set->switch_guid);

	prefixes->states++;
	for (unsigned i = 0; i < prefixes->lid_count; i++) {
		const struct prefix_lid *of = &prefixes->lids[i];
		unsigned at = of->lid % LFT_BLOCK_LIDS;

		if (of->is_watched && of->lid / LFT_BLOCK_LIDS == set->block &&
		        set->before[at] != set->after[at] && !lid_comes_out(prefixes, of, sw))
			return false;
	}
	return !prefixes->look || prefixes->look(&prefixes->at, prefixes->why);
}

/* ---- writing ---- */

static bool set_write(struct prefixes *prefixes, const struct plan_change *set, bool forth)
{
	int sw = topology_find_switch(&prefixes->at, set->switch_guid);
	const uint8_t *expected = forth ? set->before : set->after;

	if (sw < 0 || memcmp(&prefixes->at.switches[sw].lft[set->block * LFT_BLOCK_LIDS], expected,
	                      LFT_BLOCK_LIDS)) {
		snprintf(prefixes->why, sizeof(prefixes->why), "block %u does not begin as it is",
		        set->block);
		return false;
	}
	return topology_write(
	        &prefixes->at, set->switch_guid, set->block, forth ? set->after : set->before);
}

/* The Sets of one wave. */
struct wave {
	const struct plan_change *sets;
	unsigned count;
};

static struct wave wave_at(const struct plan_sets *sets, uint32_t first)
{
	struct wave wave = {&sets->changes[first], 0};

	while (first + wave.count < sets->change_count &&
	        wave.sets[wave.count].wave == wave.sets[0].wave)
		wave.count++;
	return wave;
}

/* Writes and unwrites one Set at a time (Gray code), so that each subset is there once; what is not
 * written in the end is written then. */
static bool every_subset_holds(struct prefixes *prefixes, struct wave wave)
{
	uint32_t written = 0;

	for (uint32_t i = 1; i < UINT32_C(1) << wave.count; i++) {
		unsigned which = (unsigned)__builtin_ctz(i);

		written ^= UINT32_C(1) << which;
		if (!set_write(prefixes, &wave.sets[which], written >> which & 1) ||
		        !all_come_out(prefixes, &wave.sets[which]))
			return false;
	}
	for (unsigned i = 0; i < wave.count; i++)
		if (!(written >> i & 1) && !set_write(prefixes, &wave.sets[i], true))
			return false;
	return true;
}

static void shuffle(struct prefixes *prefixes, unsigned *order, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		unsigned with = topology_random(&prefixes->at, i + 1);

		order[i] = order[with];
		order[with] = i;
	}
}

static bool wave_holds_in_order(
        struct prefixes *prefixes, struct wave wave, const unsigned *order, bool is_last)
{
	for (unsigned i = 0; i < wave.count; i++)
		if (!set_write(prefixes, &wave.sets[order[i]], true) ||
		        !all_come_out(prefixes, &wave.sets[order[i]]))
			return false;
	for (unsigned i = 0; i < wave.count && !is_last; i++)
		if (!set_write(prefixes, &wave.sets[i], false))
			return false;
	return true;
}

static bool many_orders_hold(struct prefixes *prefixes, struct wave wave, unsigned orders)
{
	unsigned *order = calloc(wave.count, sizeof(*order));
	bool holds = order != NULL;

	if (wave.count == 1)
		orders = 1;
	for (unsigned i = 0; i < orders && holds; i++) {
		shuffle(prefixes, order, wave.count);
		holds = wave_holds_in_order(prefixes, wave, order, i + 1 == orders);
	}
	free(order);
	return holds;
}

static unsigned switches_touched(const struct prefixes *prefixes, const struct plan_sets *sets)
{
	bool touched[TOPOLOGY_SWITCHES] = {false};
	unsigned count = 0;

	for (uint32_t i = 0; i < sets->change_count; i++) {
		int sw = topology_find_switch(&prefixes->at, sets->changes[i].switch_guid);

		count += sw >= 0 && !touched[sw];
		if (sw >= 0)
			touched[sw] = true;
	}
	return count;
}

bool prefixes_hold(struct prefixes *prefixes, const struct plan_sets *sets, unsigned orders)
{
	bool all = switches_touched(prefixes, sets) <= PREFIX_SWITCHES;
	bool holds = true;

	for (uint32_t first = 0; first < sets->change_count && holds;) {
		struct wave wave = wave_at(sets, first);

		holds = all && wave.count <= PREFIX_SUBSETS
		                ? every_subset_holds(prefixes, wave)
		                : many_orders_hold(prefixes, wave, orders);
		first += wave.count;
	}
	return holds;
}

uint32_t prefixes_write_some(struct prefixes *prefixes, const struct plan_sets *sets)
{
	uint32_t written = 0, first = 0;
	uint32_t until = topology_random(&prefixes->at, sets->change_count + 1);

	while (first < sets->change_count) {
		struct wave wave = wave_at(sets, first);
		bool whole = first + wave.count <= until;

		for (unsigned i = 0; i < wave.count; i++)
			if (whole || topology_random(&prefixes->at, 2))
				written += set_write(prefixes, &wave.sets[i], true);
		if (!whole)
			break;
		first += wave.count;
	}
	return written;
}

/* ---- packets under way ---- */

struct packet {
	unsigned from, at, hops;
	bool is_out;
};

/* One hop; false: out. */
static bool packet_hops(
        const struct prefixes *prefixes, const struct prefix_lid *of, struct packet *packet)
{
	const struct topology_switch *sw = &prefixes->at.switches[packet->at];
	uint8_t port = sw->lft[of->lid];

	if (port > sw->ports || sw->peer[port].kind != PEER_SWITCH ||
	        packet->hops++ >= 2 * prefixes->at.switch_count)
		return false;
	packet->at = sw->peer[port].index;
	return true;
}

static bool packet_moves(struct prefixes *prefixes, const struct prefix_lid *of,
        struct packet *packet, unsigned hops)
{
	int end;

	if (packet->is_out)
		return true;
	while (hops-- && !packet->is_out)
		packet->is_out = !packet_hops(prefixes, of, packet);
	if (!packet->is_out)
		return true;
	end = topology_walk(&prefixes->at, packet->at, of->lid);
	if (end == of->ends[0][packet->from] || end == of->ends[1][packet->from] ||
	        (end == WALK_DROPPED && of->may_be_dropped))
		return true;
	snprintf(prefixes->why, sizeof(prefixes->why),
	        "%s: a packet for LID %u from switch %u ends at switch %u after %u hops",
	        topology_name(&prefixes->at), of->lid, packet->from, packet->at, packet->hops);
	return false;
}

static bool lid_carries(
        struct prefixes *prefixes, const struct prefix_lid *of, struct packet *packets, bool to_end)
{
	for (unsigned i = 0; i < prefixes->at.switch_count; i++) {
		unsigned hops = to_end ? UINT32_MAX : topology_random(&prefixes->at, 3);

		if (!packet_moves(prefixes, of, &packets[i], hops))
			return false;
	}
	return true;
}

static bool all_carry(struct prefixes *prefixes, bool to_end)
{
	static struct packet packets[PREFIX_LIDS][TOPOLOGY_SWITCHES];

	for (unsigned i = 0; i < prefixes->lid_count; i++) {
		/* One that is out makes room for a new one. */
		for (unsigned sw = 0; sw < prefixes->at.switch_count && !to_end; sw++)
			if (packets[i][sw].is_out || !packets[i][sw].hops)
				packets[i][sw] = (struct packet){.from = sw, .at = sw};
		if (prefixes->lids[i].is_watched &&
		        !lid_carries(prefixes, &prefixes->lids[i], packets[i], to_end))
			return false;
	}
	if (to_end)
		memset(packets, 0, sizeof(packets));
	return true;
}

bool prefixes_carry(struct prefixes *prefixes, const struct plan_sets *sets)
{
	bool holds = all_carry(prefixes, false);

	for (uint32_t first = 0; first < sets->change_count && holds;) {
		struct wave wave = wave_at(sets, first);
		unsigned *order = calloc(wave.count, sizeof(*order));

		if (!order)
			return false;
		shuffle(prefixes, order, wave.count);
		for (unsigned i = 0; i < wave.count && holds; i++)
			holds = set_write(prefixes, &wave.sets[order[i]], true) &&
			        all_carry(prefixes, false);
		free(order);
		first += wave.count;
	}
	return holds && all_carry(prefixes, true);
}
