/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Who has which LID, as OpenSM keeps it (guid2lid), and room for new LIDs in its tables, for VMs
 * that come and go while it runs. LIDs that VMs have left rest here. But for creating and
 * destroying, called with OpenSM's lock held, exclusively where something is written.
 */
#ifndef TETHER_OSM_LIDS_H
#define TETHER_OSM_LIDS_H

#include <stdint.h>

#include <opensm/osm_config.h>
#include <opensm/osm_opensm.h>

#include "sm-side/plan/lid_pool.h"
#include "sm-side/plan/plan.h"

struct osm_lids;

struct osm_lids *osm_lids_create(osm_opensm_t *osm);
void osm_lids_destroy(struct osm_lids *lids);

/* What is promised to no GUID, whether or not its port is there, and does not rest. Ports and
 * switches of a view are not looked at. NULL: out of memory; lid_pool_destroy it. */
struct lid_pool *osm_lids_free_ones(struct osm_lids *lids);

/* What @port_guid is promised; 0: nothing. */
uint16_t osm_lids_promised(const struct osm_lids *lids, uint64_t port_guid);

/* Is the LID of each who comes or ends with @plan its own, or nobody's? One that rests goes back to
 * whom it rests from, but to nobody else. -EEXIST, -ENOMEM. */
int osm_lids_check(struct osm_lids *lids, const struct plan *plan);
/* The next sweep that finds a port of @port_guid gives it @lid; until then the tables have room for
 * it. -ENOMEM; -EEXIST: @port_guid is promised another one. */
int osm_lids_promise(struct osm_lids *lids, uint64_t port_guid, uint16_t lid);
/* @lid rests for a packet's lifetime, if @port_guid was promised it. */
void osm_lids_take_back(struct osm_lids *lids, uint64_t port_guid, uint16_t lid);

/* How long a packet may be under way, as OpenSM tells those who ask for paths. */
uint64_t osm_lids_packet_lifetime_ns(const osm_opensm_t *osm);

#endif
