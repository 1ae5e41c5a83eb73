/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "notifier/relay/registration_state.h"

#include <stdlib.h>

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
	interest.heard = request->heard;
	if (request->asker)
		interest.vm = (char *)request->asker;
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
void registration_drop_above(struct registration *r, const struct address *address)
{
	struct request drop = {.drop = true, .address = *address};

	if (!r->parent_is_up)
		return; /* registration_parent_up sees it */
	interest_drop(r->above, ABOVE, address);
	requests_supersede(&r->requests, address);
	drop.id = id_next(r);
	send_up(r, &drop);
}

void registration_let_go(struct registration *r, uint32_t member, const struct address *address)
{
	if (interest_drop(r->held, member, address) == 2)
		registration_drop_above(r, address);
}

bool registration_knows_above(const struct registration *r, const struct address *address)
{
	return r->parent_is_up && interest_holds(r->above, ABOVE, address);
}

/* Send @request up, or along with another; answered later. */
void registration_ask_above(struct registration *r, struct request *request, bool is_new)
{
	/* One that is on its way for the same address and asks for no numbers: wait with it. */
	bool joins = !is_new && request->member && !request_asks_something(request);
	const struct request *other = joins ? requests_alike(&r->requests, request) : NULL;

	if (!r->parent_is_up) {
		requests_put(&r->requests, request, REQUEST_WAITING);
		request_say_not_held(r, request);
		return;
	}
	request->id = other ? other->id : id_next(r);
	request->sent = !other;
	requests_put(&r->requests, request, REQUEST_ASKED);
	request->held_above = other && other->held_above;
	if (request->held_above)
		request_say_held(r, request);
	if (!other) {
		struct request copy = *request; /* the answer may come before this returns */

		send_up(r, &copy);
	}
}

static void held_above(struct registration *r, uint32_t id)
{
	struct request *q = requests_by_id(&r->requests, id);

	for (; q; q = request_next_of_id(q)) {
		if (q->held_above)
			continue;
		q->held_above = true;
		request_say_held(r, q);
	}
}

static void not_held_above(struct registration *r, struct request *request)
{
	if (!request->held_above)
		return;
	request->held_above = false;
	request_say_not_held(r, request);
}

static void unhold(struct registration *r, const struct request *request)
{
	bool is_known = registration_knows_above(r, &request->address);

	if ((is_known && !request->added) ||
	        requests_member_asks(&r->requests, request->member, &request->address))
		return;
	if (is_known)
		registration_let_go(r, request->member, &request->address);
	else
		interest_drop(r->held, request->member, &request->address);
}

static void refused_above(
        struct registration *r, const struct request *request, const Tether__InterestAnswer *answer)
{
	unhold(r, request);
	request_pass_down(r, request, answer);
}

static void done_above(
        struct registration *r, const struct request *request, const Tether__InterestAnswer *answer)
{
	if (!request->superseded && interest_add(r->above, ABOVE, &request->address) >= 0)
		interest_pkeys_set(r->above, &request->address, answer->pkeys, answer->n_pkeys);
	/* Whose the address is may be known only now. */
	if (request_may_talk(r, request)) {
		request_pass_down(r, request, answer);
		return;
	}
	unhold(r, request);
	request_refuse_foreign(r, request);
}

void registration_answer(struct registration *r, const Tether__InterestAnswer *answer)
{
	bool is_done = answer->outcome == TETHER__OUTCOME__OUTCOME_DONE;
	struct request_list others;
	struct request *request;

	if (answer->outcome == TETHER__OUTCOME__OUTCOME_NONE) {
		held_above(r, answer->request);
		return;
	}
	if (answer->outcome == TETHER__OUTCOME__OUTCOME_PARTIAL) {
		request = requests_by_id(&r->requests, answer->request);
		for (; request; request = request_next_of_id(request))
			not_held_above(r, request);
		return;
	}
	registration_set_apart(r, answer, &others);
	while ((request = requests_by_id(&r->requests, answer->request))) {
		requests_take(&r->requests, request);
		if (is_done)
			done_above(r, request, answer);
		else
			refused_above(r, request, answer);
		free(request);
	}
	registration_ask_again(r, &others);
}

void registration_parent_lost(struct registration *r)
{
	struct request *request;

	r->parent_is_up = false;
	TAILQ_FOREACH(request, &r->requests.of_state[REQUEST_ASKED], in_state)
	not_held_above(r, request);
}
