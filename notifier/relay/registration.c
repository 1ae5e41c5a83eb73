/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "notifier/relay/registration_state.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
	ANNOUNCEMENTS_TIMES = 4, /* as many as addresses */
	FREED_AT_ONCE = 1000,
};

struct registration *registration_create(size_t interests_max, size_t requests_max,
        const struct registration_outputs *outputs, void *owner)
{
	struct registration *r = calloc(1, sizeof(*r));

	if (!r)
		return NULL;
	r->held = interest_create();
	r->above = interest_create_bare();
	r->interests_max = interests_max;
	r->requests_max = requests_max;
	r->parent_is_up = true;
	r->outputs = outputs;
	r->owner = owner;
	if (!requests_begin(&r->requests) && r->held && r->above)
		return r;
	registration_destroy(r);
	return NULL;
}

void registration_destroy(struct registration *r)
{
	if (!r)
		return;
	requests_clear(&r->requests);
	barriers_clear(&r->barriers);
	interest_destroy(r->held);
	interest_destroy(r->above);
	free(r);
}

uint64_t registration_crowded(const struct registration *r)
{
	return r->crowded;
}

bool registration_holds(
        const struct registration *r, uint32_t member, const struct address *address)
{
	return interest_holds(r->held, member, address);
}

/* Carry out @request, which no barrier holds (any more), and own it. */
void registration_process(struct registration *r, struct request *request)
{
	int added;

	if (request->drop) {
		registration_let_go(r, request->member, &request->address);
		request_reply(r, request, TETHER__OUTCOME__OUTCOME_DONE);
		free(request);
		return;
	}
	if (!request_may_talk(r, request)) {
		request_refuse_foreign(r, request);
		free(request);
		return;
	}
	added = interest_add(r->held, request->member, &request->address);
	request->added = request->added || added > 0;
	if (added < 0) {
		const char *text,
		        *reason = registration_name_taken(r, &request->address, false, &text);

		request_refuse(r, request->member, request->request, reason ? reason : "no-memory",
		        reason ? text : "");
		free(request);
	} else if (!request_asks_something(request) && request_is_known_above(r, request)) {
		request_reply(r, request, TETHER__OUTCOME__OUTCOME_DONE);
		free(request);
	} else {
		registration_ask_above(r, request, added == 2);
	}
}

bool registration_may_announce(const struct registration *r, uint32_t member, const char *asker,
        const struct address *address)
{
	return !address_is_announcement(address) ||
	       r->outputs->may_announce(r->owner, member, asker, address);
}

/* Who lets go need not say whose it was. */
const char *registration_name_taken(
        const struct registration *r, const struct address *address, bool drop, const char **text)
{
	struct address held = *address;

	if (drop)
		held.qpn = held.context = 0;
	switch (interest_check(r->held, &held)) {
	case -EEXIST:
		*text = "another GID that is in use has the same name; only one of them can be";
		return "gid-collision";
	case -EACCES:
		*text = "another VM announces this GID as its own";
		return "foreign-gid";
	default:
		return NULL;
	}
}

static const char its_own[] = "it has as many as it may",
                  its_vms[] = "its VM has as many as it may";

static bool vm_is_full(
        const struct registration *r, uint32_t member, size_t most, const struct address *address)
{
	if (interest_vm_holdings(r->held, member) >= r->interests_max * VM_HOLDINGS_TIMES)
		return true;
	return interest_count_of_vm(r->held, member, address) >= most * VM_INTERESTS_TIMES &&
	       !interest_vm_holds(r->held, member, address);
}

const char *registration_full(const struct registration *r, uint32_t member, unsigned weight,
        const struct address *address)
{
	size_t most = address_is_announcement(address) ? ANNOUNCEMENTS_TIMES * r->interests_max
	                                               : r->interests_max;

	if (interest_count_like(r->held, member, address) >= most * weight)
		return its_own;
	return vm_is_full(r, member, most, address) ? its_vms : NULL;
}

/* Why not, or NULL; *@text: whose quota it is. */
static const char *quota_exceeded(const struct registration *r, uint32_t member, unsigned weight,
        const struct address *address, bool drop, const char **text)
{
	*text = its_own;
	if (requests_count(&r->requests, member) >= r->requests_max * weight)
		return "too-many-requests";
	*text = its_vms;
	if (requests_count_of_vm(&r->requests, member) >= r->requests_max * VM_REQUESTS_TIMES)
		return "too-many-requests";
	*text = drop || interest_holds(r->held, member, address)
	                ? NULL
	                : registration_full(r, member, weight, address);
	return *text ? "too-many-interests" : NULL;
}

/* A VM that lets go of others, or announces something of its own, is in nobody's way; who has heard
 * a datagram has to know at once whose it is. */
