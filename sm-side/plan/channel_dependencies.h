/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Would new entries let channels wait for each other in a cycle? Packets enter where end ports are
 * and follow the tables; those of one virtual lane share buffers. Which lane a LID's packets are on
 * is taken from the view (view_end_port.lane): one lane for all, where nothing else is known. LIDs
 * of switches are not looked at: what goes to them is management, whose lane has no credits (IBA
 * 7.6.3).
 *
 * Dependencies that the old tables have already, by whatever LID, are not new; what is left of the
 * new ones is looked for in cycles of old and new together, since both hold buffers while the
 * tables change. Routes that were another LID's on the same lane bring nothing new, and those that
 * stay within one leaf neither: then only the changed LIDs are read. Else the tables of all LIDs on
 * that lane, in the worst case whole: switches x LIDs steps. Pure.
 */
#ifndef TETHER_CHANNEL_DEPENDENCIES_H
#define TETHER_CHANNEL_DEPENDENCIES_H

#include "sm-side/plan/plan.h"

/* *@cycle: a dependency that @entries (in any order) bring is part of a cycle. -ENOMEM. */
int entries_close_cycle(const struct fabric_view *view, const struct plan_entry *entries,
        uint32_t count, bool *cycle);

#endif
