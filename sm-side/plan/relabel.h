/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * What the moves of a plan mean for the forwarding tables: on every switch the entry of one LID
 * becomes what that of another one was, but at the switch of the new place, where it is the place's
 * port. Since the tables led the other LID there, they lead this one there now. Several moves are
 * one relabel for each LID, so the cost is linear in switches and moves, whatever the number of
 * LIDs. Pure.
 */
#ifndef TETHER_PLAN_RELABEL_H
#define TETHER_PLAN_RELABEL_H

#include "sm-side/plan/plan.h"

struct relabel {
	uint16_t lid;
	uint16_t like;          /* 0: like nobody; the tables shall lead nowhere */
	struct view_place from; /* where the tables lead for @lid; {0, 0}: nowhere */
	struct view_place to;   /* {0, 0}: nowhere */
};

/* What the entry of @sw for @relabel->lid shall be. */
uint8_t relabel_after(const struct view_switch *sw, const struct relabel *relabel);

/* Entries that change. */
struct entry_list {
	uint32_t count, room;
	struct plan_entry *at;
};

/* Only if it changes something. -ENOMEM. */
int entry_add(struct entry_list *entries, const struct view_switch *sw, uint32_t index,
        uint16_t lid, uint8_t after);
/* Ascending by switch GUID, then LID. */
void entries_sort(struct entry_list *entries);
void entries_clear(struct entry_list *entries);

/* All that change, in order. @relabels ascending by LID. -ENOMEM. */
int relabel_entries(const struct fabric_view *view, const struct relabel *relabels, uint32_t count,
        struct entry_list *entries);

#endif
