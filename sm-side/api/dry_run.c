/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "sm-side/api/dry_run.h"

#include <errno.h>
#include <stdlib.h>

#include <event2/event.h>

#include "notifier/base/deadlines.h"
#include "notifier/base/timer.h"
#include "sm-side/root/sm_link.h"

struct question {
	struct question *next;
	struct dry_run *dry_run;
	struct event *late;
	uint64_t id;
	dry_run_told *told;
	void *context;
};

struct dry_run {
	struct event_base *base;
	struct sm_link *link;
	struct question *questions;
	unsigned patience_ms;
};

static void question_free(struct question *question)
{
	struct question **at = &question->dry_run->questions;

	while (*at != question)
		at = &(*at)->next;
	*at = question->next;
	event_free(question->late);
	free(question);
}

static void question_end(struct question *question, struct json_object *answer)
{
	dry_run_told *told = question->told;
	void *context = question->context;

	question_free(question);
	told(context, answer);
}

static void question_late(evutil_socket_t unused, short what, void *context)
{
	question_end(context, NULL);
}

static void link_up(void *owner)
{
}

static void link_down(void *owner, const char *why)
{
	struct dry_run *dry_run = owner;

	while (dry_run->questions)
		question_end(dry_run->questions, NULL);
}

static void link_answered(void *owner, uint64_t id, struct json_object *answer)
{
	struct dry_run *dry_run = owner;
	struct question *question = dry_run->questions;

	while (question && question->id != id)
		question = question->next;
	if (question)
		question_end(question, answer);
}

static const struct sm_link_callbacks callbacks = {
        .up = link_up,
        .down = link_down,
        .answer = link_answered,
};

struct dry_run *dry_run_create(
        struct event_base *base, const char *sm_socket, const struct deadlines *deadlines)
{
	struct dry_run *dry_run = calloc(1, sizeof(*dry_run));
	int err;

	if (!dry_run)
		return NULL;
	dry_run->base = base;
	dry_run->patience_ms = deadlines->plan_ms;
	dry_run->link =
	        sm_link_create(base, sm_socket, deadlines->reconnect_link_ms, &callbacks, dry_run);
	if (dry_run->link)
		return dry_run;
	err = errno;
	free(dry_run);
	errno = err;
	return NULL;
}

void dry_run_destroy(struct dry_run *dry_run)
{
	if (!dry_run)
		return;
	while (dry_run->questions)
		question_free(dry_run->questions);
	sm_link_destroy(dry_run->link);
	free(dry_run);
}

static struct question *question_make(struct dry_run *dry_run)
{
	struct question *question = calloc(1, sizeof(*question));

	if (!question)
		return NULL;
	question->dry_run = dry_run;
	question->late = evtimer_new(dry_run->base, question_late, question);
	if (!question->late) {
		free(question);
		return NULL;
	}
	question->next = dry_run->questions;
	dry_run->questions = question;
	return question;
}

int dry_run_ask(
        struct dry_run *dry_run, struct json_object *request, dry_run_told *told, void *context)
{
	struct question *question = question_make(dry_run);
	int err;

	if (!question) {
		json_object_put(request);
		return -ENOMEM;
	}
	question->told = told;
	question->context = context;
	err = sm_link_ask(dry_run->link, request, &question->id);
	if (err)
		question_free(question);
	else
		timer_set(question->late, dry_run->patience_ms);
	return err;
}

void dry_run_forget(struct dry_run *dry_run, const void *context)
{
	struct question *question = dry_run->questions, *next;

	for (; question; question = next) {
		next = question->next;
		if (question->context == context)
			question_free(question);
	}
}
