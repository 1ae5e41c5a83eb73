/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* Looks for faults in a view. */
#include <string.h>

#include "sm-side/plan/fabric_view.h"

void view_note_fault(struct fabric_view *view, struct view_fault fault)
{
	if (view->fault.kind == VIEW_SOUND)
		view->fault = fault;
}

static bool is_there(
        const struct fabric_view *view, uint32_t sw, uint8_t port, const struct view_peer *peer)
{
	(void)sw;
	(void)port;
	if (peer->kind == PEER_SWITCH)
		return peer->index < view->switch_count;
	return peer->kind == PEER_END_PORT && peer->index < view->end_port_count;
}

static bool is_cabled_back(
        const struct fabric_view *view, uint32_t sw, uint8_t port, const struct view_peer *peer)
{
	const struct view_peer *back;

	if (peer->kind == PEER_END_PORT)
		return view->end_ports[peer->index].switch_index == sw &&
		       view->end_ports[peer->index].switch_port == port;
	back = view_peer_of(view, &view->switches[peer->index], peer->port);
	return back->kind == PEER_SWITCH && back->index == sw && back->port == port;
}

static void links_check(struct fabric_view *view, enum view_fault_kind kind,
        bool (*holds)(const struct fabric_view *, uint32_t, uint8_t, const struct view_peer *))
{
	for (uint32_t sw = 0; sw < view->switch_count; sw++) {
		const struct view_switch *at = &view->switches[sw];

		for (unsigned port = 1; port <= at->ports; port++) {
			struct view_peer *peer = &view->peers[at->first_peer + port];

			if (peer->kind == PEER_NONE || holds(view, sw, (uint8_t)port, peer))
				continue;
			view_note_fault(view,
			        (struct view_fault){
			                .kind = kind, .guid = at->guid, .port = (uint8_t)port});
			*peer = (struct view_peer){0};
		}
	}
}

void view_check_links(struct fabric_view *view)
{
	links_check(view, VIEW_UNKNOWN_PEER, is_there);
	links_check(view, VIEW_ONE_SIDED_LINK, is_cabled_back);
}

/* A vSwitch may share the LID of a port of its own (vSwitch paper, section V-A). */
static bool may_share(const struct fabric_view *view, const struct view_switch *sw, uint32_t port)
{
	uint32_t index = view->end_ports[port].switch_index;

	return index != VIEW_NONE && &view->switches[index] == sw;
}

static void lid_hold(struct fabric_view *view, uint16_t lid)
{
	if (lid && lid < LFT_ENTRIES_MAX)
		view->lids_held[lid / 64] |= UINT64_C(1) << lid % 64;
}

static void lid_check(struct fabric_view *view, uint32_t index, uint16_t lid)
{
	const struct view_end_port *port = &view->end_ports[index];
	uint32_t before = view->end_ports_by_lid[lid];

	if (before != VIEW_NONE)
		view_note_fault(
		        view, (struct view_fault){VIEW_LID_TWICE, view->end_ports[before].port_guid,
		                      port->port_guid, lid, 0});
	view->end_ports_by_lid[lid] = index;
	lid_hold(view, lid);
}

void view_check_lids(struct fabric_view *view)
{
	memset(view->lids_held, 0, sizeof(view->lids_held));
	for (uint32_t lid = 0; lid < LFT_ENTRIES_MAX; lid++)
		view->end_ports_by_lid[lid] = VIEW_NONE;
	for (uint32_t i = 0; i < view->end_port_count; i++) {
		const struct view_end_port *port = &view->end_ports[i];
		uint32_t end = port->lid + (1u << (port->lmc & 7));

		for (uint32_t lid = port->lid; lid && lid < end && lid < LFT_ENTRIES_MAX; lid++)
			lid_check(view, i, (uint16_t)lid);
	}
	for (uint32_t i = 0; i < view->switch_count; i++) {
		const struct view_switch *sw = &view->switches[i];
		uint32_t holder = view_find_lid(view, sw->lid);

		lid_hold(view, sw->lid);
		if (holder != VIEW_NONE && !may_share(view, sw, holder))
			view_note_fault(
			        view, (struct view_fault){VIEW_LID_TWICE, sw->guid,
			                      view->end_ports[holder].port_guid, sw->lid, 0});
	}
}
