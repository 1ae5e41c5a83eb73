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
 * tables change. Routes that were another LID's on the same lane bring nothing new.
 *
 * What it costs: nothing where no new entry leads to another switch that packets pass through (a
 * move within one leaf). Else blocks of 64 LIDs are read in which a LID goes the same way, until no
 * dependency is left that may be new; what is left is followed through the tables for as long as it
 * does not end. Only where it leads back to where it began are the tables of all LIDs walked, which
 * is exact, but takes switches x LIDs steps. Pure.
 */
#ifndef TETHER_CHANNEL_DEPENDENCIES_H
#define TETHER_CHANNEL_DEPENDENCIES_H

#include "sm-side/plan/plan.h"

/* *@cycle: a dependency that @entries (in any order) bring is part of a cycle. -ENOMEM. */
int entries_close_cycle(const struct fabric_view *view, const struct plan_entry *entries,
        uint32_t count, bool *cycle);

#endif
