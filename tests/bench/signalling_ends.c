/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * The VMs' ends of make bench-signalling (signalling_end.h), as many as it is told, each over a
 * link of its own to its agent, or to the SM's end itself.
 *
 *	signalling_ends together|apart [CA CERTIFICATE KEY]
 *
 * Together: in one thread, which is woken once for many. Apart: each in a thread of its own with
 * all that it has, so that each sleeps and is woken by what comes for it, as each agent is. What a
 * sender on the same machine pays of that it pays for each.
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
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <event2/event.h>

#include "tests/bench/line_tool.h"
#include "tests/bench/signalling_end.h"

enum {
	AT_ONCE = 64, /* connecting: whoever accepts has as long for each as for one */
};

static const char *const usage = "usage: signalling_ends together|apart [CA CERTIFICATE KEY]\n";

struct each {
	struct each *next;
	struct ends *ends;
	struct end end;
	pthread_t thread;
	bool has_thread;
};

struct ends {
	struct line_tool tool;
	bool are_apart;
	int stop[2]; /* a pipe; threads end when its other end is closed */
	struct each *list;
	size_t count;

	pthread_mutex_t lock; /* what follows */
	struct each *next;    /* to connect */
	size_t ready;
};

/* ---- a thread for each ---- */

static void on_stop(evutil_socket_t fd, short what, void *context)
{
	event_base_loopbreak(context);
}

static void loop_run(struct each *each, struct event_base *base, struct credentials *credentials)
{
	struct event *stop =
	        event_new(base, each->ends->stop[0], EV_READ | EV_PERSIST, on_stop, base);

	if (stop && !event_add(stop, NULL) && !end_connect(&each->end, base, credentials))
		event_base_dispatch(base);
	end_disconnect(&each->end);
	if (stop)
		event_free(stop);
}

static void *thread_run(void *context)
{
	struct each *each = context;
	struct line_tool *tool = &each->ends->tool;
	struct event_base *base = event_base_new();
	char error[256] = "no memory";
	struct credentials *credentials = NULL;

	if (tool->credentials)
		credentials = credentials_create(&tool->files, error, sizeof(error));
	if (base && !credentials == !tool->credentials)
		loop_run(each, base, credentials);
	else
		fprintf(stderr, "signalling_ends: %s\n", error);
	credentials_destroy(credentials);
	if (base)
		event_base_free(base);
	return NULL;
}

/* ---- connecting ---- */

/* Locked, so that who ends sees all that have begun. */
static void thread_begin(struct each *each)
{
	int err = pthread_create(&each->thread, NULL, thread_run, each);

	each->has_thread = !err;
	if (err)
		fprintf(stderr, "signalling_ends: a thread: %s\n", strerror(err));
}

static void connect_next(struct ends *ends)
{
	struct each *each;

	pthread_mutex_lock(&ends->lock);
	each = ends->next;
	if (each)
		ends->next = each->next;
	if (each && ends->are_apart)
		thread_begin(each);
	pthread_mutex_unlock(&ends->lock);
	if (each && !ends->are_apart)
		end_connect(&each->end, ends->tool.base, ends->tool.credentials);
}

static void on_ready(struct end *end, bool first)
{
	struct ends *ends = end->owner;
	size_t ready;

	if (first)
		connect_next(ends);
	pthread_mutex_lock(&ends->lock);
	ready = ++ends->ready;
	pthread_mutex_unlock(&ends->lock);
	if (ready == ends->count)
		printf("{\"ready\": %zu}\n", ready);
}

static void on_gone(struct end *end)
{
	struct ends *ends = end->owner;

	pthread_mutex_lock(&ends->lock);
	ends->ready--;
	pthread_mutex_unlock(&ends->lock);
}

static void each_destroy(struct each *each)
{
	end_disconnect(&each->end);
	free(each->end.address);
	free(each->end.name);
	free(each);
}

/* ---- what it is told ---- */

static void end_add(struct ends *ends, char *line)
{
	struct each *each = calloc(1, sizeof(*each));
	struct end *end = &each->end;
	char *at, *address = strtok_r(line, " ", &at), *vm = strtok_r(NULL, " ", &at), *lid;

	if (!each || !address || !vm ||
	        asprintf(&end->name, "%s/%d.%zu", vm, (int)getpid(), ends->count) < 0) {
		fprintf(stderr, "signalling_ends: what is that end?\n");
		free(each);
		return;
	}
	end->ready = on_ready;
	end->gone = on_gone;
	end->owner = ends;
	end->address = strdup(address);
	while (end->lids_count < END_LIDS_MOST && (lid = strtok_r(NULL, " ", &at)))
		end->lids[end->lids_count++] = strtoul(lid, NULL, 10);
	each->ends = ends;
	each->next = ends->list;
	ends->list = each;
	ends->count++;
}

static void connect_all(struct ends *ends)
{
	pthread_mutex_lock(&ends->lock);
	ends->next = ends->list;
	pthread_mutex_unlock(&ends->lock);
	for (int i = 0; i < AT_ONCE; i++)
		connect_next(ends);
}

static void count_say(struct ends *ends)
{
	unsigned least = 0, most = 0;
	uint64_t sum = 0;

	for (struct each *each = ends->list; each; each = each->next) {
		unsigned delivered = end_delivered(&each->end);

		if (delivered && (!least || delivered < least))
			least = delivered;
		if (delivered > most)
			most = delivered;
		sum += delivered;
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

static void ends_end(struct ends *ends)
{
	pthread_mutex_lock(&ends->lock);
	ends->next = NULL; /* no thread begins another any more */
	pthread_mutex_unlock(&ends->lock);
	close(ends->stop[1]);
	for (struct each *each = ends->list; each; each = each->next)
		if (each->has_thread)
			pthread_join(each->thread, NULL);
	while (ends->list) {
		struct each *next = ends->list->next;

		each_destroy(ends->list);
		ends->list = next;
	}
	close(ends->stop[0]);
}

int main(int argc, char **argv)
{
	struct ends ends = {.lock = PTHREAD_MUTEX_INITIALIZER};
	int err;

	if ((argc != 2 && argc != 5) || (strcmp(argv[1], "together") && strcmp(argv[1], "apart"))) {
		fputs(usage, stderr);
		return 2;
	}
	if (pipe(ends.stop)) {
		perror("signalling_ends: a pipe");
		return 1;
	}
	ends.are_apart = !strcmp(argv[1], "apart");
	err = line_tool_open(
	        &ends.tool, "signalling_ends", argc == 5 ? argv + 2 : NULL, told, &ends);
	if (!err)
		line_tool_run(&ends.tool);
	ends_end(&ends);
	line_tool_close(&ends.tool);
	return !!err;
}
