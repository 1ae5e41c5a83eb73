/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "tests/bench/signalling_end.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "notifier/link/connection.h"
#include "notifier/wire/answer.h"

static void hello_say(struct connection *connection, void *owner)
{
	struct end *end = owner;
	Tether__Frame frame = TETHER__FRAME__INIT;
	Tether__Hello hello = TETHER__HELLO__INIT;

	hello.version = TETHER__PROTOCOL__PROTOCOL_VERSION;
	hello.role = TETHER__ROLE__ROLE_SHIM;
	hello.name = end->name;
	hello.pid = getpid();
	hello.program = (char *)"bench";
	frame.body_case = TETHER__FRAME__BODY_HELLO;
	frame.hello = &hello;
	end->acknowledged = 0;
	connection_send(connection, &frame);
}

static void interests_say(struct end *end)
{
	for (size_t i = 0; i < end->lids_count; i++) {
		Tether__Frame frame = TETHER__FRAME__INIT;
		Tether__Interest interest = TETHER__INTEREST__INIT;
		Tether__Address address = TETHER__ADDRESS__INIT;

		address.lid = end->lids[i];
		interest.request = i + 1;
		interest.address = &address;
		frame.body_case = TETHER__FRAME__BODY_INTEREST;
		frame.interest = &interest;
		connection_send(end->connection, &frame);
	}
}

static void acknowledged(struct end *end, const Tether__InterestAnswer *answer)
{
	bool first = !end->was_ready;

	if (answer->outcome != TETHER__OUTCOME__OUTCOME_DONE ||
	        ++end->acknowledged < end->lids_count)
		return;
	end->was_ready = true;
	end->ready(end, first);
}

static void event_answer(struct end *end, const Tether__Event *event)
{
	Tether__Frame frame = TETHER__FRAME__INIT;
	Tether__Answer answer;

	end->delivered++;
	answer_begin(&answer, event_key(event));
	frame.body_case = TETHER__FRAME__BODY_ANSWER;
	frame.answer = &answer;
	connection_send(end->connection, &frame);
}

static void on_frame(struct connection *connection, const Tether__Frame *frame, void *owner)
{
	struct end *end = owner;

	switch (frame->body_case) {
	case TETHER__FRAME__BODY_HELLO_ANSWER:
		if (frame->hello_answer->outcome != TETHER__OUTCOME__OUTCOME_DONE)
			fprintf(stderr, "signalling_ends: %s is refused\n", end->name);
		interests_say(end);
		break;
	case TETHER__FRAME__BODY_INTEREST_ANSWER:
		acknowledged(end, frame->interest_answer);
		break;
	case TETHER__FRAME__BODY_EVENT:
		event_answer(end, frame->event);
		break;
	default:
		break;
	}
}

static void on_closed(struct connection *connection, int reason, const char *text, void *owner)
{
	struct end *end = owner;

	if (end->acknowledged == end->lids_count)
		end->gone(end);
}

static const struct connection_callbacks callbacks = {
        .opened = hello_say,
        .frame = on_frame,
        .closed = on_closed,
};

int end_connect(struct end *end, struct event_base *base, struct credentials *credentials)
{
	struct connection_settings settings = connection_settings_default;

	settings.heartbeat_ms = 0;
	settings.credentials = credentials;
	end->connection = connection_connect(base, end->address, &settings, &callbacks, end);
	if (end->connection)
		return 0;
	fprintf(stderr, "signalling_ends: %s: %s\n", end->address, strerror(errno));
	return -errno;
}

void end_disconnect(struct end *end)
{
	connection_destroy(end->connection);
	end->connection = NULL;
}

unsigned end_delivered(struct end *end)
{
	return atomic_exchange(&end->delivered, 0);
}
