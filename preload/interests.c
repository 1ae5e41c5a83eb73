/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "preload/interests.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "notifier/base/log.h"
#include "preload/announcements.h"
#include "preload/datagram_numbers.h"
#include "preload/heard_senders.h"
#include "preload/interest_answer.h"
#include "preload/interest_room.h"

struct interest {
	struct remote to;
	unsigned users;  /* connections, and address handles */
	bool registered; /* it was accepted, and stays so when another question is refused */
	enum room_reason refused; /* the last question about it, why */
	bool to_be_dropped;       /* the agent is to hear that nobody is left */
	bool idle;                /* without users, and kept since handles come and go */
	/* Numbers of datagram queue pairs there: */
	bool datagrams;   /* somebody uses them */
	bool heard;       /* they come from there: it has a user for that, for good */
	bool known;       /* they are here, and stay right: RECONNECT says what changes */
	bool unsent;      /* they are to be asked for, without anybody waiting */
	uint32_t request; /* that does; 0: none is under way */
	bool held;        /* it is, by a migration, as the agent has said */
	TAILQ_ENTRY(interest) link;
	TAILQ_ENTRY(interest) idle_link;
};

static TAILQ_HEAD(, interest) interests = TAILQ_HEAD_INITIALIZER(interests);
static struct number_table by_lid; /* of them those that have a LID */
static TAILQ_HEAD(, interest) idle = TAILQ_HEAD_INITIALIZER(idle); /* the longest idle first */
static unsigned idle_count;
static unsigned under_way; /* of them those that have a request */
static struct interest_room room_above;
static TAILQ_HEAD(, interest_request) requests = TAILQ_HEAD_INITIALIZER(requests);
static uint32_t last_id;

static bool is_to(const struct interest *interest, const struct remote *remote)
{
	return !interest->to.lid && !memcmp(&interest->to.gid, &remote->gid, sizeof(remote->gid));
}

static struct interest *find(const struct remote *remote)
{
	const struct number_entry *entry;
	struct interest *interest;

	if (remote->lid) {
		entry = number_table_find(&by_lid, remote->lid);
		return entry ? (struct interest *)entry->value : NULL;
	}
	TAILQ_FOREACH(interest, &interests, link)
	{
		if (is_to(interest, remote))
			return interest;
	}
	return NULL;
}

static struct interest *make(const struct remote *remote)
{
	struct interest *interest = calloc(1, sizeof(*interest));

	if (!interest)
		return NULL;
	interest->to = *remote;
	if (remote->lid && number_table_set(&by_lid, remote->lid, (uintptr_t)interest)) {
		free(interest);
		return NULL;
	}
	TAILQ_INSERT_TAIL(&interests, interest, link);
	return interest;
}

static void not_idle(struct interest *interest)
{
	if (!interest->idle)
		return;
	interest->idle = false;
	idle_count--;
	TAILQ_REMOVE(&idle, interest, idle_link);
}

/* NULL: no memory; it is asked for all the same. */
static struct interest *use(const struct remote *remote)
{
	struct interest *interest = find(remote);

	if (!interest)
		interest = make(remote);
	if (!interest)
		return NULL;
	not_idle(interest);
	interest->users++;
	interest->to_be_dropped = false;
	return interest;
}

void interests_ask(struct interest_request *request, const struct remote *remote)
{
	*request = (struct interest_request){.id = ++last_id, .remote = *remote};
	TAILQ_INSERT_TAIL(&requests, request, link);
	use(remote);
}

bool interests_ask_datagrams(struct interest_request *request, const struct remote *remote)
{
	struct interest *interest = use(remote);

	if (interest)
		interest->datagrams = true;
	if (interest && interest->known)
		return false;
	*request = (struct interest_request){.id = ++last_id, .remote = *remote, .datagrams = true};
	TAILQ_INSERT_TAIL(&requests, request, link);
	return true;
}

