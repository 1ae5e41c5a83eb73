/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Makes OpenSM look again at the slots of a plan: who is there, its PortInfo, its P_Keys, and those
 * that the switch port lets through. The
 * questions are such that its own handlers take in the answers as those of a sweep.
 */
#ifndef TETHER_REREAD_H
#define TETHER_REREAD_H

#include <stdbool.h>
#include <stdint.h>

#include <opensm/osm_config.h>
#include <opensm/osm_opensm.h>

#include "sm-side/plan/plan.h"
#include "sm-side/identity/smp_sender.h"

/* Post the questions. Takes OpenSM's lock. UNKNOWN_PORT, GUIDS_NOT_THERE (no route to a slot). */
enum refusal reread_ask(osm_opensm_t *osm, const struct plan *plan);

/* Wait, no lock held, until no SMP of OpenSM's is under way. NOT_ACKNOWLEDGED: not by the deadline;
 * SHUTTING_DOWN. */
enum refusal reread_wait(struct smp_sender *sender, uint64_t deadline_ns);

/* Under OpenSM's lock: have PortInfo and all P_Keys come since they were asked for, and those of
 * the switch port before the end port, if it enforces any? */
bool reread_is_complete(const osm_opensm_t *osm, const osm_physp_t *physp);

#endif
