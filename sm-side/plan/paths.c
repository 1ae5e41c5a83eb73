/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include <errno.h>
#include <stdlib.h>

#include "sm-side/plan/paths.h"

/* Codes are not in the order of the rates: 100 Mb/s each (IBA 15.2.5.16, enum ibv_rate). */
static const uint16_t rate_of_code[] = {
        [2] = 25,
        [3] = 100,
        [4] = 300,
        [5] = 50,
        [6] = 200,
        [7] = 400,
        [8] = 600,
        [9] = 800,
        [10] = 1200,
        [11] = 140,
        [12] = 560,
        [13] = 1120,
        [14] = 1680,
        [15] = 250,
        [16] = 1000,
        [17] = 2000,
        [18] = 3000,
        [19] = 280,
        [20] = 500,
        [21] = 4000,
        [22] = 6000,
        [23] = 8000,
        [24] = 12000,
};

static unsigned rate_of(uint8_t code)
{
	return code < sizeof(rate_of_code) / sizeof(rate_of_code[0]) ? rate_of_code[code] : 0;
}

uint8_t slower_rate(uint8_t a, uint8_t b)
{
	if (!rate_of(a) || !rate_of(b))
		return rate_of(a) ? a : rate_of(b) ? b : 0;
	return rate_of(a) <= rate_of(b) ? a : b;
}

static uint8_t lesser_mtu(uint8_t a, uint8_t b)
{
	if (!a || !b)
		return a ? a : b;
	return a < b ? a : b;
}

static void limit(struct plan_path *path, struct view_cable cable)
{
	path->mtu = lesser_mtu(path->mtu, cable.mtu);
	path->rate = slower_rate(path->rate, cable.rate);
}

/* A switch's port for @lid once @plan is carried out. */
static uint8_t port_after(const struct plan *plan, const struct view_switch *sw, uint16_t lid)
{
	uint32_t low = 0, high = plan->entry_count;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		const struct plan_entry *entry = &plan->entries[middle];

		if (entry->switch_guid == sw->guid && entry->lid == lid)
			return entry->after;
		if (entry->switch_guid < sw->guid ||
		        (entry->switch_guid == sw->guid && entry->lid < lid))
			low = middle + 1;
		else
			high = middle;
	}
	return view_lft_entry(sw, lid);
}

/* Where @lid is once @plan is carried out; {0, 0}: nowhere, or not known. */
static struct view_place place_after(
        const struct fabric_view *view, const struct plan *plan, uint16_t lid)
{
	uint32_t port = view_find_lid(view, lid);

	for (uint32_t i = 0; i < plan->transfer_count; i++)
		if (plan->transfers[i].identity.lid == lid)
			return plan->transfers[i].to;
	if (port == VIEW_NONE)
		return (struct view_place){0};
	return view_place_of(view, port);
}

/* Packets from @from to @lid, which is at @to. False: they do not get there. */
static bool walk(const struct fabric_view *view, const struct plan *plan, struct view_place from,
        struct view_place to, uint16_t lid, struct plan_path *path)
{
	uint32_t sw = view_find_switch(view, from.switch_guid);

	if (sw == VIEW_NONE)
		return false;
	limit(path, view_cable_of(view, &view->switches[sw], from.port));
	for (uint32_t hops = 0; hops < view->switch_count; hops++) {
		const struct view_switch *at = &view->switches[sw];
		uint8_t port = port_after(plan, at, lid);
		const struct view_peer *peer = view_peer_of(view, at, port);

		limit(path, view_cable_of(view, at, port));
		if (at->guid == to.switch_guid && port == to.port)
			return true;
		if (peer->kind != PEER_SWITCH)
			return false;
		sw = peer->index;
	}
	return false;
}

int plan_paths(const struct fabric_view *view, const struct plan *plan, const uint16_t *peers,
        uint32_t peer_count, struct plan_path **paths, uint32_t *count)
{
	struct plan_path *made =
	        calloc((size_t)plan->transfer_count * peer_count + 1, sizeof(*made));
	uint32_t filled = 0;

	if (!made)
		return -ENOMEM;
	for (uint32_t i = 0; i < plan->transfer_count; i++) {
		const struct plan_transfer *transfer = &plan->transfers[i];

		for (uint32_t j = 0; j < peer_count && transfer->to.switch_guid; j++) {
			struct view_place there = place_after(view, plan, peers[j]);
			struct plan_path path = {transfer->identity.lid, peers[j], 0, 0};

			if (there.switch_guid &&
			        walk(view, plan, transfer->to, there, path.remote_lid, &path) &&
			        walk(view, plan, there, transfer->to, path.local_lid, &path))
				made[filled++] = path;
		}
	}
	*paths = made;
	*count = filled;
	return 0;
}
