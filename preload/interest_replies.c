/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* What comes back: who waited for it goes on, what was refused waits for room. */
#include "preload/interests_state.h"

#include <errno.h>
#include <string.h>

#include "notifier/base/log.h"
#include "notifier/wire/gid_name.h"
#include "preload/datagram_numbers.h"
#include "preload/heard_senders.h"
#include "preload/interest_answer.h"

/* Who is heard from a GID of another name moves by that name: what is said of it then is to be
 * heard as well. */
static void hear_whoever_is_there(
        const struct remote *at, const Tether__QpRows *rows, const Tether__GidRows *gids)
{
	for (size_t i = 0; rows && i < rows->n_local_lid; i++) {
		struct remote known = {.lid = rows->local_lid[i], .real_lid = rows->local_lid[i]};

		if (known.lid == at->lid || rows->real_lid[i] != at->lid ||
		        !gid_rows_find(gids, known.lid, known.gid.raw))
			continue;
		known.real_gid = known.gid;
		interests_hear(&known);
	}
}

/* In the middle of a move they are right as what was heard goes; who sends there asks, and waits.
 */
static void take_datagrams(const struct remote *remote, const Tether__InterestAnswer *answer)
{
	struct datagram_numbers *numbers = datagram_numbers_of(remote->lid, &remote->gid);
	struct interest *interest = interest_find(remote);
	int err = numbers ? datagram_numbers_take(numbers, answer->qps, answer->gids) : -ENOMEM;

	if (err) {
		log_error("link", "lid %u: numbers of datagram queue pairs: error %d", remote->lid,
		        -err);
		return;
	}
	if (is_gid_name(remote->lid) && interest && interest->heard)
		hear_whoever_is_there(remote, answer->qps, answer->gids);
	log_debug("link", "lid %u: numbers of datagram queue pairs are known", remote->lid);
	if (interest)
		interest->known = !answer->moving;
}

/* The next time it is another's turn. */
static void refused_again(struct interest *interest, uint64_t now_ms)
{
	interest_room_refuses_again(&all_interests.room_above, now_ms);
	TAILQ_REMOVE(&all_interests.list, interest, link);
	TAILQ_INSERT_TAIL(&all_interests.list, interest, link);
}

static void refused(struct interest *interest, const Tether__InterestAnswer *answer, bool again,
        uint64_t now_ms)
{
	if (!interest->refused)
		interest_room_refuses(&all_interests.room_above, answer, now_ms);
	else
		interest_room_refuses_for(&all_interests.room_above, interest->refused, answer);
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
		interest_accepted(interest);
	if (answer->outcome == TETHER__OUTCOME__OUTCOME_DONE)
		interest->registered = true;
}

/* Of two GIDs with one name, or of two VMs with one GID. */
static bool is_collision(const Tether__InterestAnswer *answer)
{
	return answer->outcome == TETHER__OUTCOME__OUTCOME_REFUSED && answer->n_refusals &&
	       (!strcmp(answer->refusals[0]->reason, "gid-collision") ||
	               !strcmp(answer->refusals[0]->reason, "foreign-gid"));
}

static void request_answered(
        struct interest_request *request, const Tether__InterestAnswer *answer, uint64_t now_ms)
{
	struct interest *interest = request->own ? NULL : interest_find(&request->remote);

	request->answered = true;
	request->refused = answer->outcome != TETHER__OUTCOME__OUTCOME_DONE;
	if (is_collision(answer))
		request->remote.unreachable = EADDRINUSE;
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

	TAILQ_FOREACH(interest, &all_interests.list, link)
	{
		if (!interest->request || interest->request != answer->request)
			continue;
		if (is_last) {
			interest_not_under_way(interest);
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

/* As announcements.h has it. */
static int outcome_of_announcement(const Tether__InterestAnswer *answer)
{
	switch (answer->outcome) {
	case TETHER__OUTCOME__OUTCOME_DONE:
		return 0;
	case TETHER__OUTCOME__OUTCOME_NONE:
		return ANNOUNCEMENT_IS_HELD;
	case TETHER__OUTCOME__OUTCOME_PARTIAL:
		return ANNOUNCEMENT_WAITS;
	default:
		return is_collision(answer) ? -EADDRINUSE : -ENOMEM;
	}
}

void interests_answered(const Tether__InterestAnswer *answer, uint64_t now_ms)
{
	bool held = answer->outcome == TETHER__OUTCOME__OUTCOME_NONE;
	bool is_last = !held && answer->outcome != TETHER__OUTCOME__OUTCOME_PARTIAL;
	struct interest_request *request;

	TAILQ_FOREACH(request, &all_interests.requests, link)
	{
		if (request->id != answer->request)
			continue;
		request->held = held;
		if (is_last)
			request_answered(request, answer, now_ms);
		return;
	}
	if (!announcements_answered(answer->request, outcome_of_announcement(answer)))
		datagrams_answered(answer, is_last, now_ms);
}
