/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "tests/faults/loss_load.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

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

	if (!err)
		work_begin();
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
	unsigned seconds = (unsigned)atoi(text);

	if (!work_is_lost(seconds))
		say("{\"failed\": \"no DEVICE_FATAL\"}");
	else if (!work_is_drained(seconds))
		say("{\"failed\": \"something does not complete\"}");
	else {
		work_post_afterwards();
		answer_if(work_is_drained(seconds), "what is posted afterwards does not complete");
	}
}

/* The other end is gone. */
static void do_broken(const char *text)
{
	unsigned seconds = (unsigned)atoi(text);

	if (!work_is_broken(seconds)) {
		say("{\"failed\": \"the other end is not missed\"}");
		return;
	}
	pthread_mutex_lock(&book.lock);
	book.receives_may_stay = true;
	pthread_mutex_unlock(&book.lock);
	end_fail_all();
	answer_if(work_is_drained(seconds), "something does not complete");
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
        {"run", do_run},       /* until all lanes have had success; seconds */
        {"again", do_again},   /* the same from now on */
        {"fatal", do_fatal},   /* how many have been told */
        {"lost", do_lost},     /* until the loss is over; seconds */
        {"broken", do_broken}, /* until the other end's is; seconds */
        {"close", do_close},   /* the verdict */
};

int main(void)
{
	char line[512], word[16];

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
