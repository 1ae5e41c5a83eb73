/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "notifier/relay/registration_state.h"

/* Whoever is told that it is registered keeps them with the address. */
static void pkeys_fill(
        const struct registration *r, const struct request *request, Tether__InterestAnswer *answer)
{
	const uint32_t *pkeys;
	size_t count = 0;

	if (answer->outcome != TETHER__OUTCOME__OUTCOME_DONE || request->drop ||
	        address_is_announcement(&request->address))
		return;
	pkeys = registration_pkeys(r, &request->address, &count);
	if (pkeys) {
		answer->pkeys = (uint32_t *)pkeys;
		answer->n_pkeys = count;
	}
}

void request_reply(
        const struct registration *r, const struct request *request, Tether__Outcome outcome)
{
	Tether__InterestAnswer answer = TETHER__INTEREST_ANSWER__INIT;

	answer.request = request->request;
	answer.outcome = outcome;
	pkeys_fill(r, request, &answer);
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
	pkeys_fill(r, request, &copy);
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
