/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "notifier/registration.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "notifier/barrier.h"
#include "notifier/base/cleanup.h"

enum {
	ABOVE = 1,                 /* the one member of the set of what is acknowledged above */
	ANNOUNCEMENTS_TIMES = 4,   /* as many as addresses */
	HELLO_ADDRESSES = 1 << 14, /* what fits into a frame along with the rest */
};

/* One registration that is not answered yet. */
struct request {
	struct request *next;
	uint32_t id;     /* of the Interest that went up for it; 0: none has */
	uint32_t member; /* who asks; 0: this relay itself, after a HELLO */
	bool in_barrier; /* waits for a barrier here */
	bool held_above;
	bool told_held;  /* its member waits for as long as it takes */
	bool silent;     /* nobody waits for its answer */
	bool superseded; /* a drop went up after it: its acknowledgement says nothing any more */
	bool drop;
	uint32_t request; /* the asker's number for it */
	uint32_t remote_qpn;
	bool datagrams;
	const char *vm; /* of the member, or NULL */
	struct address address;
};

struct registration {
	struct interest *held;
	struct interest *above;
	size_t interests_max, requests_max;
	struct request *requests; /* in the order in which they came */
	struct request *last;     /* of them */
	struct barrier *barriers;
	uint32_t last_id;
	bool parent_is_up;
	const struct registration_outputs *outputs;
	void *owner;
};

struct registration *registration_create(size_t interests_max, size_t requests_max,
        const struct registration_outputs *outputs, void *owner)
{
	struct registration *r = calloc(1, sizeof(*r));

	if (!r)
		return NULL;
	r->held = interest_create();
	r->above = interest_create();
	r->interests_max = interests_max;
	r->requests_max = requests_max;
	r->parent_is_up = true;
	r->outputs = outputs;
	r->owner = owner;
	if (r->held && r->above)
		return r;
	registration_destroy(r);
	return NULL;
}

void registration_destroy(struct registration *r)
{
	if (!r)
		return;
	while (r->requests) {
		struct request *next = r->requests->next;

		free(r->requests);
		r->requests = next;
	}
	barriers_clear(&r->barriers);
	interest_destroy(r->held);
	interest_destroy(r->above);
	free(r);
}

bool registration_holds(
        const struct registration *r, uint32_t member, const struct address *address)
{
	return interest_holds(r->held, member, address);
}

size_t registration_count(const struct registration *r, uint32_t member)
{
	return interest_count(r->held, member);
}

static size_t requests_of(const struct registration *r, uint32_t member)
{
	size_t count = 0;

	for (const struct request *q = r->requests; q; q = q->next)
		count += q->member == member;
	return count;
}

static void request_append(struct registration *r, struct request *request)
{
	request->next = NULL;
	if (r->last)
		r->last->next = request;
	else
		r->requests = request;
	r->last = request;
}

static void request_unlink(struct registration *r, struct request *request)
{
	struct request **at = &r->requests, *before = NULL;

	while (*at && *at != request) {
		before = *at;
		at = &before->next;
	}
	if (!*at)
		return;
	*at = request->next;
	if (r->last == request)
		r->last = before;
}

static void reply(
        const struct registration *r, const struct request *request, Tether__Outcome outcome)
{
	Tether__InterestAnswer answer = TETHER__INTEREST_ANSWER__INIT;

	answer.request = request->request;
	answer.outcome = outcome;
	if (!request->silent)
		r->outputs->down(r->owner, request->member, &answer);
}

static void say_held(const struct registration *r, struct request *request)
{
	request->told_held = true;
	reply(r, request, TETHER__OUTCOME__OUTCOME_NONE);
}

static void say_not_held(const struct registration *r, struct request *request)
{
	if (request->told_held)
		reply(r, request, TETHER__OUTCOME__OUTCOME_PARTIAL);
	request->told_held = false;
}

static void reply_refused(const struct registration *r, uint32_t member, uint32_t number,
        const char *reason, const char *text)
{
	Tether__InterestAnswer answer = TETHER__INTEREST_ANSWER__INIT;
	Tether__Refusal refusal = TETHER__REFUSAL__INIT;
	Tether__Refusal *refusals[] = {&refusal};

	refusal.reason = (char *)reason;
	refusal.text = (char *)text;
	answer.request = number;
	answer.outcome = TETHER__OUTCOME__OUTCOME_REFUSED;
	answer.refusals = refusals;
	answer.n_refusals = 1;
	r->outputs->down(r->owner, member, &answer);
}

static void send_up(struct registration *r, const struct request *request)
{
	Tether__Interest interest = TETHER__INTEREST__INIT;
	Tether__Address wire;

	address_encode(&request->address, &wire);
	interest.request = request->id;
	interest.address = &wire;
	interest.drop = request->drop;
	interest.remote_qpn = request->remote_qpn;
	interest.datagrams = request->datagrams;
	r->outputs->up(r->owner, &interest);
}

