/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "preload/interest_room.h"

#include <string.h>

#include "notifier/base/log.h"

bool answer_is_of_room(const Tether__InterestAnswer *answer)
{
	static const char *const reasons[] = {
	        "too-many-interests", "too-many-requests", "no-memory", "foreign-partition"};

	if (answer->outcome != TETHER__OUTCOME__OUTCOME_REFUSED || !answer->n_refusals)
		return false;
	for (size_t i = 0; i < sizeof(reasons) / sizeof(*reasons); i++)
		if (!strcmp(answer->refusals[0]->reason, reasons[i]))
			return true;
	return false;
}

static void pause_begin(struct interest_room *room, uint64_t now_ms)
{
	if (!room->pause_ms)
		room->pause_ms = ROOM_PAUSE_FIRST_MS;
	room->due_ms = now_ms + room->pause_ms;
}

/* Said once, and again when all were registered in between. */
void interest_room_refuses(struct interest_room *room, const char *why, uint64_t now_ms)
{
	if (room->refused++)
		return;
	log_warn("link",
	        "interest in an address is refused: %s. Moves of the VM there are refused, or not "
	        "heard of here, until it is accepted: it is asked for again, as are others that "
	        "are "
	        "refused. Where there are too many, end connections or spread them over more VMs",
	        why);
	pause_begin(room, now_ms);
}

void interest_room_refuses_again(struct interest_room *room, uint64_t now_ms)
{
	room->is_asked = false;
	room->pause_ms *= 2;
	if (room->pause_ms > ROOM_PAUSE_MOST_MS)
		room->pause_ms = ROOM_PAUSE_MOST_MS;
	pause_begin(room, now_ms);
}

void interest_room_has_one_less(struct interest_room *room)
{
	room->is_asked = false;
	room->pause_ms = 0;
	room->due_ms = 0;
	if (!--room->refused)
		log_info("link", "all addresses that are of interest are registered again");
}

void interest_room_link_lost(struct interest_room *room)
{
	room->is_asked = false;
}

int64_t interest_room_wait(const struct interest_room *room, uint64_t now_ms)
{
	if (!room->refused || room->is_asked)
		return -1;
	return room->due_ms > now_ms ? (int64_t)(room->due_ms - now_ms) : 0;
}
