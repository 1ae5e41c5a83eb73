/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "sm-side/plan/endpoint.h"

static enum refusal plain_ca_slot(
        const struct fabric_view *view, struct view_place place, uint32_t *occupant)
{
	uint32_t there = view_end_port_at(view, place);

	if (there == VIEW_NONE)
		return REFUSAL_NOT_A_VSWITCH_SLOT;
	*occupant = there;
	return REFUSAL_NONE;
}

static enum refusal vswitch_slot(
        const struct fabric_view *view, struct view_place place, uint32_t *occupant)
{
	uint32_t sw = view_find_switch(view, place.switch_guid);

	if (sw == VIEW_NONE || !view->switches[sw].is_vswitch)
		return REFUSAL_NOT_A_VSWITCH_SLOT;
	return plain_ca_slot(view, place, occupant);
}

/* A VF whose link is down is not seen; a port that nothing is plugged into may be one. */
static enum refusal vswitch_empty_slot(
        const struct fabric_view *view, struct view_place place, uint32_t *pf)
{
	uint32_t index = view_find_switch(view, place.switch_guid);
	const struct view_switch *sw = index == VIEW_NONE ? NULL : &view->switches[index];
	const struct view_peer *there;

	if (!sw || !sw->is_vswitch || place.port == 0 || place.port > sw->ports)
		return REFUSAL_NOT_A_VSWITCH_SLOT;
	there = view_peer_of(view, sw, place.port);
	if (there->kind != PEER_NONE)
		return there->kind == PEER_END_PORT ? REFUSAL_SLOT_IN_USE
		                                    : REFUSAL_NOT_A_VSWITCH_SLOT;
	for (unsigned port = 1; port <= sw->ports; port++) {
		const struct view_peer *peer = view_peer_of(view, sw, port);

		if (peer->kind != PEER_END_PORT)
			continue;
		*pf = peer->index;
		return REFUSAL_NONE;
	}
	return REFUSAL_NOT_A_VSWITCH_SLOT;
}

const struct endpoint_model endpoint_vswitch = {
        .name = "vswitch",
        .slot = vswitch_slot,
        .empty_slot = vswitch_empty_slot,
        .lid_moves = true,
};

const struct endpoint_model endpoint_plain_ca = {
        .name = "plain-ca",
        .slot = plain_ca_slot,
        .lid_moves = true,
};
