/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "sm-side/root/questions.h"

#include <stdlib.h>

#include "notifier/wire/rows.h"

struct question {
	struct question *next;
	uint32_t request;
	uint32_t qpn; /* 0: none is asked for */
	bool datagrams;
	struct address address;
	uint64_t until_ms;
};

struct questions {
	struct numbers numbers;
	struct question *waiting; /* in the order in which they came */
	const struct questions_outputs *outputs;
	void *owner;
};

struct questions *questions_create(const struct questions_outputs *outputs, void *owner)
{
	struct questions *q = calloc(1, sizeof(*q));

	if (!q)
		return NULL;
	q->outputs = outputs;
	q->owner = owner;
	return q;
}

void questions_destroy(struct questions *q)
{
	if (!q)
		return;
	while (q->waiting) {
		struct question *next = q->waiting->next;

		free(q->waiting);
		q->waiting = next;
	}
	numbers_clear(&q->numbers);
	free(q);
}

struct numbers *questions_numbers(struct questions *q)
{
	return &q->numbers;
}

static void answer(struct questions *q, const struct question *question)
{
	Tether__InterestAnswer said = TETHER__INTEREST_ANSWER__INIT;
	Tether__QpRows qps = TETHER__QP_ROWS__INIT;
	Tether__KeyRows keys = TETHER__KEY_ROWS__INIT;
	Tether__GidRows gids = TETHER__GID_ROWS__INIT;
	int err = 0;

	if (question->datagrams && !question->qpn)
		err = numbers_find_datagrams(&q->numbers, &question->address, q->outputs->announced,
		        q->owner, &qps, &gids);
	else if (question->qpn)
		err = numbers_find(&q->numbers, &question->address, question->qpn,
		        question->datagrams, q->outputs->announced, q->owner, &qps, &keys, &gids);
	said.request = question->request;
	said.outcome = err ? TETHER__OUTCOME__OUTCOME_FAILED : TETHER__OUTCOME__OUTCOME_DONE;
	said.qps = &qps;
	said.keys = &keys;
	said.gids = &gids;
	q->outputs->answer(q->owner, &said);
	rows_clear(&qps.base);
	rows_clear(&keys.base);
	rows_clear(&gids.base);
}

static bool has_to_wait(const struct questions *q, const struct question *question)
{
	return (question->qpn || question->datagrams) &&
	       numbers_are_doubtful(
	               &q->numbers, &question->address, q->outputs->announced, q->owner);
}

/* Takes @question out of its list; an answer may bring another one. */
static void answer_waiting(struct questions *q, struct question **at)
{
	struct question *question = *at;

	*at = question->next;
	answer(q, question);
	free(question);
}

/* From the front each time, since the list may have changed meanwhile. */
static void look_again(struct questions *q)
{
	struct question **at = &q->waiting;

	while (*at) {
		if (has_to_wait(q, *at)) {
			at = &(*at)->next;
			continue;
		}
		answer_waiting(q, at);
		at = &q->waiting;
	}
}

static void wait_for(struct questions *q, const struct question *asked)
{
	struct question **at = &q->waiting;
	struct question *question = malloc(sizeof(*question));

	if (!question) {
		answer(q, asked);
		return;
	}
	*question = *asked;
	while (*at)
		at = &(*at)->next;
	*at = question;
}

void questions_interest(struct questions *q, const Tether__Interest *interest,
        bool withdrawn_by_owner, uint64_t now_ms)
{
	struct question asked = {.request = interest->request,
	        .qpn = interest->drop ? 0 : interest->remote_qpn,
	        .datagrams = !interest->drop && interest->datagrams,
	        .until_ms = now_ms + QUESTION_WAITS_MS};
	struct address at;

	if (address_decode(interest->address, &asked.address)) {
		asked.qpn = 0;
		asked.datagrams = false;
	}
	at = asked.address;
	at.qpn = at.context = 0;
	if (has_to_wait(q, &asked))
		wait_for(q, &asked);
	else
		answer(q, &asked);
	if (!address_is_announcement(&asked.address))
		return;
	if (interest->drop && withdrawn_by_owner && !asked.address.qpn)
		numbers_forget_context(&q->numbers, &at, asked.address.context);
	look_again(q);
}

uint64_t questions_next(const struct questions *q)
{
	uint64_t next = UINT64_MAX;

	for (const struct question *question = q->waiting; question; question = question->next)
		if (question->until_ms < next)
			next = question->until_ms;
	return next;
}

void questions_tick(struct questions *q, uint64_t now_ms)
{
	if (questions_next(q) > now_ms)
		return;
	for (struct question *question = q->waiting; question; question = question->next)
		if (question->until_ms <= now_ms)
			numbers_forget_doubtful(
			        &q->numbers, &question->address, q->outputs->announced, q->owner);
	look_again(q);
}
