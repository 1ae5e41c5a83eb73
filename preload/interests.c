/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* Whom this process talks to, from the first connection or handle to the last. */
#include "preload/interests_state.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "notifier/wire/gid_name.h"
#include "preload/datagram_numbers.h"
#include "preload/heard_senders.h"

struct all_interests all_interests = {
        .list = TAILQ_HEAD_INITIALIZER(all_interests.list),
        .idle = TAILQ_HEAD_INITIALIZER(all_interests.idle),
        .requests = TAILQ_HEAD_INITIALIZER(all_interests.requests),
};

static struct interest *find_by_lid(const struct remote *remote)
{
	const struct number_entry *entry = number_table_find(&all_interests.by_lid, remote->lid);

	return entry ? (struct interest *)entry->value : NULL;
}

static bool is_gid(const struct interest *interest, const struct remote *remote)
{
	return !is_gid_name(remote->lid) ||
	       !memcmp(&interest->to.gid, &remote->gid, sizeof(remote->gid));
}

struct interest *interest_find(const struct remote *remote)
{
	struct interest *interest = find_by_lid(remote);

	return interest && is_gid(interest, remote) ? interest : NULL;
}

/* Another GID has its name: what is said of one would be taken for the other's. */
static bool collides(const struct remote *remote)
{
	const struct interest *interest = find_by_lid(remote);

	return interest && !is_gid(interest, remote);
}

static struct interest *make(const struct remote *remote)
{
	struct interest *interest = calloc(1, sizeof(*interest));

	if (!interest)
		return NULL;
	interest->to = *remote;
	if (number_table_set(&all_interests.by_lid, remote->lid, (uintptr_t)interest)) {
		free(interest);
		return NULL;
	}
	TAILQ_INSERT_TAIL(&all_interests.list, interest, link);
	return interest;
}

static void not_idle(struct interest *interest)
{
	if (!interest->idle)
		return;
	interest->idle = false;
	all_interests.idle_count--;
	TAILQ_REMOVE(&all_interests.idle, interest, idle_link);
}

/* NULL: no memory; it is asked for all the same. */
static struct interest *use(const struct remote *remote)
{
	struct interest *interest = interest_find(remote);

	if (!interest && !collides(remote))
		interest = make(remote);
	if (!interest)
		return NULL;
	not_idle(interest);
	interest->users++;
	interest->to_be_dropped = false;
	return interest;
}

static void end_in_collision(struct interest_request *request)
{
	request->sent = request->answered = request->refused = true;
	request->remote.unreachable = EADDRINUSE;
}

void interests_ask(struct interest_request *request, const struct remote *remote)
{
	*request = (struct interest_request){.id = ++all_interests.last_id, .remote = *remote};
	TAILQ_INSERT_TAIL(&all_interests.requests, request, link);
	if (collides(remote))
		end_in_collision(request);
	use(remote);
}

bool interests_ask_datagrams(struct interest_request *request, const struct remote *remote)
{
	struct interest *interest = use(remote);

	if (interest)
		interest->datagrams = true;
	if (interest && interest->known)
		return false;
	*request = (struct interest_request){
	        .id = ++all_interests.last_id, .remote = *remote, .datagrams = true};
	TAILQ_INSERT_TAIL(&all_interests.requests, request, link);
	if (collides(remote))
		end_in_collision(request);
	return true;
}

void interests_hear(const struct remote *sender)
{
	struct interest *interest = interest_find(sender);
	bool is_new = !interest || !interest->heard;

	if (is_new)
		interest = use(sender);
	if (!interest || interest->known || interest->held)
		sender_set_known(sender->lid);
	if (!interest || !is_new)
		return;
	interest->datagrams = interest->heard = true;
	interest->unsent = !interest->known;
}

void interests_done(struct interest_request *request, struct remote *remote)
{
	TAILQ_REMOVE(&all_interests.requests, request, link);
	*remote = request->remote;
}

void interest_not_under_way(struct interest *interest)
{
	all_interests.under_way -= interest->request != 0;
	interest->request = 0;
	interest->held = false;
}

static void forget_numbers(const struct remote *remote)
{
	struct datagram_numbers *numbers = datagram_numbers_find(remote->lid, &remote->gid);

	if (numbers)
		datagram_numbers_forget(numbers);
}

void interests_took_numbers(const struct remote *remote)
{
	const struct interest *interest = find_by_lid(remote);

	if (!interest || !interest->datagrams)
		forget_numbers(remote);
}

void interest_accepted(struct interest *interest)
{
	if (interest->refused)
		interest_room_has_one_less(&all_interests.room_above, interest->refused);
	interest->refused = ROOM_ACCEPTS;
}

static void drop(struct interest *interest)
{
	not_idle(interest);
	interest_accepted(interest);
	interest->to_be_dropped = true;
	interest->datagrams = interest->known = interest->unsent = false;
	interest_not_under_way(interest);
	forget_numbers(&interest->to);
}

/* A program that makes a handle for each message would ask for each message. */
static bool keep_idle(struct interest *interest)
{
	interest->idle = true;
	TAILQ_INSERT_TAIL(&all_interests.idle, interest, idle_link);
	if (++all_interests.idle_count <= IDLE_MAX)
		return false;
	drop(TAILQ_FIRST(&all_interests.idle));
	return true;
}

bool interests_drop(const struct remote *remote)
{
	struct interest *interest = interest_find(remote);

	if (!interest || !interest->users || --interest->users)
		return false;
	if (interest->datagrams)
		return keep_idle(interest);
	drop(interest);
	return true;
}

bool interests_unhear(const struct remote *sender)
{
	struct interest *interest = interest_find(sender);

	if (!interest || !interest->heard)
		return false;
	interest->heard = interest->known = false;
	return interests_drop(sender);
}

int interests_announce(struct interest_request *request, const struct announcement *what)
{
	if (announcements_add(what, false))
		return -ENOMEM;
	*request = (struct interest_request){.id = ++all_interests.last_id, .own = what};
	TAILQ_INSERT_TAIL(&all_interests.requests, request, link);
	return 0;
}

void interest_address(const struct remote *remote, Tether__Address *address)
{
	tether__address__init(address);
	address->lid = remote->lid;
	if (remote->by_gid || is_gid_name(remote->lid)) {
		address->gid.data = (uint8_t *)&remote->gid;
		address->gid.len = sizeof(remote->gid);
	}
}

/* What is known may change meanwhile and nobody says so. */
static void datagrams_unknown(struct interest *interest)
{
	interest->known = false;
	interest->unsent = interest->datagrams && !interest->refused;
	interest_not_under_way(interest);
}

void interests_link_lost(void)
{
	struct interest_request *request;
	struct interest *interest;

	TAILQ_FOREACH(request, &all_interests.requests, link)
	{
		request->sent &= request->answered;
		request->held = false;
	}
	announcements_link_lost();
	TAILQ_FOREACH(interest, &all_interests.list, link)
	datagrams_unknown(interest);
	interest_room_link_lost(&all_interests.room_above);
}

void interests_forget(void)
{
	TAILQ_INIT(&all_interests.list);
	TAILQ_INIT(&all_interests.idle);
	all_interests.idle_count = all_interests.under_way = 0;
	all_interests.room_above = (struct interest_room){0};
	all_interests.by_lid = (struct number_table){0};
	announcements_forget();
	TAILQ_INIT(&all_interests.requests);
}
