/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* The clock and the dice that the library and the simulated HCA ask the system for. */
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "tests/model/world.h"

__attribute__((visibility("default"))) int clock_gettime(clockid_t clock, struct timespec *now)
{
	now->tv_sec = (time_t)(world.now_ns / 1000000000);
	now->tv_nsec = (long)(world.now_ns % 1000000000);
	return 0;
}

__attribute__((visibility("default"))) ssize_t getrandom(
        void *buffer, size_t length, unsigned flags)
{
	for (size_t i = 0; i < length; i++)
		((uint8_t *)buffer)[i] = (uint8_t)world_draw(256);
	return (ssize_t)length;
}
