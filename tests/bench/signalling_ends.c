/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * The VMs' ends of make bench-signalling, as many as it is told: each has a link of its own to its
 * agent (or to the SM's end itself), registers what it talks to, and answers each event at once
 * with DONE.
 *
 *	signalling_ends [CA CERTIFICATE KEY]
 *
 * In:  ADDRESS VM LID...       one more end, a process of VM
 *      go                      connect them all
 *      count                   what has been delivered since the last time
 * Out: {"ready": N}            all are welcome, and their registrations acknowledged
 *      {"deliveries": N, "least": N, "most": N}
 *                              the last two of one end, of those that got any
 *
 * Ends with its standard input.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "notifier/link/connection.h"
#include "notifier/wire/answer.h"
#include "tests/bench/line_tool.h"

enum {
	LIDS_MOST = 4,
	AT_ONCE = 64, /* connecting: whoever accepts has as long for each as for one */
};

struct end {
	struct end *next;
	struct ends *ends;
	struct connection *connection;
	char *address;
	char *name; /* "VM/PID.NUMBER" */
	uint32_t lids[LIDS_MOST];
	size_t lids_count, acknowledged;
	bool was_ready;
	unsigned delivered;
};

struct ends {
	struct line_tool tool;
	struct end *list, *next; /* to connect */
	size_t count, ready;
};

static const struct connection_callbacks callbacks;

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

static void next_connect(struct ends *ends)
{
	struct connection_settings settings = connection_settings_default;
	struct end *end = ends->next;

	if (!end)
		return;
	ends->next = end->next;
	settings.heartbeat_ms = 0;
	settings.credentials = ends->tool.credentials;
	end->connection =
	        connection_connect(ends->tool.base, end->address, &settings, &callbacks, end);
	if (!end->connection)
		fprintf(stderr, "signalling_ends: %s: %s\n", end->address, strerror(errno));
}

static void acknowledged(struct end *end, const Tether__InterestAnswer *answer)
{
	struct ends *ends = end->ends;

	if (answer->outcome != TETHER__OUTCOME__OUTCOME_DONE ||
	        ++end->acknowledged < end->lids_count)
		return;
	if (!end->was_ready)
		next_connect(ends);
	end->was_ready = true;
	if (++ends->ready == ends->count)
		printf("{\"ready\": %zu}\n", ends->ready);
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

static void on_frame(struct connection *connection, Tether__Frame *frame, void *owner)
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
		end->ends->ready--;
}

static const struct connection_callbacks callbacks = {
        .opened = hello_say,
        .frame = on_frame,
        .closed = on_closed,
};

static void end_destroy(struct end *end)
{
	connection_destroy(end->connection);
	free(end->address);
	free(end->name);
	free(end);
}

static void end_add(struct ends *ends, char *line)
{
	struct end *end = calloc(1, sizeof(*end));
	char *at, *address = strtok_r(line, " ", &at), *vm = strtok_r(NULL, " ", &at), *lid;

	if (!end || !address || !vm ||
	        asprintf(&end->name, "%s/%d.%zu", vm, (int)getpid(), ends->count) < 0) {
		fprintf(stderr, "signalling_ends: what is that end?\n");
		free(end);
		return;
	}
	end->ends = ends;
	end->address = strdup(address);
	while (end->lids_count < LIDS_MOST && (lid = strtok_r(NULL, " ", &at)))
		end->lids[end->lids_count++] = strtoul(lid, NULL, 10);
	end->next = ends->list;
	ends->list = end;
	ends->count++;
}

static void connect_all(struct ends *ends)
{
	ends->next = ends->list;
	for (int i = 0; i < AT_ONCE; i++)
		next_connect(ends);
}

static void count_say(struct ends *ends)
{
	unsigned least = 0, most = 0;
	uint64_t sum = 0;

	for (struct end *end = ends->list; end; end = end->next) {
		if (end->delivered && (!least || end->delivered < least))
			least = end->delivered;
		if (end->delivered > most)
			most = end->delivered;
		sum += end->delivered;
		end->delivered = 0;
	}
	printf("{\"deliveries\": %" PRIu64 ", \"least\": %u, \"most\": %u}\n", sum, least, most);
}

static void told(void *owner, char *line)
{
	struct ends *ends = owner;

	if (!strcmp(line, "go"))
		connect_all(ends);
	else if (!strcmp(line, "count"))
		count_say(ends);
	else
		end_add(ends, line);
}

int main(int argc, char **argv)
{
	struct ends ends = {0};
	int err = line_tool_open(
	        &ends.tool, "signalling_ends", argc == 4 ? argv + 1 : NULL, told, &ends);

	if (!err)
		line_tool_run(&ends.tool);
	while (ends.list) {
		struct end *next = ends.list->next;

		end_destroy(ends.list);
		ends.list = next;
	}
	line_tool_close(&ends.tool);
	return !!err;
}