static uint32_t id_next(struct registration *r)
{
	if (!++r->last_id)
		++r->last_id;
	return r->last_id;
}

/* Nobody here holds @address any more. The set of the parent is brought in line; no answer is
 * needed. */
static void drop_above(struct registration *r, const struct address *address)
{
	struct request drop = {.drop = true, .address = *address};

	if (!r->parent_is_up)
		return; /* registration_parent_up sees it */
	interest_drop(r->above, ABOVE, address);
	for (struct request *q = r->requests; q; q = q->next)
		q->superseded = q->superseded || (q->id && address_matches(address, &q->address));
	drop.id = id_next(r);
	send_up(r, &drop);
}

static void let_go(struct registration *r, uint32_t member, const struct address *address)
{
	if (interest_drop(r->held, member, address) == 2)
		drop_above(r, address);
}

static bool is_known_above(const struct registration *r, const struct address *address)
{
	return r->parent_is_up && interest_holds(r->above, ABOVE, address);
}

/* It is not enough that the parent knows the address: numbers are wanted, or a context is said. */
static bool asks_something(const struct request *request)
{
	return request->remote_qpn || request->datagrams || request->address.qpn;
}

/* An Interest that is on its way for the same address and asks for no numbers: wait with it. */
static const struct request *on_its_way(const struct registration *r, const struct request *request)
{
	for (const struct request *q = r->requests; q; q = q->next)
		if (q->id && !q->superseded && !asks_something(q) &&
		        address_matches(&request->address, &q->address))
			return q;
	return NULL;
}

/* Send @request up, or along with another; answered later. */
static void ask_above(struct registration *r, struct request *request)
{
	bool joins = request->member && !asks_something(request);
	const struct request *other = joins ? on_its_way(r, request) : NULL;

	request_append(r, request);
	if (!r->parent_is_up) {
		say_not_held(r, request);
		return;
	}
	request->id = other ? other->id : id_next(r);
	request->held_above = other && other->held_above;
	if (request->held_above)
		say_held(r, request);
	if (!other) {
		struct request copy = *request; /* the answer may come before this returns */

		send_up(r, &copy);
	}
}

/* Carry out @request, which no barrier holds (any more), and own it. */
static void request_process(struct registration *r, struct request *request)
{
	request->in_barrier = false;
	if (request->drop) {
		let_go(r, request->member, &request->address);
		reply(r, request, TETHER__OUTCOME__OUTCOME_DONE);
		free(request);
	} else if (interest_add(r->held, request->member, &request->address) < 0) {
		reply_refused(r, request->member, request->request, "no-memory", "");
		free(request);
	} else if (!asks_something(request) && is_known_above(r, &request->address)) {
		reply(r, request, TETHER__OUTCOME__OUTCOME_DONE);
		free(request);
	} else {
		ask_above(r, request);
	}
}

static bool has_room(const struct registration *r, uint32_t member, const struct address *address)
{
	size_t most = address_is_announcement(address) ? ANNOUNCEMENTS_TIMES * r->interests_max
	                                               : r->interests_max;

	return interest_count_like(r->held, member, address) < most;
}

static const char *quota_exceeded(
        const struct registration *r, uint32_t member, const struct address *address, bool drop)
{
	if (requests_of(r, member) >= r->requests_max)
		return "too-many-requests";
	if (!drop && !interest_holds(r->held, member, address) && !has_room(r, member, address))
		return "too-many-interests";
	return NULL;
}

/* A VM that lets go of others, or announces something of its own, is in nobody's way. */
static bool is_held(const struct registration *r, const struct request *request)
{
	bool connects = !request->drop && !address_is_announcement(&request->address);

	return barriers_hold(r->barriers, connects ? request->vm : NULL, &request->address);
}

void registration_take(
        struct registration *r, uint32_t member, const char *vm, const Tether__Interest *interest)
{
	struct request *request;
	struct address address;
	const char *excess;

	if (address_decode(interest->address, &address)) {
		reply_refused(r, member, interest->request, "bad-address", "neither LID nor GID");
		return;
	}
	excess = quota_exceeded(r, member, &address, interest->drop);
	request = excess ? NULL : calloc(1, sizeof(*request));
	if (!request) {
		reply_refused(r, member, interest->request, excess ? excess : "no-memory", "");
		return;
	}
	request->member = member;
	request->drop = interest->drop;
	request->request = interest->request;
	request->remote_qpn = interest->remote_qpn;
	request->datagrams = interest->datagrams;
	request->vm = vm;
	request->address = address;
	if (!is_held(r, request)) {
		request_process(r, request);
		return;
	}
	request->in_barrier = true;
	request_append(r, request);
	say_held(r, request);
}

