/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * The SM's end of make bench-signalling:
 *
 *	signalling_sm relay|flat ADDRESS HEARTBEAT_MS EPOCH [CA CERTIFICATE KEY]
 *
 * In, one line at a time:      Out, one JSON object each:
 *	up N                        when N links have said HELLO since the start, or the last drop
 *	event STEP MIGRATION EPOCH SEQUENCE LID
 *	                            when all who are concerned have answered
 *	drop                        all links are cut, as by the network
 *
 * STEP is a number; from the second step of a migration on, those who answered its first (PREPARE)
 * are expected. Times are microseconds. Ends with its standard input.
 */
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "tests/bench/line_tool.h"
#include "tests/bench/signalling_teller.h"

static const char *const usage =
        "usage: signalling_sm relay|flat ADDRESS HEARTBEAT_MS EPOCH [CA CERTIFICATE KEY]\n";

enum { DEADLINE_MS = 60000 };

struct sm {
	struct line_tool tool;
	const struct teller_ops *ops;
	struct teller *teller;

	size_t up, up_wanted; /* 0: not waited for */
	uint64_t up_since_us;
	struct credentials_counts up_since;

	Tether__Event event; /* being told */
	Tether__Address address;
	uint64_t told_us, told_cpu_us;
	struct teller_counts told_counts;

	char **expected; /* who answered PREPARE */
	size_t expected_count;
};

