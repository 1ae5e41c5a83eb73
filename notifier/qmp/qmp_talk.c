/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "notifier/qmp/qmp_talk.h"

#include <errno.h>
#include <event2/event.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "notifier/base/log.h"
#include "notifier/base/timer.h"
#include "notifier/qmp/qmp_client.h"
#include "notifier/qmp/qmp_message.h"
#include "notifier/qmp/qmp_settings.h"

/* Of who is told to come to an end and cannot, since QEMU does not answer. */
enum { GIVEN_UP_MS = 2000 };

struct qmp_talk {
	struct event_base *base;
	struct qmp_talk_settings settings;
	struct qmp_client *client;
	struct qmp_order order;
	struct event *wait, *deadline, *end;
	bool is_waiting; /* nothing is asked of QEMU */
	bool is_ready, has_ended;
};

static void talk_end(struct qmp_talk *talk)
{
	if (talk->has_ended)
		return;
	talk->has_ended = true;
	evtimer_del(talk->wait);
	evtimer_del(talk->deadline);
	evtimer_del(talk->end);
	qmp_client_close(talk->client);
	talk->client = NULL;
	talk->settings.ended(talk->settings.context, talk, &talk->order);
}

static const char *vm_of(const struct qmp_talk *talk)
{
	return talk->settings.request.vm->name;
}

static bool is_look(enum qmp_command command)
{
	return command <= QMP_QOM_LIST;
}

static void say(struct qmp_talk *talk, const struct qmp_next *next)
{
	log_at(is_look(next->command) ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO, "qmp", "%s: vm %s: %s %s",
	        talk->settings.log_name, vm_of(talk), qmp_command_name(next->command),
	        next->arguments ? json_object_to_json_string_ext(
	                                  next->arguments, JSON_C_TO_STRING_NOSLASHESCAPE)
	                        : "");
	if (next->command == QMP_QUIT && talk->settings.moved)
		talk->settings.moved(talk->settings.context, talk);
	if (!qmp_client_say(talk->client, qmp_command_name(next->command), next->arguments))
		return;
	qmp_order_lost(&talk->order, "cannot be spoken to: no memory");
	talk_end(talk);
}

static void go_on(struct qmp_talk *talk)
{
	struct qmp_next next;

	talk->is_waiting = false;
	evtimer_del(talk->wait);
	qmp_order_next(&talk->order, monotonic_ms(), &next);
	if (*talk->order.note)
		log_info("qmp", "%s: vm %s: %s", talk->settings.log_name, vm_of(talk),
		        talk->order.note);
	talk->order.note[0] = 0;
	if (next.kind == QMP_END) {
		talk_end(talk);
		return;
	}
	if (next.kind == QMP_WAIT) {
		talk->is_waiting = true;
		timer_set(talk->wait, next.wait_ms);
		return;
	}
	say(talk, &next);
	json_object_put(next.arguments);
}

static void on_ready(void *context)
{
	struct qmp_talk *talk = context;

	talk->is_ready = true;
	go_on(talk);
}

static void on_said(void *context, const struct qmp_message *message)
{
	struct qmp_talk *talk = context;

	if (message->kind == QMP_EVENT) {
		log_debug("qmp", "%s: vm %s: event %.64s", talk->settings.log_name, vm_of(talk),
		        message->name);
		if (qmp_order_event(&talk->order, message) && talk->is_waiting)
			go_on(talk);
		return;
	}
	if (message->kind == QMP_ERROR) {
		char why[QMP_SEEN_TEXT];

		qmp_text_copy(why, sizeof(why), message->text);
		log_warn("qmp", "%s: vm %s: %s: %s", talk->settings.log_name, vm_of(talk),
		        qmp_command_name(talk->order.asked), why);
	}
	qmp_order_replied(&talk->order, message);
	go_on(talk);
}

static void on_lost(void *context, bool is_absent, const char *why)
{
	struct qmp_talk *talk = context;

	if (is_absent)
		qmp_order_absent(&talk->order, talk->settings.moved_to);
	else
		qmp_order_lost(&talk->order, why);
	talk_end(talk);
}

static const struct qmp_client_callbacks callbacks = {
        .ready = on_ready,
        .said = on_said,
        .lost = on_lost,
};

static void on_wait(evutil_socket_t fd, short what, void *at)
{
	go_on(at);
}

/* While something is asked of QEMU its answer comes first. */
static void give_up(struct qmp_talk *talk, int err)
{
	qmp_order_give_up(&talk->order, err);
	if (!talk->is_ready)
		timer_set(talk->end, 0);
	else if (talk->is_waiting)
		timer_set(talk->wait, 0);
}

static void on_deadline(evutil_socket_t fd, short what, void *at)
{
	give_up(at, -ETIMEDOUT);
}

static void on_end(evutil_socket_t fd, short what, void *at)
{
	struct qmp_talk *talk = at;

	qmp_order_give_up(&talk->order, -ETIMEDOUT);
	qmp_order_lost(&talk->order, talk->is_waiting ? "answers, but has not come to an end"
	                                              : qmp_client_waits(talk->client));
	talk_end(talk);
}

void qmp_talk_give_up(struct qmp_talk *talk, int err)
{
	timer_set(talk->end, GIVEN_UP_MS);
	give_up(talk, err);
}

static int timers_make(struct qmp_talk *talk)
{
	talk->wait = evtimer_new(talk->base, on_wait, talk);
	talk->deadline = evtimer_new(talk->base, on_deadline, talk);
	talk->end = evtimer_new(talk->base, on_end, talk);
	if (!talk->wait || !talk->deadline || !talk->end)
		return -ENOMEM;
	if (!talk->settings.deadline_ms)
		return 0;
	return timer_set(talk->deadline, talk->settings.deadline_ms) ||
	                       timer_set(talk->end, talk->settings.end_ms)
	               ? -ENOMEM
	               : 0;
}

struct qmp_talk *qmp_talk_start(struct event_base *base, const struct qmp_talk_settings *settings)
{
	struct qmp_talk *talk = calloc(1, sizeof(*talk));

	if (!talk)
		return NULL;
	talk->base = base;
	talk->settings = *settings;
	qmp_order_begin(&talk->order, &settings->request);
	if (!timers_make(talk))
		talk->client = qmp_client_open(base, settings->request.vm->qmp, &callbacks, talk);
	if (talk->client)
		return talk;
	qmp_talk_destroy(talk);
	return NULL;
}

void qmp_talk_destroy(struct qmp_talk *talk)
{
	if (!talk)
		return;
	qmp_client_close(talk->client);
	if (talk->wait)
		event_free(talk->wait);
	if (talk->deadline)
		event_free(talk->deadline);
	if (talk->end)
		event_free(talk->end);
	qmp_order_clear(&talk->order);
	free(talk);
}
