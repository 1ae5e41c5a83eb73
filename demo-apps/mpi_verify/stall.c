/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "demo-apps/mpi_verify/stall.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#include "demo-apps/mpi_verify/options.h"

static volatile sig_atomic_t progress, ticks_left, ticks_full;
static const char *volatile where = "set-up";
static char who[16];

static void say(const char *text)
{
	if (write(STDERR_FILENO, text, strlen(text)) < 0)
		return;
}

static void on_tick(int number)
{
	if (progress) {
		progress = 0;
		ticks_left = ticks_full;
		return;
	}
	if (--ticks_left > 0)
		return;
	say("mpi-verify: ");
	say(who);
	say(": no progress in ");
	say(where);
	say("; given up\n");
	_exit(EXIT_STALLED);
}

void stall_watch(int rank, uint32_t seconds)
{
	struct sigaction tick = {.sa_handler = on_tick, .sa_flags = SA_RESTART};
	struct itimerval each_second = {{1, 0}, {1, 0}};

	if (!seconds)
		return;
	snprintf(who, sizeof(who), "rank %d", rank);
	ticks_full = ticks_left = (sig_atomic_t)seconds;
	sigaction(SIGALRM, &tick, NULL);
	setitimer(ITIMER_REAL, &each_second, NULL);
}

void stall_where(const char *check)
{
	where = check;
}

void stall_progress(void)
{
	progress = 1;
}
