/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "preload/interests.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "notifier/base/log.h"
#include "notifier/wire/rows.h"
#include "preload/agent_link.h"

struct interest {
	struct remote to;
	unsigned connections;
	bool to_be_dropped; /* the agent is to hear that nobody is left */
	TAILQ_ENTRY(interest) link;
};

struct announced {
	struct announcement own;
	bool unsent;    /* nobody has asked it yet */
	bool withdrawn; /* the agent is to hear it */
	TAILQ_ENTRY(announced) link;
};

static TAILQ_HEAD(, interest) interests = TAILQ_HEAD_INITIALIZER(interests);
static TAILQ_HEAD(, announced) announcements = TAILQ_HEAD_INITIALIZER(announcements);
static TAILQ_HEAD(, interest_request) requests = TAILQ_HEAD_INITIALIZER(requests);
static uint32_t last_id;

static bool is_to(const struct interest *interest, const struct remote *remote)
{
	if (remote->lid || interest->to.lid)
		return interest->to.lid == remote->lid;
	return !memcmp(&interest->to.gid, &remote->gid, sizeof(remote->gid));
}

static struct interest *find(const struct remote *remote)
{
	struct interest *interest;

	TAILQ_FOREACH(interest, &interests, link)
	{
		if (is_to(interest, remote))
			return interest;
	}
	return NULL;
}

void interests_ask(struct interest_request *request, const struct remote *remote)
{
	struct interest *interest = find(remote);

	*request = (struct interest_request){.id = ++last_id, .remote = *remote};
	TAILQ_INSERT_TAIL(&requests, request, link);
	if (!interest) {
		interest = calloc(1, sizeof(*interest));
		if (!interest)
			return;
		interest->to = *remote;
		TAILQ_INSERT_TAIL(&interests, interest, link);
	}
	interest->connections++;
	interest->to_be_dropped = false;
}

void interests_done(struct interest_request *request, struct remote *remote)
{
	TAILQ_REMOVE(&requests, request, link);
	*remote = request->remote;
}

bool interests_drop(const struct remote *remote)
{
	struct interest *interest = find(remote);

	if (!interest || !interest->connections || --interest->connections)
		return false;
	interest->to_be_dropped = true;
	return true;
}

static int announced_add(const struct announcement *what, bool unsent)
{
	struct announced *announced = calloc(1, sizeof(*announced));

	if (!announced)
		return -ENOMEM;
	announced->own = *what;
	announced->unsent = unsent;
	TAILQ_INSERT_TAIL(&announcements, announced, link);
	return 0;
}

int interests_announce(struct interest_request *request, const struct announcement *what)
{
	if (announced_add(what, false))
		return -ENOMEM;
	*request = (struct interest_request){.id = ++last_id, .own = what};
	TAILQ_INSERT_TAIL(&requests, request, link);
	return 0;
}

int interests_announce_unasked(const struct announcement *what)
{
	return announced_add(what, true);
}

static bool is_of(const struct announcement *a, const struct announcement *b)
{
	return a->qpn == b->qpn && a->context == b->context;
}

bool interests_withdraw(const struct announcement *what)
{
	struct announced *announced;

	TAILQ_FOREACH(announced, &announcements, link)
	{
		if (is_of(&announced->own, what) && !announced->withdrawn)
			return announced->withdrawn = true;
	}
	return false;
}

static void address_of_own(const struct announcement *own, Tether__Address *address)
{
	tether__address__init(address);
	address->lid = own->lid;
	if (!own->lid) {
		address->gid.data = (uint8_t *)&own->gid;
		address->gid.len = sizeof(own->gid);
	}
	address->qpn = own->qpn;
	address->context = own->context;
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
		if (request->own)
			address_of_own(request->own, address);
		else
			address_of(&request->remote, address);
		return true;
	}
	return false;
}

static bool next_withdrawn(Tether__Interest *wire, Tether__Address *address)
{
	static struct announcement withdrawn;
	struct announced *announced;

	TAILQ_FOREACH(announced, &announcements, link)
	{
		if (!announced->withdrawn)
			continue;
		withdrawn = announced->own;
		address_of_own(&withdrawn, address);
		wire->request = ++last_id;
		wire->drop = true;
		TAILQ_REMOVE(&announcements, announced, link);
		free(announced);
		return true;
	}
	return false;
}

