/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "notifier/base/die_point.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static const char *armed;
static unsigned left;

static void arm(void)
{
	const char *count;

	armed = getenv("TETHER_DIE_AT");
	left = 1;
	if (!armed)
		return;
	count = strchr(armed, ':');
	count = count ? strchr(count + 1, ':') : NULL;
	if (count)
		left = (unsigned)strtoul(count + 1, NULL, 10);
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
	pthread_once(&once, arm);
	if (!armed)
		return;
	pthread_mutex_lock(&lock);
	if (die_point_matches(armed, &left, place, step))
		kill(getpid(), SIGKILL);
	pthread_mutex_unlock(&lock);
}
