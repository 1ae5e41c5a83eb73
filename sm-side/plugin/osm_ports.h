/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* What OpenSM knows of many ports at a time: LID, place, P_Keys. */
#ifndef TETHER_OSM_PORTS_H
#define TETHER_OSM_PORTS_H

#include <json-c/json.h>

#include "sm-side/plugin/osm_model.h"
#include "sm-side/plugin/sm_request.h"

/* All P_Keys that the port has, as a list in @into. With OpenSM's lock. */
void osm_ports_put_pkeys(struct json_object *into, const osm_physp_t *physp);

/* A row for each of @wanted, in their order, as a list in @into; null: no such port, or it has no
 * LID. Called without any lock. */
void osm_ports_put(struct json_object *into, osm_opensm_t *osm, const struct sm_wanted_port *wanted,
        size_t count);

#endif