static struct request *request_with_id(const struct registration *r, uint32_t id)
{
	struct request *q = r->requests;

	while (q && (!id || q->id != id))
		q = q->next;
	return q;
}

static void answer_pass_down(const struct registration *r, const struct request *request,
        const Tether__InterestAnswer *answer)
{
	Tether__InterestAnswer copy = *answer;

	copy.request = request->request;
	if (!request->silent)
		r->outputs->down(r->owner, request->member, &copy);
}

static void held_above(struct registration *r, uint32_t id)
{
	for (struct request *q = r->requests; q; q = q->next) {
		if (q->id != id || q->held_above)
			continue;
		q->held_above = true;
		say_held(r, q);
	}
}

/* @id 0: none of them is. */
static void not_held_above(struct registration *r, uint32_t id)
{
	for (struct request *q = r->requests; q; q = q->next) {
		if (!q->held_above || (id && q->id != id))
			continue;
		q->held_above = false;
		say_not_held(r, q);
	}
}

void registration_answer(struct registration *r, const Tether__InterestAnswer *answer)
{
	bool is_done = answer->outcome == TETHER__OUTCOME__OUTCOME_DONE;
	struct request *request;

	if (answer->outcome == TETHER__OUTCOME__OUTCOME_NONE) {
		held_above(r, answer->request);
		return;
	}
	if (answer->outcome == TETHER__OUTCOME__OUTCOME_PARTIAL) {
		not_held_above(r, answer->request);
		return;
	}
	while ((request = request_with_id(r, answer->request))) {
		request_unlink(r, request);
		if (is_done && !request->superseded)
			interest_add(r->above, ABOVE, &request->address);
		else if (!is_done && !is_known_above(r, &request->address))
			interest_drop(r->held, request->member, &request->address);
		answer_pass_down(r, request, answer);
		free(request);
	}
}

struct address_list {
	struct address *addresses;
	size_t count;
};

static void address_append(void *context, const struct address *address)
{
	struct address_list *list = context;

	list->addresses[list->count++] = *address;
}

/* All that @member (0: anybody) holds. -ENOMEM */
static int held_list(const struct registration *r, uint32_t member, struct address_list *list)
{
	size_t count = interest_count(r->held, member);

	*list = (struct address_list){.addresses = calloc(count + 1, sizeof(*list->addresses))};
	if (!list->addresses)
		return -ENOMEM;
	interest_for_each(r->held, member, address_append, list);
	return 0;
}

static int addresses_decode(Tether__Address *const *wire, size_t count, struct address_list *list)
{
	*list = (struct address_list){.addresses = calloc(count + 1, sizeof(*list->addresses))};
	if (!list->addresses)
		return -ENOMEM;
	for (; list->count < count; list->count++)
		if (address_decode(wire[list->count], &list->addresses[list->count]))
			return -EINVAL;
	return 0;
}

/* A request of the relay's own, or one that stands for what a HELLO did not say any more. */
static void request_make(
        struct registration *r, uint32_t member, const struct address *address, bool drop)
{
	struct request *request = calloc(1, sizeof(*request));

	if (!request)
		return;
	request->silent = true;
	request->drop = drop;
	request->address = *address;
	if (drop) {
		request->member = member;
		request->in_barrier = true;
		request_append(r, request);
	} else {
		ask_above(r, request);
	}
}

static void requests_forget(struct registration *r, uint32_t member)
{
	struct request *request = r->requests, *next;

	for (; request; request = next) {
		next = request->next;
		if (request->member != member)
			continue;
		request_unlink(r, request);
		free(request);
	}
}

/* What does not fit was refused when it was registered. */
static void hello_take(struct registration *r, uint32_t member, const struct address *address)
{
	if (!interest_holds(r->held, member, address) && !has_room(r, member, address))
		return;
	if (interest_add(r->held, member, address) >= 0 && !is_known_above(r, address))
		request_make(r, 0, address, false);
}

static void hello_let_go(struct registration *r, uint32_t member, const struct address *address)
{
	if (barriers_hold(r->barriers, NULL, address))
		request_make(r, member, address, true);
	else
		let_go(r, member, address);
}

/* The set of @list, as a member's. */
static struct interest *set_of(const struct address_list *list)
{
	struct interest *set = interest_create();

	for (size_t i = 0; set && i < list->count; i++) {
		if (interest_add(set, ABOVE, &list->addresses[i]) >= 0)
			continue;
		interest_destroy(set);
		set = NULL;
	}
	return set;
}