void interests_hear(uint32_t lid)
{
	struct remote sender = {.lid = lid, .real_lid = lid};
	struct interest *interest = find(&sender);
	bool is_new = !interest || !interest->heard;

	if (is_new)
		interest = use(&sender);
	if (!interest || interest->known || interest->held)
		sender_set_known(lid);
	if (!interest || !is_new)
		return;
	interest->datagrams = interest->heard = true;
	interest->unsent = !interest->known;
}

void interests_done(struct interest_request *request, struct remote *remote)
{
	TAILQ_REMOVE(&requests, request, link);
	*remote = request->remote;
}

static void not_under_way(struct interest *interest)
{
	under_way -= interest->request != 0;
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
	const struct interest *interest = find(remote);

	if (!interest || !interest->datagrams)
		forget_numbers(remote);
}

static void accepted(struct interest *interest)
{
	if (interest->refused)
		interest_room_has_one_less(&room_above, interest->refused);
	interest->refused = ROOM_ACCEPTS;
}

static void drop(struct interest *interest)
{
	not_idle(interest);
	accepted(interest);
	interest->to_be_dropped = true;
	interest->datagrams = interest->known = interest->unsent = false;
	not_under_way(interest);
	forget_numbers(&interest->to);
}

/* A program that makes a handle for each message would ask for each message. */
static bool keep_idle(struct interest *interest)
{
	interest->idle = true;
	TAILQ_INSERT_TAIL(&idle, interest, idle_link);
	if (++idle_count <= IDLE_MAX)
		return false;
	drop(TAILQ_FIRST(&idle));
	return true;
}

bool interests_drop(const struct remote *remote)
{
	struct interest *interest = find(remote);

	if (!interest || !interest->users || --interest->users)
		return false;
	if (interest->datagrams)
		return keep_idle(interest);
	drop(interest);
	return true;
}

int interests_announce(struct interest_request *request, const struct announcement *what)
{
	if (announcements_add(what, false))
		return -ENOMEM;
	*request = (struct interest_request){.id = ++last_id, .own = what};
	TAILQ_INSERT_TAIL(&requests, request, link);
	return 0;
}

static void address_of(const struct remote *remote, Tether__Address *address)
{
	tether__address__init(address);
	address->lid = remote->lid;
	if (remote->by_gid || !remote->lid) {
		address->gid.data = (uint8_t *)&remote->gid;
		address->gid.len = sizeof(remote->gid);
	}
}

static bool next_question(Tether__Interest *interest, Tether__Address *address)
{
	struct interest_request *request;

	TAILQ_FOREACH(request, &requests, link)
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
			address_of(&request->remote, address);
		return true;
	}
	return false;
}

/* The address has to outlive the call, so the row goes only with the next one. */
static bool next_drop(Tether__Interest *wire, Tether__Address *address)
{
	static struct remote dropped;
	struct interest *interest;

	TAILQ_FOREACH(interest, &interests, link)
	{
		if (!interest->to_be_dropped)
			continue;
		dropped = interest->to;
		address_of(&dropped, address);
		wire->request = ++last_id;
		wire->drop = true;
		TAILQ_REMOVE(&interests, interest, link);
		if (dropped.lid)
			number_table_remove(&by_lid, dropped.lid);
		free(interest);
		return true;
	}
	return false;
}

static bool next_datagrams(Tether__Interest *wire, Tether__Address *address)
{
	struct interest *interest;

	if (under_way >= UNDER_WAY_MAX)
		return false;
	TAILQ_FOREACH(interest, &interests, link)
	{
		if (!interest->unsent || interest->request || interest->refused)
			continue;
		interest->unsent = false;
		under_way++;
		interest->request = wire->request = ++last_id;
		wire->datagrams = true;
		wire->heard = interest->heard;
		address_of(&interest->to, address);
		return true;
	}
	return false;
}

