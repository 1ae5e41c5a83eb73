/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Interests that those above have refused and may accept later, since there is no room for them (a
 * quota) or their VM is not known to be in a partition with the address: how many there are, and
 * when the next of them is asked for again. One at a time, after a pause that doubles for as long
 * as that is in vain; then the others follow at once. Pure; wants the lock of agent_link_state.h.
 */
#ifndef TETHER_INTEREST_ROOM_H
#define TETHER_INTEREST_ROOM_H

#include <stdbool.h>
#include <stdint.h>

#include "tether.pb-c.h"

enum { ROOM_PAUSE_FIRST_MS = 1000, ROOM_PAUSE_MOST_MS = 64000 };

struct interest_room {
	unsigned refused;  /* so many are not registered */
	unsigned pause_ms; /* 0: ROOM_PAUSE_FIRST_MS */
	uint64_t due_ms;   /* when one is asked for again */
	bool is_asked;     /* it is under way */
};

/* Refused, and may be accepted later. */
bool answer_is_of_room(const Tether__InterestAnswer *answer);
/* One that was registered, or asked for by a thread, is refused now; why. */
void interest_room_refuses(struct interest_room *room, const char *why, uint64_t now_ms);
/* One of those that were refused has been asked for again in vain. */
void interest_room_refuses_again(struct interest_room *room, uint64_t now_ms);
/* One of them is registered now, or of interest no more: there is room for another. */
void interest_room_has_one_less(struct interest_room *room);
/* Nothing is under way any more. */
void interest_room_link_lost(struct interest_room *room);
/* -1: none is to be asked for; else in so many milliseconds. */
int64_t interest_room_wait(const struct interest_room *room, uint64_t now_ms);

#endif