static uint64_t clock_us(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static struct credentials_counts handshakes(const struct sm *sm)
{
	return sm->tool.credentials ? *credentials_counts(sm->tool.credentials)
	                            : (struct credentials_counts){0};
}

static void up_say(struct sm *sm)
{
	struct credentials_counts now = handshakes(sm);

	if (!sm->up_wanted || sm->up < sm->up_wanted)
		return;
	printf("{\"up\": %zu, \"us\": %" PRIu64 ", \"full\": %" PRIu64 ", \"resumed\": %" PRIu64
	       "}\n",
	        sm->up, clock_us(CLOCK_MONOTONIC) - sm->up_since_us, now.full - sm->up_since.full,
	        now.resumed - sm->up_since.resumed);
	sm->up_wanted = 0;
}

static void on_up(void *owner)
{
	struct sm *sm = owner;

	sm->up++;
	up_say(sm);
}

static void expected_clear(struct sm *sm)
{
	for (size_t i = 0; i < sm->expected_count; i++)
		free(sm->expected[i]);
	free(sm->expected);
	sm->expected = NULL;
	sm->expected_count = 0;
}

static void expected_take(struct sm *sm, const Tether__Answer *answer)
{
	expected_clear(sm);
	sm->expected = calloc(answer->n_answered + 1, sizeof(*sm->expected));
	for (size_t i = 0; sm->expected && i < answer->n_answered; i++)
		if ((sm->expected[i] = strdup(answer->answered[i])))
			sm->expected_count++;
}

static const char *outcome_name(Tether__Outcome outcome)
{
	const ProtobufCEnumValue *value =
	        protobuf_c_enum_descriptor_get_value(&tether__outcome__descriptor, outcome);

	return value ? value->name + strlen("OUTCOME_") : "?";
}

static void on_answered(void *owner, const Tether__Answer *answer)
{
	struct sm *sm = owner;
	uint64_t us = clock_us(CLOCK_MONOTONIC) - sm->told_us;
	uint64_t cpu_us = clock_us(CLOCK_PROCESS_CPUTIME_ID) - sm->told_cpu_us;

	printf("{\"outcome\": \"%s\", \"us\": %" PRIu64 ", \"cpu_us\": %" PRIu64
	       ", \"events\": %" PRIu64 ", \"answers\": %" PRIu64
	       ", \"answered\": %zu, \"missing\": %zu, \"refusals\": %zu}\n",
	        outcome_name(answer->outcome), us, cpu_us,
	        teller_counts.events - sm->told_counts.events,
	        teller_counts.answers - sm->told_counts.answers, answer->n_answered,
	        answer->n_missing, answer->n_refusals);
	if (answer->step == TETHER__STEP__STEP_PREPARE)
		expected_take(sm, answer);
}

static const struct teller_callbacks callbacks = {.up = on_up, .answered = on_answered};

static void event_tell(struct sm *sm, const char *words)
{
	Tether__Event *event = &sm->event;
	unsigned step;
	int err;

	tether__event__init(event);
	tether__address__init(&sm->address);
	if (sscanf(words, "%u %" SCNu64 " %" SCNu64 " %" SCNu32 " %" SCNu32, &step,
	            &event->migration, &event->epoch, &event->sequence, &sm->address.lid) != 5) {
		printf("{\"error\": \"event: five numbers\"}\n");
		return;
	}
	event->step = (Tether__Step)step;
	event->deadline_ms = event->overall_ms = DEADLINE_MS;
	event->vm = (char *)"mover";
	event->address = &sm->address;
	event->to_vm = event->to_peers = true;
	if (event->step == TETHER__STEP__STEP_PREPARE)
		expected_clear(sm);
	event->expected = sm->expected;
	event->n_expected = sm->expected_count;
	sm->told_counts = teller_counts;
	sm->told_us = clock_us(CLOCK_MONOTONIC);
	sm->told_cpu_us = clock_us(CLOCK_PROCESS_CPUTIME_ID);
	err = sm->ops->tell(sm->teller, event);
	if (err)
		printf("{\"error\": \"%s\"}\n", strerror(-err));
}

/* Every socket that has a peer. */
static void links_cut(struct sm *sm)
{
	DIR *directory = opendir("/proc/self/fd");
	struct sockaddr_storage peer;
	struct dirent *entry;
	unsigned cut = 0;

	while (directory && (entry = readdir(directory))) {
		socklen_t length = sizeof(peer);
		int fd = atoi(entry->d_name);

		if (fd > STDERR_FILENO && !getpeername(fd, (struct sockaddr *)&peer, &length) &&
		        !shutdown(fd, SHUT_RDWR))
			cut++;
	}
	if (directory)
		closedir(directory);
	sm->up = 0;
	sm->up_since = handshakes(sm);
	sm->up_since_us = clock_us(CLOCK_MONOTONIC);
	printf("{\"cut\": %u}\n", cut);
}

static void told(void *owner, char *line)
{
	struct sm *sm = owner;

	if (!strncmp(line, "event ", 6)) {
		event_tell(sm, line + 6);
	} else if (!strncmp(line, "up ", 3)) {
		sm->up_wanted = strtoul(line + 3, NULL, 10);
		up_say(sm);
	} else if (!strcmp(line, "drop")) {
		links_cut(sm);
	} else {
		printf("{\"error\": \"unknown command\"}\n");
	}
}

static int teller_begin(struct sm *sm, char **words)
{
	struct deadlines deadlines = deadlines_default;
	int err;

	deadlines.heartbeat_ms = strtoul(words[2], NULL, 10);
	sm->ops = strcmp(words[0], "flat") ? &teller_relay_ops : &teller_flat_ops;
	sm->up_since_us = clock_us(CLOCK_MONOTONIC);
	sm->teller = sm->ops->create(sm->tool.base, words[1], sm->tool.credentials, &deadlines,
	        strtoull(words[3], NULL, 10), &callbacks, sm);
	if (sm->teller)
		return 0;
	err = -errno;
	fprintf(stderr, "signalling_sm: %s: %s\n", words[1], strerror(-err));
	return err;
}

int main(int argc, char **argv)
{
	struct sm sm = {0};
	int err;

	if ((argc != 5 && argc != 8) || (strcmp(argv[1], "relay") && strcmp(argv[1], "flat"))) {
		fputs(usage, stderr);
		return 2;
	}
	err = line_tool_open(&sm.tool, "signalling_sm", argc == 8 ? argv + 5 : NULL, told, &sm);
	if (!err)
		err = teller_begin(&sm, argv + 1);
	if (!err) {
		printf("{\"listening\": true}\n");
		line_tool_run(&sm.tool);
		sm.ops->destroy(sm.teller);
	}
	expected_clear(&sm);
	line_tool_close(&sm.tool);
	return !!err;
}