static bool is_held(const struct registration *r, const struct request *request)
{
	bool connects = !request->drop && !address_is_announcement(&request->address);

	return !request->heard &&
	       barriers_hold(r->barriers, connects ? request->vm : NULL, &request->address);
}

static void carry_out(struct registration *r, struct request *request)
{
	/* Who is refused need not wait for it. */
	if (!is_held(r, request) || !request_may_talk(r, request)) {
		registration_process(r, request);
		return;
	}
	requests_put(&r->requests, request, REQUEST_HELD);
	request_say_held(r, request);
}

/* What a member asks is carried out in the order in which it asks it. */
void registration_take_up(struct registration *r, struct request *request)
{
	if (!request->heard && requests_has_freed(&r->requests, request->member))
		requests_put(&r->requests, request, REQUEST_FREED);
	else
		carry_out(r, request);
}

void registration_take(struct registration *r, uint32_t member, unsigned weight, const char *vm,
        const Tether__Interest *interest)
{
	const char *asker = vm ? vm : interest->vm;
	struct request *request;
	struct address address;
	const char *excess, *text;

	if (address_decode(interest->address, &address)) {
		request_refuse(r, member, interest->request, "bad-address", "neither LID nor GID");
		return;
	}
	if (!interest->drop && !registration_may_announce(r, member, asker, &address)) {
		request_refuse(r, member, interest->request, "foreign-lid",
		        "the LID is not of the VM that announces it");
		return;
	}
	address.vm = asker;
	excess = registration_name_taken(r, &address, interest->drop, &text);
	if (!excess)
		excess = quota_exceeded(r, member, weight, &address, interest->drop, &text);
	request = excess || requests_reserve(&r->requests, member) ? NULL : request_new(asker);
	if (!request) {
		r->crowded += excess && text == its_vms;
		request_refuse(r, member, interest->request, excess ? excess : "no-memory",
		        excess ? text : "");
		return;
	}
	request->member = member;
	request->drop = interest->drop;
	request->request = interest->request;
	request->remote_qpn = interest->remote_qpn;
	request->datagrams = interest->datagrams;
	request->heard = interest->heard && interest->datagrams && !interest->drop;
	request->vm = vm;
	request->address = address;
	request->address.vm = request->asker;
	registration_take_up(r, request);
}

const struct gid_book *registration_names(const struct registration *r)
{
	return interest_names(r->held);
}

const struct address *registration_announced(
        const struct registration *r, const struct address *address)
{
	return interest_find(r->held, address);
}

int registration_barrier(struct registration *r, uint64_t migration, const char *vm,
        const struct address *address, uint64_t until_ms)
{
	return barrier_set(&r->barriers, migration, vm, address, r->last_id, until_ms);
}

void registration_barrier_extend(struct registration *r, uint64_t migration, uint64_t until_ms)
{
	barrier_extend(r->barriers, migration, until_ms);
}

static void held_free(struct registration *r)
{
	struct request *request = TAILQ_FIRST(&r->requests.of_state[REQUEST_HELD]), *next;

	for (; request; request = next) {
		next = TAILQ_NEXT(request, in_state);
		if (is_held(r, request))
			continue;
		requests_take(&r->requests, request);
		requests_put(&r->requests, request, REQUEST_FREED);
	}
}

static bool any_is_freed(const struct registration *r)
{
	return !TAILQ_EMPTY(&r->requests.of_state[REQUEST_FREED]);
}

/* It may be many thousands of one who floods: the next ones when others have had their turn.
 * Another barrier may stand by then. */
static void freed_carry_out(struct registration *r)
{
	for (unsigned i = 0; i < FREED_AT_ONCE && any_is_freed(r); i++) {
		struct request *request = TAILQ_FIRST(&r->requests.of_state[REQUEST_FREED]);

		requests_take(&r->requests, request);
		carry_out(r, request);
	}
}

void registration_barrier_lift(struct registration *r, uint64_t migration)
{
	if (!barrier_lift(&r->barriers, migration))
		return;
	held_free(r);
	freed_carry_out(r);
}

bool registration_has_barrier(const struct registration *r)
{
	return r->barriers;
}

bool registration_is_flushed(const struct registration *r, uint64_t migration)
{
	const struct request *q;

	TAILQ_FOREACH(q, &r->requests.of_state[REQUEST_ASKED], in_state)
	if (!q->held_above && barrier_came_after(r->barriers, migration, q->id, &q->address))
		return false;
	return true;
}

uint64_t registration_next(const struct registration *r)
{
	return any_is_freed(r) ? 0 : barriers_next(r->barriers);
}

void registration_tick(struct registration *r, uint64_t now_ms)
{
	uint64_t migration;

	while (barriers_overdue(r->barriers, now_ms, &migration))
		registration_barrier_lift(r, migration);
	freed_carry_out(r);
}
