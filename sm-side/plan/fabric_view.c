/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sm-side/plan/content_hash.h"
#include "sm-side/plan/fabric_view.h"

struct fabric_view *fabric_view_create(void)
{
	return calloc(1, sizeof(struct fabric_view));
}

void fabric_view_destroy(struct fabric_view *view)
{
	if (!view)
		return;
	fabric_view_drop_lfts(view);
	free(view->switches);
	free(view->end_ports);
	free(view->peers);
	free(view->cables);
	free(view->switches_by_guid);
	free(view->end_ports_by_guid);
	free(view->end_ports_by_lid);
	free(view);
}

/* Room for @more elements of @size after @count; at least doubles. */
static int room_make(void *array, uint32_t *room, uint32_t count, uint32_t more, size_t size)
{
	void **at = array;
	uint64_t wanted = (uint64_t)count + more;
	void *grown;

	if (wanted <= *room)
		return 0;
	if (wanted < (uint64_t)*room * 2)
		wanted = (uint64_t)*room * 2;
	if (wanted < 64)
		wanted = 64;
	if (wanted >= VIEW_NONE)
		return -ENOMEM;
	grown = reallocarray(*at, wanted, size);
	if (!grown)
		return -ENOMEM;
	*at = grown;
	*room = (uint32_t)wanted;
	return 0;
}

uint32_t fabric_view_add_switch(struct fabric_view *view, uint64_t guid, uint8_t ports,
        const uint8_t *lft, uint32_t lft_entries)
{
	uint32_t slots = ports + 1u;

	if (room_make(&view->switches, &view->switch_room, view->switch_count, 1,
	            sizeof(*view->switches)) ||
	        room_make(&view->peers, &view->peer_room, view->peer_count, slots,
	                sizeof(*view->peers)))
		return VIEW_NONE;
	view->switches[view->switch_count] = (struct view_switch){
	        .guid = guid,
	        .lft = lft,
	        .lft_entries = lft ? lft_whole_blocks(lft_entries) : 0,
	        .first_peer = view->peer_count,
	        .ports = ports,
	};
	memset(&view->peers[view->peer_count], 0, slots * sizeof(*view->peers));
	view->peer_count += slots;
	return view->switch_count++;
}

uint32_t fabric_view_add_end_port(struct fabric_view *view, const struct view_end_port *end_port)
{
	if (room_make(&view->end_ports, &view->end_port_room, view->end_port_count, 1,
	            sizeof(*view->end_ports)))
		return VIEW_NONE;
	view->end_ports[view->end_port_count] = *end_port;
	view->end_ports[view->end_port_count].switch_index = VIEW_NONE;
	return view->end_port_count++;
}

void fabric_view_link(struct fabric_view *view, uint32_t sw, uint8_t port, struct view_peer peer)
{
	struct view_fault fault = {.kind = VIEW_UNKNOWN_PEER, .port = port};

	if (sw >= view->switch_count) {
		view_note_fault(view, fault);
		return;
	}
	fault.guid = view->switches[sw].guid;
	if (port == 0 || port > view->switches[sw].ports ||
	        (peer.kind == PEER_END_PORT && peer.index >= view->end_port_count)) {
		view_note_fault(view, fault);
		return;
	}
	view->peers[view->switches[sw].first_peer + port] = peer;
	if (peer.kind == PEER_END_PORT) {
		view->end_ports[peer.index].switch_index = sw;
		view->end_ports[peer.index].switch_port = port;
	}
}

