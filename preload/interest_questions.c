/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* What goes up about whom this process talks to: one Interest at a time, the most urgent first. */
#include "preload/interests_state.h"

#include <stdlib.h>

static bool next_question(Tether__Interest *interest, Tether__Address *address)
{
	struct interest_request *request;

	TAILQ_FOREACH(request, &all_interests.requests, link)
	{
		if (request->sent)
			continue;
		request->sent = true;
		interest->request = request->id;
		interest->remote_qpn = request->remote.qpn;
		interest->datagrams = request->datagrams;
		interest->heard = request->heard;
		if (request->own)
			announcement_address(request->own, address);
		else
			interest_address(&request->remote, address);
		return true;
	}
	return false;
}

/* The address has to outlive the call, so the row goes only with the next one. */
static bool next_drop(Tether__Interest *wire, Tether__Address *address)
{
	static struct remote dropped;
	struct interest *interest;

	TAILQ_FOREACH(interest, &all_interests.list, link)
	{
		if (!interest->to_be_dropped)
			continue;
		dropped = interest->to;
		interest_address(&dropped, address);
		wire->request = ++all_interests.last_id;
		wire->drop = true;
		TAILQ_REMOVE(&all_interests.list, interest, link);
		number_table_remove(&all_interests.by_lid, dropped.lid);
		free(interest);
		return true;
	}
	return false;
}

static bool next_datagrams(Tether__Interest *wire, Tether__Address *address)
{
	struct interest *interest;

	if (all_interests.under_way >= UNDER_WAY_MAX)
		return false;
	TAILQ_FOREACH(interest, &all_interests.list, link)
	{
		if (!interest->unsent || interest->request || interest->refused)
			continue;
		interest->unsent = false;
		all_interests.under_way++;
		interest->request = wire->request = ++all_interests.last_id;
		wire->datagrams = true;
		wire->heard = interest->heard;
		interest_address(&interest->to, address);
		return true;
	}
	return false;
}

/* Nobody waits for it any more. */
static bool next_refused(Tether__Interest *wire, Tether__Address *address, uint64_t now_ms)
{
	struct interest *interest;

	if (interest_room_wait(&all_interests.room_above, now_ms))
		return false;
	TAILQ_FOREACH(interest, &all_interests.list, link)
	{
		if (!interest->refused || interest->request)
			continue;
		all_interests.room_above.is_asked = true;
		all_interests.under_way++;
		interest->unsent = false;
		interest->request = wire->request = ++all_interests.last_id;
		wire->datagrams = interest->datagrams;
		wire->heard = interest->heard;
		interest_address(&interest->to, address);
		return true;
	}
	all_interests.room_above.due_ms = now_ms + ROOM_PAUSE_FIRST_MS;
	return false;
}

static bool next_announcement(Tether__Interest *wire, Tether__Address *address)
{
	bool withdrawn;

	if (!announcements_next(all_interests.last_id + 1, address, &withdrawn))
		return false;
	wire->request = ++all_interests.last_id;
	wire->drop = withdrawn;
	return true;
}

int64_t interests_wait(uint64_t now_ms)
{
	return interest_room_wait(&all_interests.room_above, now_ms);
}

bool interests_next(Tether__Interest *interest, Tether__Address *address, uint64_t now_ms)
{
	tether__interest__init(interest);
	interest->address = address;
	return next_announcement(interest, address) || next_question(interest, address) ||
	       next_datagrams(interest, address) || next_refused(interest, address, now_ms) ||
	       next_drop(interest, address);
}