/* Nobody waits for it any more. */
static bool next_refused(Tether__Interest *wire, Tether__Address *address, uint64_t now_ms)
{
	struct interest *interest;

	if (interest_room_wait(&room_above, now_ms))
		return false;
	TAILQ_FOREACH(interest, &interests, link)
	{
		if (!interest->refused || interest->request)
			continue;
		room_above.is_asked = true;
		under_way++;
		interest->unsent = false;
		interest->request = wire->request = ++last_id;
		wire->datagrams = interest->datagrams;
		wire->heard = interest->heard;
		address_of(&interest->to, address);
		return true;
	}
	room_above.due_ms = now_ms + ROOM_PAUSE_FIRST_MS;
	return false;
}

static bool next_announcement(Tether__Interest *wire, Tether__Address *address)
{
	bool withdrawn;

	if (!announcements_next(address, &withdrawn))
		return false;
	wire->request = ++last_id;
	wire->drop = withdrawn;
	return true;
}

int64_t interests_wait(uint64_t now_ms)
{
	return interest_room_wait(&room_above, now_ms);
}

bool interests_next(Tether__Interest *interest, Tether__Address *address, uint64_t now_ms)
{
	tether__interest__init(interest);
	interest->address = address;
	return next_announcement(interest, address) || next_question(interest, address) ||
	       next_datagrams(interest, address) || next_refused(interest, address, now_ms) ||
	       next_drop(interest, address);
}

/* In the middle of a move they are right as what was heard goes; who sends there asks, and waits.
 */
static void take_datagrams(const struct remote *remote, const Tether__InterestAnswer *answer)
{
	struct datagram_numbers *numbers = datagram_numbers_of(remote->lid, &remote->gid);
	struct interest *interest = find(remote);
	int err = numbers ? datagram_numbers_take(numbers, answer->qps) : -ENOMEM;

	if (err) {
		log_error("link", "lid %u: numbers of datagram queue pairs: error %d", remote->lid,
		        -err);
		return;
	}
	log_debug("link", "lid %u: numbers of datagram queue pairs are known", remote->lid);
	if (interest)
		interest->known = !answer->moving;
}

/* The next time it is another's turn. */
static void refused_again(struct interest *interest, uint64_t now_ms)
{
	interest_room_refuses_again(&room_above, now_ms);
	TAILQ_REMOVE(&interests, interest, link);
	TAILQ_INSERT_TAIL(&interests, interest, link);
}

static void refused(struct interest *interest, const Tether__InterestAnswer *answer, bool again,
        uint64_t now_ms)
{
	if (!interest->refused)
		interest_room_refuses(&room_above, answer, now_ms);
	else
		interest_room_refuses_for(&room_above, interest->refused, answer);
	if (interest->refused && again)
		refused_again(interest, now_ms);
	interest->refused = interest_room_reason(answer);
	/* That is never said of one that is. */
	if (interest->refused == ROOM_TOO_MANY_INTERESTS)
		interest->registered = false;
}

/* @again: it was asked for since it had been refused. */
static void judged(struct interest *interest, const Tether__InterestAnswer *answer, bool again,
        uint64_t now_ms)
{
	if (interest_room_reason(answer))
		refused(interest, answer, again, now_ms);
	else
		accepted(interest);
	if (answer->outcome == TETHER__OUTCOME__OUTCOME_DONE)
		interest->registered = true;
}

static void request_answered(
        struct interest_request *request, const Tether__InterestAnswer *answer, uint64_t now_ms)
{
	struct interest *interest = request->own ? NULL : find(&request->remote);

	request->answered = true;
	request->refused = answer->outcome != TETHER__OUTCOME__OUTCOME_DONE;
	if (interest)
		judged(interest, answer, false, now_ms);
	if (interest && interest->refused)
		return; /* that is said once, not each time */
	if (request->refused)
		log_warn("link", "%s: %s",
		        request->own ? "announcement of a queue pair" : "interest in an address",
		        answer->n_refusals ? answer->refusals[0]->text : "not accepted");
	else if (request->datagrams && !request->remote.qpn)
		take_datagrams(&request->remote, answer);
	else if (!request->own)
		interest_answer_take(answer, &request->remote);
}

