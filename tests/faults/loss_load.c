/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "tests/faults/loss_load.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static void say(const char *text)
{
	puts(text);
	fflush(stdout);
}

static void say_failed(const char *what, int err)
{
	printf("{\"failed\": \"%s: %s\"}\n", what, strerror(err));
	fflush(stdout);
}

static void answer(int err, const char *what)
{
	if (err)
		say_failed(what, err);
	else
		say("{}");
}

static void answer_if(bool good, const char *what)
{
	if (good)
		say("{}");
	else
		printf("{\"failed\": \"%s\"}\n", what), fflush(stdout);
}

static unsigned ticks, marked_at, transport_ms;

static void *tick(void *unused)
{
	for (;;) {
		usleep(TICK_MS * 1000);
		__atomic_add_fetch(&ticks, 1, __ATOMIC_RELAXED);
	}
	return NULL;
}

void ticks_begin(void)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, tick, NULL))
		abort();
}

unsigned ticks_now(void)
{
	return __atomic_load_n(&ticks, __ATOMIC_RELAXED);
}

static void do_open(const char *unused)
{
	const char *what = "";
	char text[256];
	int err;

	book_open();
	err = end_open(&what);
	if (err) {
		say_failed(what, err);
		return;
	}
	end_describe(text, sizeof(text));
	printf("{\"address\": \"%s\"}\n", text);
	fflush(stdout);
}

static void do_connect(const char *address)
{
	const char *what = "";
	int err = end_connect(address, &what);

	if (!err) {
		transport_ms = end_transport_ms();
		work_begin();
	}
	answer(err, what);
}

static void do_send(const char *unused)
{
	work_send();
	say("{}");
}

static void do_run(const char *seconds)
{
	answer_if(work_runs((unsigned)atoi(seconds)), "not all lanes run");
}

/* Whoever is told of no loss goes on in full. */
static void do_again(const char *seconds)
{
	answer_if(work_runs_again((unsigned)atoi(seconds)), "not all lanes go on");
}

static void do_mark(const char *unused)
{
	marked_at = ticks_now();
	say("{}");
}

/* How long it has taken since the mark, and what the transport may take. */
static void say_took(unsigned at)
{
	printf("{\"took_ms\": %u, \"transport_ms\": %u}\n",
	        at > marked_at ? (at - marked_at) * TICK_MS : 0, transport_ms);
	fflush(stdout);
}

static unsigned last_completion(void)
{
	unsigned at;

	pthread_mutex_lock(&book.lock);
	at = book.last_at;
	pthread_mutex_unlock(&book.lock);
	return at;
}

/* Of the lanes that the transport watches: the last of them. */
static unsigned last_failure(void)
{
	unsigned at = 0;

	pthread_mutex_lock(&book.lock);
	for (unsigned lane = 0; lane < LANE_DATAGRAMS; lane++)
		at = book.queues[lane].failed_at > at ? book.queues[lane].failed_at : at;
	pthread_mutex_unlock(&book.lock);
	return at;
}

static void do_fatal(const char *unused)
{
	unsigned fatal;

	pthread_mutex_lock(&book.lock);
	fatal = book.fatal;
	pthread_mutex_unlock(&book.lock);
	printf("{\"fatal\": %u}\n", fatal);
	fflush(stdout);
}

/* The device is gone: all that must complete has by the time, what is posted then as well. */
static void do_lost(const char *text)
{
	unsigned seconds = (unsigned)atoi(text), at;

	if (!work_is_lost(seconds))
		say("{\"failed\": \"no DEVICE_FATAL\"}");
	else if (!work_is_drained(seconds))
		say("{\"failed\": \"something does not complete\"}");
	else {
		at = last_completion();
		work_post_afterwards();
		if (work_is_drained(seconds))
			say_took(at);
		else
			say("{\"failed\": \"what is posted afterwards does not complete\"}");
	}
}

/* The other end is gone. */
static void do_broken(const char *text)
{
	unsigned seconds = (unsigned)atoi(text), at;

	if (!work_is_broken(seconds)) {
		say("{\"failed\": \"the other end is not missed\"}");
		return;
	}
	at = last_failure();
	pthread_mutex_lock(&book.lock);
	book.receives_may_stay = true;
	pthread_mutex_unlock(&book.lock);
	end_fail_all();
	if (work_is_drained(seconds))
		say_took(at);
	else
		say("{\"failed\": \"something does not complete\"}");
}

/* What is left of it is counted once it is closed. */
static void do_close(const char *unused)
{
	const char *what = "";
	int err;

	work_end();
	pthread_mutex_lock(&book.lock);
	book_close();
	pthread_mutex_unlock(&book.lock);
	err = end_close(&what);
	if (err) {
		say_failed(what, err);
		return;
	}
	printf("{\"violations\": %u, \"first\": \"%s\", \"fatal\": %u, \"last_wqe\": %u, \"heap\": "
	       "%zu}\n",
	        book.violations, book.first_violation, book.fatal, book.last_wqe,
	        mallinfo2().uordblks);
	fflush(stdout);
}

static const struct {
	const char *word;
	void (*act)(const char *rest);
} commands[] = {
        {"open", do_open}, /* the device, and all objects; {"address": for the other end's connect}
                            */
        {"connect", do_connect}, {"send", do_send},
        {"run", do_run},     /* until all lanes have had success; seconds */
        {"again", do_again}, /* the same from now on */
        {"fatal", do_fatal}, /* how many have been told */
        {"mark", do_mark},   /* now the device has gone */
        {"lost", do_lost},   /* until the loss is over, at most seconds; how long since the mark */
        {"broken", do_broken}, /* until the other end's is; the same */
        {"close", do_close},   /* the verdict */
};

int main(void)
{
	char line[512], word[16];

	ticks_begin();
	while (fgets(line, sizeof(line), stdin)) {
		int length = 0;
		bool known = false;

		if (sscanf(line, "%15s %n", word, &length) < 1)
			continue;
		for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
			if (strcmp(commands[i].word, word))
				continue;
			known = true;
			commands[i].act(line + length);
		}
		if (!known)
			say("{\"failed\": \"unknown command\"}");
	}
	return 0;
}
