/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * What OpenSM believes, read from its structures. Every function is called with OpenSM's lock
 * (osm->lock) held, shared unless said otherwise, and nothing that it returns outlives that hold.
 * GUIDs are in host order here, in network order in OpenSM.
 */
#ifndef TETHER_OSM_MODEL_H
#define TETHER_OSM_MODEL_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include <opensm/osm_config.h>
#include <opensm/osm_opensm.h>

#include "sm-side/plan/fabric_view.h"

/* Over OpenSM's own tables (new_lft: what it wants). NULL: out of memory. fabric_view_destroy it.
 */
struct fabric_view *osm_model_view(const osm_opensm_t *osm);

/* NULL: unknown. */
osm_port_t *osm_model_port(const osm_opensm_t *osm, uint64_t port_guid);
osm_switch_t *osm_model_switch(const osm_opensm_t *osm, uint64_t switch_guid);
/* The switch port of a place. NULL: no such switch or port, or nothing known of it. */
osm_physp_t *osm_model_switch_port(const osm_opensm_t *osm, struct view_place place);
/* Where an end port is plugged in; {0, 0}: no link to a switch known. */
struct view_place osm_model_place(const osm_port_t *port);

/* The directed route through a switch port to whatever is plugged in there. -EHOSTUNREACH. */
int osm_model_route_through(const osm_physp_t *switch_port, osm_dr_path_t *route);

/* Are OpenSM's two copies of the LFT long enough for that block? */
static inline bool osm_model_has_block(const osm_switch_t *sw, uint16_t block)
{
	return sw->new_lft && sw->lft && (block + 1u) * LFT_BLOCK_LIDS <= sw->lft_size;
}

/* Has the switch answered with what OpenSM wants of the block? Also where there is no such block.
 */
static inline bool osm_model_block_acknowledged(const osm_switch_t *sw, uint16_t block)
{
	size_t at = (size_t)block * LFT_BLOCK_LIDS;

	return !osm_model_has_block(sw, block) ||
	       !memcmp(sw->lft + at, sw->new_lft + at, LFT_BLOCK_LIDS);
}

/* Block @block of the P_Key table as it was last read from or written to the port. NULL: none. */
const ib_pkey_table_t *osm_model_pkeys_there(const osm_physp_t *physp, unsigned block);
/* The same as the last sweep found that it should be, by the port's GUID; what is there where no
 * sweep has looked yet. Only end ports have one. */
const ib_pkey_table_t *osm_model_pkeys_wanted(const osm_physp_t *physp, unsigned block);
bool osm_model_pkeys_equal(const ib_pkey_table_t *there, const ib_pkey_table_t *wanted);

#endif
