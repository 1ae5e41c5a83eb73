/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Where routes lead that no table holds yet: one LID's port on each switch, walked over a view's
 * cabling. Pure.
 */
#ifndef TETHER_PLAN_ROUTE_H
#define TETHER_PLAN_ROUTE_H

#include "sm-side/plan/fabric_view.h"

/* The port for @lid of each switch, by the switch's index, as the tables are. NULL: out of memory;
 * free it. */
uint8_t *route_of(const struct fabric_view *view, uint16_t lid);

/*
 * Do @ports lead to @place: from the switch of the place itself, and from every other switch that
 * has one? A loop, a dead end or another place on the way is a no. To nowhere ({0, 0}): no switch
 * has a port. Linear in switches. -ENOMEM.
 */
int route_leads(
        const struct fabric_view *view, const uint8_t *ports, struct view_place place, bool *leads);

/* The same of the tables as they are. */
int view_leads_to(
        const struct fabric_view *view, uint16_t lid, struct view_place place, bool *leads);

#endif