/* Who hears a sender in the middle of a move, or of whom there is nobody to ask, does not wait for
 * the end of it. An address that is known by handles alone is dropped with them: as a sender it is
 * not known. */
static void datagrams_answered(const Tether__InterestAnswer *answer, bool is_last, uint64_t now_ms)
{
	struct interest *interest;

	TAILQ_FOREACH(interest, &interests, link)
	{
		if (!interest->request || interest->request != answer->request)
			continue;
		if (is_last) {
			not_under_way(interest);
			judged(interest, answer, true, now_ms);
		}
		interest->held = !is_last;
		if (answer->outcome == TETHER__OUTCOME__OUTCOME_DONE && interest->datagrams)
			take_datagrams(&interest->to, answer);
		if (interest->heard)
			sender_set_known(interest->to.lid);
		return;
	}
}

void interests_answered(const Tether__InterestAnswer *answer, uint64_t now_ms)
{
	bool held = answer->outcome == TETHER__OUTCOME__OUTCOME_NONE;
	bool is_last = !held && answer->outcome != TETHER__OUTCOME__OUTCOME_PARTIAL;
	struct interest_request *request;

	TAILQ_FOREACH(request, &requests, link)
	{
		if (request->id != answer->request)
			continue;
		request->held = held;
		if (is_last)
			request_answered(request, answer, now_ms);
		return;
	}
	datagrams_answered(answer, is_last, now_ms);
}

/* What is known may change meanwhile and nobody says so. */
static void datagrams_unknown(struct interest *interest)
{
	interest->known = false;
	interest->unsent = interest->datagrams && !interest->refused;
	not_under_way(interest);
}

void interests_link_lost(void)
{
	struct interest_request *request;
	struct interest *interest;

	TAILQ_FOREACH(request, &requests, link)
	request->sent = request->held = false;
	TAILQ_FOREACH(interest, &interests, link)
	datagrams_unknown(interest);
	interest_room_link_lost(&room_above);
}

void interests_forget(void)
{
	TAILQ_INIT(&interests);
	TAILQ_INIT(&idle);
	idle_count = under_way = 0;
	room_above = (struct interest_room){0};
	by_lid = (struct number_table){0};
	announcements_forget();
	TAILQ_INIT(&requests);
}

/* The GID is copied: the list outlives the lock. */
static void list_append(struct interest_list *list)
{
	Tether__Address *address = &list->addresses[list->count];

	if (address->gid.len) {
		memcpy(list->gids[list->count], address->gid.data, sizeof(list->gids[0]));
		address->gid.data = list->gids[list->count];
	}
	list->pointers[list->count++] = address;
}

void interests_list(struct interest_list *list)
{
	struct interest *interest;
	size_t room = announcements_count(), own;

	TAILQ_FOREACH(interest, &interests, link)
	room++;
	*list = (struct interest_list){
	        .pointers = calloc(room + 1, sizeof(*list->pointers)),
	        .addresses = calloc(room + 1, sizeof(*list->addresses)),
	        .gids = calloc(room + 1, sizeof(*list->gids)),
	};
	if (!list->pointers || !list->addresses || !list->gids)
		return;
	TAILQ_FOREACH(interest, &interests, link)
	{
		/* One that was refused is to take nobody's room of those that were not. One that
		 * is registered all the same would be let go. */
		if (interest->to_be_dropped || (interest->refused && !interest->registered))
			continue;
		address_of(&interest->to, &list->addresses[list->count]);
		list_append(list);
	}
	own = announcements_addresses(&list->addresses[list->count]);
	while (own--)
		list_append(list);
}

void interest_list_free(struct interest_list *list)
{
	free(list->pointers);
	free(list->addresses);
	free(list->gids);
}
