/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "notifier/base/die_point.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "notifier/base/cleanup.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static bool any_armed;

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
	for (size_t i = 0; i < ARRAY_SIZE(wishes); i++)
		arm_one(&wishes[i]);
}

bool die_point_matches(
        const char *setting, unsigned *count_left, const char *place, const char *step)
{
	size_t place_length = strlen(place), step_length = strlen(step);

	if (strncmp(setting, place, place_length) || setting[place_length] != ':')
		return false;
	setting += place_length + 1;
	if (strncmp(setting, step, step_length) ||
	        (setting[step_length] && setting[step_length] != ':'))
		return false;
	return *count_left && --*count_left == 0;
}

void die_point(const char *place, const char *step)
{
	int signals[ARRAY_SIZE(wishes)];
	size_t count = 0;

	pthread_once(&once, arm);
	if (!any_armed)
		return;
	pthread_mutex_lock(&lock);
	for (size_t i = 0; i < ARRAY_SIZE(wishes); i++)
		if (wishes[i].setting &&
		        die_point_matches(wishes[i].setting, &wishes[i].left, place, step))
			signals[count++] = wishes[i].signal;
	pthread_mutex_unlock(&lock);
	while (count)
		kill(getpid(), signals[--count]);
}
