/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Who asks for an address whose VM may not talk to his is refused: here, where the place of the VM
 * is known, or above. What the parent has said of an address is kept with it, so that the next who
 * asks and may is answered here. It may have changed since: who may not is asked for above.
 */
#include "notifier/relay/registration_state.h"

#include <stdlib.h>
#include <string.h>

static const char foreign_partition[] = "foreign-partition";

const uint32_t *registration_pkeys(
        const struct registration *r, const struct address *address, size_t *count)
{
	const uint32_t *pkeys = r->outputs->pkeys(r->owner, address, count);

	return pkeys ? pkeys : interest_pkeys(r->above, address, count);
}

/* Nobody is kept from letting go, nor from saying what is his own. */
bool request_may_talk(const struct registration *r, const struct request *request)
{
	const uint32_t *pkeys;
	size_t count;

	if (request->drop || !request->member || address_is_announcement(&request->address))
		return true;
	pkeys = r->outputs->pkeys(r->owner, &request->address, &count);
	return !pkeys || r->outputs->may_talk(r->owner, request, pkeys, count);
}

bool request_is_known_above(const struct registration *r, const struct request *request)
{
	const uint32_t *pkeys;
	size_t count;

	if (!registration_knows_above(r, &request->address))
		return false;
	pkeys = interest_pkeys(r->above, &request->address, &count);
	return !pkeys || r->outputs->may_talk(r->owner, request, pkeys, count);
}

void request_refuse_foreign(const struct registration *r, const struct request *request)
{
	if (!request->silent)
		request_refuse(r, request->member, request->request, foreign_partition,
		        "its VM is in no partition with the one at this address, or nowhere");
}

bool answer_is_of_partition(const Tether__InterestAnswer *answer)
{
	return answer->outcome == TETHER__OUTCOME__OUTCOME_REFUSED && answer->n_refusals &&
	       !strcmp(answer->refusals[0]->reason, foreign_partition);
}

/* One that waited along with @sent, for whose VM it was refused; NULL: that one is gone. */
static bool is_refused_for_another(const struct request *request, const struct request *sent)
{
	return !request->sent && (!sent || !sent->asker || !request->asker ||
	                                 strcmp(sent->asker, request->asker) != 0);
}

static struct request *sent_of(const struct requests *requests, uint32_t id)
{
	struct request *request = requests_by_id(requests, id);

	while (request && !request->sent)
		request = request_next_of_id(request);
	return request;
}

void registration_set_apart(
        struct registration *r, const Tether__InterestAnswer *answer, struct request_list *others)
{
	struct request *request = requests_by_id(&r->requests, answer->request), *next;
	const struct request *sent = sent_of(&r->requests, answer->request);

	TAILQ_INIT(others);
	for (; request && answer_is_of_partition(answer); request = next) {
		next = request_next_of_id(request);
		if (!is_refused_for_another(request, sent))
			continue;
		requests_take(&r->requests, request);
		TAILQ_INSERT_TAIL(others, request, in_state);
	}
}

void registration_ask_again(struct registration *r, struct request_list *others)
{
	struct request *request;

	while ((request = TAILQ_FIRST(others))) {
		TAILQ_REMOVE(others, request, in_state);
		request->held_above = false;
		registration_take_up(r, request);
	}
}