int registration_hello(
        struct registration *r, uint32_t member, Tether__Address *const *addresses, size_t count)
{
	struct address_list before = {0}, now;
	int err = addresses_decode(addresses, count, &now);
	struct interest *said = err ? NULL : set_of(&now);

	if (!err && (!said || held_list(r, member, &before)))
		err = -ENOMEM;
	if (!err) {
		requests_forget(r, member);
		for (size_t i = 0; i < now.count; i++)
			hello_take(r, member, &now.addresses[i]);
		for (size_t i = 0; i < before.count; i++)
			if (!interest_holds(said, ABOVE, &before.addresses[i]))
				hello_let_go(r, member, &before.addresses[i]);
	}
	interest_destroy(said);
	free(before.addresses);
	free(now.addresses);
	return err;
}

const struct address *registration_announced(
        const struct registration *r, const struct address *address)
{
	return interest_find(r->held, address);
}

void registration_member_gone(struct registration *r, uint32_t member)
{
	struct address_list held;

	requests_forget(r, member);
	if (held_list(r, member, &held))
		return;
	for (size_t i = 0; i < held.count; i++)
		let_go(r, member, &held.addresses[i]);
	free(held.addresses);
}

int registration_hello_up(struct registration *r, struct address **addresses, size_t *count)
{
	struct interest *above = interest_create();
	struct address_list held;

	if (!above || held_list(r, 0, &held)) {
		interest_destroy(above);
		return -ENOMEM;
	}
	for (size_t i = 0; i < held.count && i < HELLO_ADDRESSES; i++)
		interest_add(above, ABOVE, &held.addresses[i]);
	interest_destroy(r->above);
	r->above = above;
	r->parent_is_up = false;
	/* Whatever this relay had still to ask by itself is in the HELLO or among these. */
	requests_forget(r, 0);
	for (size_t i = HELLO_ADDRESSES; i < held.count; i++)
		request_make(r, 0, &held.addresses[i], false);
	for (struct request *q = r->requests; q; q = q->next) {
		q->id = 0;
		q->held_above = q->superseded = false;
	}
	*addresses = held.addresses;
	*count = held.count < HELLO_ADDRESSES ? held.count : HELLO_ADDRESSES;
	return 0;
}

void registration_parent_lost(struct registration *r)
{
	r->parent_is_up = false;
	not_held_above(r, 0);
}

static struct request *request_unasked(const struct registration *r)
{
	struct request *q = r->requests;

	while (q && (q->id || q->in_barrier))
		q = q->next;
	return q;
}

static void drop_if_unheld(void *context, const struct address *address)
{
	struct registration *r = ((void **)context)[0];
	struct address_list *stale = ((void **)context)[1];

	if (!interest_is_held(r->held, address))
		address_append(stale, address);
}

/* What was let go between the HELLO and its answer was told to nobody yet. */
static void above_align(struct registration *r)
{
	struct address_list stale = {
	        .addresses = calloc(interest_count(r->above, 0) + 1, sizeof(*stale.addresses))};
	void *context[] = {r, &stale};

	if (!stale.addresses)
		return;
	interest_for_each(r->above, 0, drop_if_unheld, context);
	for (size_t i = 0; i < stale.count; i++)
		drop_above(r, &stale.addresses[i]);
	free(stale.addresses);
}

void registration_parent_up(struct registration *r)
{
	struct request *request;

	r->parent_is_up = true;
	above_align(r);
	while ((request = request_unasked(r))) {
		request_unlink(r, request);
		if (request->member)
			request_process(r, request);
		else if (is_known_above(r, &request->address))
			free(request);
		else
			ask_above(r, request);
	}
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

static struct request *request_freed(const struct registration *r)
{
	struct request *q = r->requests;

	while (q && (!q->in_barrier || is_held(r, q)))
		q = q->next;
	return q;
}

void registration_barrier_lift(struct registration *r, uint64_t migration)
{
	struct request *request;

	if (!barrier_lift(&r->barriers, migration))
		return;
	while ((request = request_freed(r))) {
		request_unlink(r, request);
		request_process(r, request);
	}
}

bool registration_has_barrier(const struct registration *r)
{
	return r->barriers;
}

bool registration_is_flushed(const struct registration *r, uint64_t migration)
{
	for (const struct request *q = r->requests; q; q = q->next)
		if (q->id && !q->held_above &&
		        barrier_came_after(r->barriers, migration, q->id, &q->address))
			return false;
	return true;
}

uint64_t registration_next(const struct registration *r)
{
	return barriers_next(r->barriers);
}

void registration_tick(struct registration *r, uint64_t now_ms)
{
	uint64_t migration;

	while (barriers_overdue(r->barriers, now_ms, &migration))
		registration_barrier_lift(r, migration);
}