static bool next_unsent(Tether__Interest *wire, Tether__Address *address)
{
	struct announced *announced;

	TAILQ_FOREACH(announced, &announcements, link)
	{
		if (!announced->unsent)
			continue;
		announced->unsent = false;
		address_of_own(&announced->own, address);
		wire->request = ++last_id;
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
		free(interest);
		return true;
	}
	return false;
}

bool interests_next(Tether__Interest *interest, Tether__Address *address)
{
	tether__interest__init(interest);
	interest->address = address;
	return next_withdrawn(interest, address) || next_unsent(interest, address) ||
	       next_question(interest, address) || next_drop(interest, address);
}

/* The same rows come again with each answer; what stands in a table that is in use is not touched.
 */
/* Where nothing is translated there is no table; where a key has come back to be its own, what
 * stands in it is of an earlier place. */
static struct remote_keys *table_for(uint32_t lid, const struct key_row *row)
{
	if (row->virtual_rkey == row->real_rkey && !remote_keys_find(lid, row->context))
		return NULL;
	return remote_keys_of(lid, row->context);
}

static void take_keys(
        uint32_t lid, uint32_t context, const Tether__KeyRows *rows, struct remote *remote)
{
	size_t count;

	if (key_rows_count(rows, &count))
		return;
	for (size_t i = 0; i < count; i++) {
		struct key_row row = key_rows_get(rows, i);
		struct remote_keys *keys = row.context == context ? table_for(lid, &row) : NULL;

		if (!keys)
			continue;
		remote->keys = keys;
		/* What stands in a table that is in use is right, and not touched. */
		if (number_table_translate(&keys->keys, row.virtual_rkey) != row.real_rkey)
			number_table_set(&keys->keys, row.virtual_rkey, row.real_rkey);
	}
}

static void take_numbers(struct remote *remote, const Tether__InterestAnswer *answer)
{
	size_t count;

	if (qp_rows_count(answer->qps, &count))
		return;
	for (size_t i = 0; i < count; i++) {
		struct qp_row row = qp_rows_get(answer->qps, i);

		if (row.local_qpn != remote->qpn || row.local_lid != remote->lid)
			continue;
		remote->real_qpn = row.real_qpn;
		take_keys(row.local_lid, row.context, answer->keys, remote);
	}
}

void interests_answered(const Tether__InterestAnswer *answer)
{
	struct interest_request *request;

	TAILQ_FOREACH(request, &requests, link)
	{
		if (request->id != answer->request)
			continue;
		request->held = answer->outcome == TETHER__OUTCOME__OUTCOME_NONE;
		if (request->held || answer->outcome == TETHER__OUTCOME__OUTCOME_PARTIAL)
			continue;
		request->answered = true;
		request->refused = answer->outcome != TETHER__OUTCOME__OUTCOME_DONE;
		if (request->refused)
			log_warn("link", "%s: %s",
			        request->own ? "announcement of a queue pair"
			                     : "interest in an address",
			        answer->n_refusals ? answer->refusals[0]->text : "not accepted");
		else if (!request->own)
			take_numbers(&request->remote, answer);
	}
}

void interests_link_lost(void)
{
	struct interest_request *request;

	TAILQ_FOREACH(request, &requests, link)
	request->sent = request->held = false;
}

void interests_forget(void)
{
	TAILQ_INIT(&interests);
	TAILQ_INIT(&announcements);
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
	struct announced *announced;
	struct interest *interest;
	size_t room = 0;

	TAILQ_FOREACH(interest, &interests, link)
	room++;
	TAILQ_FOREACH(announced, &announcements, link)
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
		if (interest->to_be_dropped)
			continue;
		address_of(&interest->to, &list->addresses[list->count]);
		list_append(list);
	}
	TAILQ_FOREACH(announced, &announcements, link)
	{
		if (announced->withdrawn)
			continue;
		address_of_own(&announced->own, &list->addresses[list->count]);
		list_append(list);
	}
}

void interest_list_free(struct interest_list *list)
{
	free(list->pointers);
	free(list->addresses);
	free(list->gids);
}