int fabric_view_limit(struct fabric_view *view, uint32_t sw, uint8_t port, struct view_cable cable)
{
	if (view->cable_room < view->peer_count) {
		struct view_cable *grown =
		        reallocarray(view->cables, view->peer_count, sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		memset(grown + view->cable_room, 0,
		        (view->peer_count - view->cable_room) * sizeof(*grown));
		view->cables = grown;
		view->cable_room = view->peer_count;
	}
	if (sw < view->switch_count && port <= view->switches[sw].ports)
		view->cables[view->switches[sw].first_peer + port] = cable;
	return 0;
}

struct view_cable view_cable_of(
        const struct fabric_view *view, const struct view_switch *sw, unsigned port)
{
	uint32_t at = sw->first_peer + port;

	if (port > sw->ports || at >= view->cable_room)
		return (struct view_cable){0};
	return view->cables[at];
}

const struct view_peer *view_peer_of(
        const struct fabric_view *view, const struct view_switch *sw, unsigned port)
{
	static const struct view_peer nobody;

	return port && port <= sw->ports ? &view->peers[sw->first_peer + port] : &nobody;
}

static bool looks_like_vswitch(const struct fabric_view *view, const struct view_switch *sw)
{
	unsigned uplinks = 0, slots = 0;

	for (unsigned port = 1; port <= sw->ports; port++) {
		const struct view_peer *peer = view_peer_of(view, sw, port);

		if (peer->kind == PEER_SWITCH)
			uplinks++;
		else if (peer->kind == PEER_END_PORT) {
			if (view->end_ports[peer->index].node_ports != 1)
				return false;
			slots++;
		}
	}
	return uplinks == 1 && slots > 0;
}

static int by_switch_guid(const void *a, const void *b, void *view_arg)
{
	const struct fabric_view *view = view_arg;
	uint64_t x = view->switches[*(const uint32_t *)a].guid;
	uint64_t y = view->switches[*(const uint32_t *)b].guid;

	return (x > y) - (x < y);
}

static int by_port_guid(const void *a, const void *b, void *view_arg)
{
	const struct fabric_view *view = view_arg;
	uint64_t x = view->end_ports[*(const uint32_t *)a].port_guid;
	uint64_t y = view->end_ports[*(const uint32_t *)b].port_guid;

	return (x > y) - (x < y);
}

static uint32_t *sorted_indices(const struct fabric_view *view, uint32_t count,
        int (*compare)(const void *, const void *, void *))
{
	uint32_t *made = calloc(count + 1, sizeof(*made));

	for (uint32_t i = 0; made && i < count; i++)
		made[i] = i;
	if (made)
		qsort_r(made, count, sizeof(*made), compare, (void *)view);
	return made;
}

static int indices_make(struct fabric_view *view)
{
	free(view->switches_by_guid);
	free(view->end_ports_by_guid);
	free(view->end_ports_by_lid);
	view->switches_by_guid = sorted_indices(view, view->switch_count, by_switch_guid);
	view->end_ports_by_guid = sorted_indices(view, view->end_port_count, by_port_guid);
	view->end_ports_by_lid = calloc(LFT_ENTRIES_MAX, sizeof(*view->end_ports_by_lid));
	return view->switches_by_guid && view->end_ports_by_guid && view->end_ports_by_lid
	               ? 0
	               : -ENOMEM;
}

/* -EEXIST: two in a row are equal. */
static int guids_check(struct fabric_view *view)
{
	int error = 0;

	for (uint32_t i = 1; i < view->switch_count; i++) {
		uint64_t guid = view->switches[view->switches_by_guid[i]].guid;

		if (guid != view->switches[view->switches_by_guid[i - 1]].guid)
			continue;
		view_note_fault(view, (struct view_fault){VIEW_GUID_TWICE, .guid = guid});
		error = -EEXIST;
	}
	for (uint32_t i = 1; i < view->end_port_count; i++) {
		uint64_t guid = view->end_ports[view->end_ports_by_guid[i]].port_guid;

		if (guid != view->end_ports[view->end_ports_by_guid[i - 1]].port_guid)
			continue;
		view_note_fault(view, (struct view_fault){VIEW_GUID_TWICE, .guid = guid});
		error = -EEXIST;
	}
	return error;
}

static uint64_t generation_of(const struct fabric_view *view)
{
	uint64_t hash = CONTENT_HASH_START;

	for (uint32_t i = 0; i < view->switch_count; i++) {
		const struct view_switch *sw = &view->switches[view->switches_by_guid[i]];

		hash = content_hash_number(hash, sw->guid);
		for (unsigned port = 1; port <= sw->ports; port++) {
			const struct view_peer *peer = view_peer_of(view, sw, port);

			if (peer->kind != PEER_SWITCH)
				continue;
			hash = content_hash_number(hash, port << 8 | peer->port);
			hash = content_hash_number(hash, view->switches[peer->index].guid);
		}
	}
	return hash >> 11;
}

int fabric_view_finish(struct fabric_view *view)
{
	if (indices_make(view))
		return -ENOMEM;
	view_check_links(view);
	view_check_lids(view);
	for (uint32_t i = 0; i < view->switch_count; i++)
		view->switches[i].is_vswitch = looks_like_vswitch(view, &view->switches[i]);
	view->generation = generation_of(view);
	return guids_check(view);
}

uint32_t view_find_switch(const struct fabric_view *view, uint64_t guid)
{
	uint32_t low = 0, high = view->switch_count;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		uint32_t index = view->switches_by_guid[middle];

		if (view->switches[index].guid == guid)
			return index;
		if (view->switches[index].guid < guid)
			low = middle + 1;
		else
			high = middle;
	}
	return VIEW_NONE;
}

uint32_t view_find_end_port(const struct fabric_view *view, uint64_t port_guid)
{
	uint32_t low = 0, high = view->end_port_count;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		uint32_t index = view->end_ports_by_guid[middle];

		if (view->end_ports[index].port_guid == port_guid)
			return index;
		if (view->end_ports[index].port_guid < port_guid)
			low = middle + 1;
		else
			high = middle;
	}
	return VIEW_NONE;
}

uint32_t view_find_lid(const struct fabric_view *view, uint16_t lid)
{
	return lid && lid < LFT_ENTRIES_MAX ? view->end_ports_by_lid[lid] : VIEW_NONE;
}

uint32_t view_end_port_at(const struct fabric_view *view, struct view_place place)
{
	uint32_t sw = view_find_switch(view, place.switch_guid);
	const struct view_peer *peer;

	if (sw == VIEW_NONE)
		return VIEW_NONE;
	peer = view_peer_of(view, &view->switches[sw], place.port);
	return peer->kind == PEER_END_PORT ? peer->index : VIEW_NONE;
}

struct view_place view_place_of(const struct fabric_view *view, uint32_t end_port)
{
	const struct view_end_port *port = &view->end_ports[end_port];

	if (port->switch_index == VIEW_NONE)
		return (struct view_place){0};
	return (struct view_place){view->switches[port->switch_index].guid, port->switch_port};
}

bool view_place_equal(struct view_place a, struct view_place b)
{
	return a.switch_guid == b.switch_guid && a.port == b.port;
}

uint64_t view_generation(const struct fabric_view *view)
{
	return view->generation;
}
