/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "notifier/base/die_point.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "notifier/base/cleanup.h"

static const char *const places[] = {
#define DIE_POINT(name, text, program, words, meaning) [DIE_##name] = text,
#include "notifier/base/die_points.def"
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static bool any_armed;
static int passed_fd = -1;

static struct wish {
	const char *variable;
	int signal;
	const char *setting; /* NULL: not asked for */
	unsigned left;
} wishes[] = {
        {.variable = "TETHER_DIE_AT", .signal = SIGKILL},
        {.variable = "TETHER_STOP_AT", .signal = SIGSTOP},
};

static void arm_one(struct wish *wish)
{
	const char *count;

	wish->setting = getenv(wish->variable);
	wish->left = 1;
	if (!wish->setting)
		return;
	any_armed = true;
	count = strchr(wish->setting, ':');
	count = count ? strchr(count + 1, ':') : NULL;
	if (count)
		wish->left = (unsigned)strtoul(count + 1, NULL, 10);
}

static void arm(void)
{
	const char *passed = getenv("TETHER_PASSED");

	if (passed)
		passed_fd = open(passed, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	any_armed = passed_fd >= 0;
	for (size_t i = 0; i < ARRAY_SIZE(wishes); i++)
		arm_one(&wishes[i]);
}

bool die_point_matches(
        const char *setting, unsigned *count_left, enum die_place place, const char *word)
{
	const char *name = places[place];
	size_t name_length = strlen(name), word_length = strlen(word);

	if (strncmp(setting, name, name_length) || setting[name_length] != ':')
		return false;
	setting += name_length + 1;
	if (strncmp(setting, word, word_length) ||
	        (setting[word_length] && setting[word_length] != ':'))
		return false;
	return *count_left && --*count_left == 0;
}

static void note_passed(enum die_place place, const char *word)
{
	if (passed_fd >= 0)
		dprintf(passed_fd, "%s:%s\n", places[place], word);
}

void die_point(enum die_place place, const char *word)
{
	int signals[ARRAY_SIZE(wishes)];
	size_t count = 0;

	pthread_once(&once, arm);
	if (!any_armed)
		return;
	pthread_mutex_lock(&lock);
	note_passed(place, word);
	for (size_t i = 0; i < ARRAY_SIZE(wishes); i++)
		if (wishes[i].setting &&
		        die_point_matches(wishes[i].setting, &wishes[i].left, place, word))
			signals[count++] = wishes[i].signal;
	pthread_mutex_unlock(&lock);
	/* To this thread: another that took it would let this one go on for a while. */
	while (count)
		raise(signals[--count]);
}
