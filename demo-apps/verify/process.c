/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "demo-apps/verify/process.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

volatile sig_atomic_t stop_asked;

int failed(const char *what, int error)
{
	if (error < 0)
		error = -error;
	fprintf(stderr, "%s: %s: %s\n", program_invocation_short_name, what, strerror(error));
	return error ? -error : -EIO;
}

static void on_stop(int number)
{
	stop_asked = 1;
}

void stop_signals_catch(void)
{
	struct sigaction stop = {.sa_handler = on_stop};

	sigaction(SIGTERM, &stop, NULL);
	sigaction(SIGINT, &stop, NULL);
}

uint64_t clock_us(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}
