/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "preload/datagram_questions.h"

#include "notifier/base/cleanup.h"
#include "notifier/base/log.h"
#include "notifier/base/monotonic.h"
#include "preload/agent_link_state.h"
#include "preload/datagrams.h"
#include "preload/interests.h"

enum { ABSENT_MS = 1000 };

static struct interest_request question;
static bool is_asking;
static unsigned asked_at; /* what was said until then may have been heard already */

int datagram_questions_are_open(void)
{
	return is_asking;
}

static void ask(const struct remote *whom)
{
	LOCK_GUARD(&agent_link.lock);
	log_debug("datagrams", "where is lid %u, qp 0x%x?", whom->lid, whom->qpn);
	interests_ask(&question, whom);
	/* A connection may have that number, too. */
	question.datagrams = question.heard = true;
	asked_at = datagram_numbers_taken();
	is_asking = true;
}

static bool nobody_is_there(void)
{
	return agent_link.absent_since_ms &&
	       monotonic_ms() - agent_link.absent_since_ms >= ABSENT_MS;
}

/* False: not yet. */
static bool take_answer(struct remote *whom)
{
	LOCK_GUARD(&agent_link.lock);
	if (!question.answered && !nobody_is_there())
		return false;
	interests_done(&question, whom);
	log_debug("datagrams", "lid %u, qp 0x%x is at lid %u, qp 0x%x", whom->lid, whom->qpn,
	        whom->real_lid, whom->real_qpn);
	interests_drop(whom);
	is_asking = false;
	return true;
}

void datagram_questions_turn(void)
{
	struct remote whom;

	if (is_asking && take_answer(&whom))
		datagrams_learned(&whom, asked_at);
	if (!is_asking && datagrams_next_unknown(&whom))
		ask(&whom);
}

void datagram_questions_forget(void)
{
	is_asking = false;
}
