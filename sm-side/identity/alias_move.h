/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * A VM between shared ports, in what OpenSM believes: its alias GUID leads to another port, and so
 * do SA's answers for its GID. GUIDInfo is Set at both ports by OpenSM's own sweeper. All in one
 * hold of OpenSM's lock, so it needs no lease; it can be repeated. Called without any lock.
 */
#ifndef TETHER_ALIAS_MOVE_H
#define TETHER_ALIAS_MOVE_H

#include <opensm/osm_config.h>
#include <opensm/osm_opensm.h>

#include "sm-side/plan/alias.h"

struct alias_move {
	uint64_t vm, other; /* alias GUIDs, in host order */
	uint16_t from_lid, to_lid;
};

/* UNKNOWN_PORT also where nobody has told the SM of these alias GUIDs (SA GUIDInfoRecord). */
enum refusal alias_move_apply(
        osm_opensm_t *osm, const struct alias_move *move, struct alias_plan *plan);

#endif
