/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include <errno.h>
#include <stdlib.h>

#include "sm-side/plan/route.h"

uint8_t *route_of(const struct fabric_view *view, uint16_t lid)
{
	uint8_t *ports = calloc(view->switch_count + 1, 1);

	if (!ports)
		return NULL;
	for (uint32_t i = 0; i < view->switch_count; i++)
		ports[i] = view_lft_entry(&view->switches[i], lid);
	return ports;
}

enum walked { NOT_WALKED, ON_THE_WAY, ARRIVES, ASTRAY };

struct walk {
	const struct fabric_view *view;
	const uint8_t *ports;
	uint8_t *walked; /* enum walked, by switch */
};

static const struct view_peer *next_of(const struct walk *walk, uint32_t sw)
{
	return view_peer_of(walk->view, &walk->view->switches[sw], walk->ports[sw]);
}

/* Walk from @sw until a switch whose end is known, or that ends the walk; return that end. */
static enum walked walk_end(const struct walk *walk, uint32_t sw)
{
	for (;;) {
		const struct view_peer *peer;

		if (walk->walked[sw] != NOT_WALKED)
			return walk->walked[sw] == ARRIVES ? ARRIVES : ASTRAY;
		walk->walked[sw] = ON_THE_WAY;
		peer = next_of(walk, sw);
		if (peer->kind != PEER_SWITCH)
			return ASTRAY;
		sw = peer->index;
	}
}

/* Every switch of the way that began at @sw arrives. */
static void walk_mark(const struct walk *walk, uint32_t sw)
{
	while (walk->walked[sw] == ON_THE_WAY) {
		walk->walked[sw] = ARRIVES;
		sw = next_of(walk, sw)->index;
	}
}

/* Does every switch with a port lead to the one that is marked ARRIVES? */
static bool all_arrive(const struct walk *walk)
{
	for (uint32_t sw = 0; sw < walk->view->switch_count; sw++) {
		if (walk->ports[sw] == LFT_NO_PORT)
			continue;
		if (walk_end(walk, sw) != ARRIVES)
			return false;
		walk_mark(walk, sw);
	}
	return true;
}

static bool leads_nowhere(const struct fabric_view *view, const uint8_t *ports)
{
	for (uint32_t sw = 0; sw < view->switch_count; sw++)
		if (ports[sw] != LFT_NO_PORT)
			return false;
	return true;
}

int route_leads(
        const struct fabric_view *view, const uint8_t *ports, struct view_place place, bool *leads)
{
	struct walk walk = {view, ports, NULL};
	uint32_t last;

	if (place.switch_guid == 0) {
		*leads = leads_nowhere(view, ports);
		return 0;
	}
	last = view_find_switch(view, place.switch_guid);
	if (last == VIEW_NONE || ports[last] != place.port) {
		*leads = false;
		return 0;
	}
	walk.walked = calloc(view->switch_count, 1);
	if (!walk.walked)
		return -ENOMEM;
	walk.walked[last] = ARRIVES;
	*leads = all_arrive(&walk);
	free(walk.walked);
	return 0;
}

int view_leads_to(
        const struct fabric_view *view, uint16_t lid, struct view_place place, bool *leads)
{
	uint8_t *ports = route_of(view, lid);
	int error = ports ? route_leads(view, ports, place, leads) : -ENOMEM;

	free(ports);
	return error;
}
