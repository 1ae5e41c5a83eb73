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

const struct endpoint_model endpoint_vswitch = {
        .name = "vswitch",
        .slot = vswitch_slot,
        .lid_moves = true,
};

const struct endpoint_model endpoint_plain_ca = {
        .name = "plain-ca",
        .slot = plain_ca_slot,
        .lid_moves = true,
};
