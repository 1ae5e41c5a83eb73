/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "simfabric/fault_points.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum fault_point fault_point_armed = FAULT_POINT_NONE;

static unsigned long times_left;

static const struct {
	const char *name, *meaning;
} points[FAULT_POINT_COUNT] = {
#define POINT(name, meaning) [FAULT_POINT_##name] = {#name, meaning},
        FAULT_POINTS(POINT)
#undef POINT
};

int fault_point_arm(const char *setting)
{
	const char *colon = strchr(setting, ':');
	size_t length = colon ? (size_t)(colon - setting) : strlen(setting);
	char *end = NULL;
	unsigned long count = colon ? strtoul(colon + 1, &end, 10) : 1;

	if ((colon && (end == colon + 1 || *end)) || !count)
		return -EINVAL;
	for (enum fault_point p = FAULT_POINT_NONE + 1; p < FAULT_POINT_COUNT; p++) {
		if (strlen(points[p].name) == length && !strncmp(points[p].name, setting, length)) {
			times_left = count;
			fault_point_armed = p;
			return 0;
		}
	}
	return -EINVAL;
}

void fault_point_reached(void)
{
	if (__atomic_sub_fetch(&times_left, 1, __ATOMIC_RELAXED) == 0)
		kill(getpid(), SIGKILL);
}

const char *fault_point_name(enum fault_point point)
{
	return points[point].name;
}

const char *fault_point_meaning(enum fault_point point)
{
	return points[point].meaning;
}
