/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "sm-side/root/owner_notices.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>

#include "notifier/base/log.h"
#include "notifier/wire/message.h"

struct notice {
	struct notice *next;
	enum { NOTICE_ANSWER, NOTICE_AGENT_ANSWER, NOTICE_UP } kind;
	Tether__Answer *answer; /* in pieces */
	struct pieces pieces;
	char *host;
	uint64_t *open;
	size_t open_count;
};

struct owner_notices {
	struct event *due;
	struct notice *first;
	const struct root_callbacks *callbacks;
	void *owner;
};

static void notice_free(struct notice *notice)
{
	pieces_free(&notice->pieces);
	free(notice->host);
	free(notice->open);
	free(notice);
}

static void notice_add(struct owner_notices *notices, struct notice *notice)
{
	struct notice **end = &notices->first;

	while (*end)
		end = &(*end)->next;
	*end = notice;
	event_active(notices->due, EV_TIMEOUT, 0);
}

static int notice_fill(struct notice *notice, const char *host, const uint64_t *open, size_t count)
{
	notice->kind = NOTICE_UP;
	notice->host = strdup(host);
	notice->open = calloc(count + 1, sizeof(*notice->open));
	if (!notice->host || !notice->open)
		return -ENOMEM;
	if (count)
		memcpy(notice->open, open, count * sizeof(*notice->open));
	notice->open_count = count;
	return 0;
}

void owner_notices_up(
        struct owner_notices *notices, const char *host, const uint64_t *open, size_t count)
{
	struct notice *notice = calloc(1, sizeof(*notice));

	if (!notice)
		return;
	if (notice_fill(notice, host, open, count))
		notice_free(notice);
	else
		notice_add(notices, notice);
}

static void answer_add(struct owner_notices *notices, const Tether__Answer *answer, int kind)
{
	struct notice *notice = calloc(1, sizeof(*notice));

	if (notice)
		notice->answer = message_copy_in_pieces(&answer->base, &notice->pieces);
	if (!notice || !notice->answer) {
		/* The step's own timer ends it. */
		log_error("root", "no memory for an answer");
		if (notice)
			notice_free(notice);
		return;
	}
	notice->kind = kind;
	notice_add(notices, notice);
}

void owner_notices_answer(struct owner_notices *notices, const Tether__Answer *answer)
{
	answer_add(notices, answer, NOTICE_ANSWER);
}

void owner_notices_agent_answer(struct owner_notices *notices, const Tether__Answer *answer)
{
	answer_add(notices, answer, NOTICE_AGENT_ANSWER);
}

static void notices_due(evutil_socket_t unused, short what, void *context)
{
	struct owner_notices *notices = context;

	while (notices->first) {
		struct notice *notice = notices->first;

		notices->first = notice->next;
		switch (notice->kind) {
		case NOTICE_ANSWER:
			notices->callbacks->answer(notices->owner, notice->answer);
			break;
		case NOTICE_AGENT_ANSWER:
			notices->callbacks->agent_answer(notices->owner, notice->answer);
			break;
		case NOTICE_UP:
			notices->callbacks->host_up(
			        notices->owner, notice->host, notice->open, notice->open_count);
			break;
		}
		notice_free(notice);
	}
}

struct owner_notices *owner_notices_create(
        struct event_base *base, const struct root_callbacks *callbacks, void *owner)
{
	struct owner_notices *notices = calloc(1, sizeof(*notices));

	if (!notices)
		return NULL;
	notices->callbacks = callbacks;
	notices->owner = owner;
	notices->due = evtimer_new(base, notices_due, notices);
	if (notices->due)
		return notices;
	free(notices);
	return NULL;
}

void owner_notices_destroy(struct owner_notices *notices)
{
	if (!notices)
		return;
	event_free(notices->due);
	while (notices->first) {
		struct notice *notice = notices->first;

		notices->first = notice->next;
		notice_free(notice);
	}
	free(notices);
}
