/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Interests that those above have refused and may accept later, since there is no room for them (a
 * quota) or their VM is not known to be in a partition with the address: how many there are, for
 * which reason, and when the next of them is asked for again. One at a time, after a pause that
 * doubles for as long as that is in vain; then the others follow at once, and the first of them as
 * soon as there is a new link. Pure; wants the lock of agent_link_state.h.
 */
#ifndef TETHER_INTEREST_ROOM_H
#define TETHER_INTEREST_ROOM_H

#include <stdbool.h>
#include <stdint.h>

#include "tether.pb-c.h"

enum { ROOM_PAUSE_FIRST_MS = 1000, ROOM_PAUSE_MOST_MS = 64000 };

enum room_reason {
	ROOM_ACCEPTS, /* or refuses for good */
	ROOM_TOO_MANY_INTERESTS,
	ROOM_TOO_MANY_REQUESTS,
	ROOM_NO_MEMORY,
	ROOM_FOREIGN_PARTITION,
	ROOM_REASONS,
};

struct interest_room {
	unsigned refused;                   /* so many are waited for */
	unsigned refused_for[ROOM_REASONS]; /* of them */
	unsigned pause_ms;                  /* 0: ROOM_PAUSE_FIRST_MS */
	uint64_t due_ms;                    /* when one is asked for again */
	bool is_asked;                      /* it is under way */
};

/* Why it is refused, where it may be accepted later. */
enum room_reason interest_room_reason(const Tether__InterestAnswer *answer);
/* One that was not among them is refused now, for a reason of these. */
void interest_room_refuses(
        struct interest_room *room, const Tether__InterestAnswer *answer, uint64_t now_ms);
/* One of them, refused for @before, is refused with @answer now. */
void interest_room_refuses_for(
        struct interest_room *room, enum room_reason before, const Tether__InterestAnswer *answer);
/* One of those that were refused has been asked for again in vain. */
void interest_room_refuses_again(struct interest_room *room, uint64_t now_ms);
/* One of them, refused for @reason, is so no more, or of interest no more: there is room for
 * another. */
void interest_room_has_one_less(struct interest_room *room, enum room_reason reason);
/* Nothing is under way any more, and the next agent may have room. */
void interest_room_link_lost(struct interest_room *room);
/* -1: none is to be asked for; else in so many milliseconds. */
int64_t interest_room_wait(const struct interest_room *room, uint64_t now_ms);

#endif
