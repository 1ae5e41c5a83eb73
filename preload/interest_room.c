/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "preload/interest_room.h"

#include <string.h>

#include "notifier/base/log.h"

enum room_reason interest_room_reason(const Tether__InterestAnswer *answer)
{
	static const char *const names[ROOM_REASONS] = {
	        [ROOM_TOO_MANY_INTERESTS] = "too-many-interests",
	        [ROOM_TOO_MANY_REQUESTS] = "too-many-requests",
	        [ROOM_NO_MEMORY] = "no-memory",
	        [ROOM_FOREIGN_PARTITION] = "foreign-partition",
	};

	if (answer->outcome != TETHER__OUTCOME__OUTCOME_REFUSED || !answer->n_refusals)
		return ROOM_ACCEPTS;
	for (int i = ROOM_ACCEPTS + 1; i < ROOM_REASONS; i++)
		if (!strcmp(answer->refusals[0]->reason, names[i]))
			return i;
	return ROOM_ACCEPTS;
}

static void pause_begin(struct interest_room *room, uint64_t now_ms)
{
	if (!room->pause_ms)
		room->pause_ms = ROOM_PAUSE_FIRST_MS;
	room->due_ms = now_ms + room->pause_ms;
}

/* Each reason is said once, and again when none was refused for it in between. */
static void count(struct interest_room *room, const Tether__InterestAnswer *answer)
{
	const Tether__Refusal *why = answer->refusals[0];

	if (room->refused_for[interest_room_reason(answer)]++)
		return;
	log_warn("link",
	        "interest in an address is refused: %s%s%s. Unless it is registered from before, "
	        "moves of the VM there are refused, or not heard of here, until it is accepted: it "
	        "is asked for again, as are others that are refused. Where there are too many, end "
	        "connections or spread them over more VMs",
	        why->reason, *why->text ? ": " : "", why->text);
}

void interest_room_refuses(
        struct interest_room *room, const Tether__InterestAnswer *answer, uint64_t now_ms)
{
	count(room, answer);
	if (!room->refused++)
		pause_begin(room, now_ms);
}

void interest_room_refuses_for(
        struct interest_room *room, enum room_reason before, const Tether__InterestAnswer *answer)
{
	if (interest_room_reason(answer) == before)
		return;
	room->refused_for[before]--;
	count(room, answer);
}

void interest_room_refuses_again(struct interest_room *room, uint64_t now_ms)
{
	room->is_asked = false;
	room->pause_ms *= 2;
	if (room->pause_ms > ROOM_PAUSE_MOST_MS)
		room->pause_ms = ROOM_PAUSE_MOST_MS;
	pause_begin(room, now_ms);
}

static void ask_at_once(struct interest_room *room)
{
	room->is_asked = false;
	room->pause_ms = 0;
	room->due_ms = 0;
}

void interest_room_has_one_less(struct interest_room *room, enum room_reason reason)
{
	ask_at_once(room);
	room->refused_for[reason]--;
	if (!--room->refused)
		log_info("link", "of the addresses that were refused none is waited for any more");
}

void interest_room_link_lost(struct interest_room *room)
{
	ask_at_once(room);
}

int64_t interest_room_wait(const struct interest_room *room, uint64_t now_ms)
{
	if (!room->refused || room->is_asked)
		return -1;
	return room->due_ms > now_ms ? (int64_t)(room->due_ms - now_ms) : 0;
}
