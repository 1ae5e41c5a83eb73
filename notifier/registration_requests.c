/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "notifier/registration_state.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { MEMBERS_FIRST = 16 };

/* Whoever floods is refused by this count each time, so it must cost nothing. */
size_t requests_count(const struct registration *r, uint32_t member)
{
	return member < r->of_member_room ? r->of_member[member] : 0;
}

int requests_reserve(struct registration *r, uint32_t member)
{
	size_t room = r->of_member_room ? r->of_member_room : MEMBERS_FIRST;
	uint32_t *grown;

	if (member < r->of_member_room)
		return 0;
	while (room <= member)
		room *= 2;
	grown = realloc(r->of_member, room * sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	memset(grown + r->of_member_room, 0, (room - r->of_member_room) * sizeof(*grown));
	r->of_member = grown;
	r->of_member_room = room;
	return 0;
}

void request_append(struct registration *r, struct request *request)
{
	request->next = NULL;
	if (r->last)
		r->last->next = request;
	else
		r->requests = request;
	r->last = request;
	request->is_counted = request->member < r->of_member_room;
	if (request->is_counted)
		r->of_member[request->member]++;
}

void request_unlink(struct registration *r, struct request *request)
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
	if (request->is_counted)
		r->of_member[request->member]--;
	request->is_counted = false;
}

void requests_forget(struct registration *r, uint32_t member)
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

void request_reply(
        const struct registration *r, const struct request *request, Tether__Outcome outcome)
{
	Tether__InterestAnswer answer = TETHER__INTEREST_ANSWER__INIT;

	answer.request = request->request;
	answer.outcome = outcome;
	if (!request->silent)
		r->outputs->down(r->owner, request->member, &answer);
}

void request_say_held(const struct registration *r, struct request *request)
{
	request->told_held = true;
	request_reply(r, request, TETHER__OUTCOME__OUTCOME_NONE);
}

void request_say_not_held(const struct registration *r, struct request *request)
{
	if (request->told_held)
		request_reply(r, request, TETHER__OUTCOME__OUTCOME_PARTIAL);
	request->told_held = false;
}

void request_pass_down(const struct registration *r, const struct request *request,
        const Tether__InterestAnswer *answer)
{
	Tether__InterestAnswer copy = *answer;

	copy.request = request->request;
	copy.moving |= request->heard && barriers_hold(r->barriers, NULL, &request->address);
	if (!request->silent)
		r->outputs->down(r->owner, request->member, &copy);
}

void request_refuse(const struct registration *r, uint32_t member, uint32_t number,
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
