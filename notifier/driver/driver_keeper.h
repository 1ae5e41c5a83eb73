/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * A small process between the agent and a driver, which sees to it that nothing of the driver's
 * process group outlives its time: when the agent tells it (SIGTERM) or dies, the whole group is
 * killed and waited for. Called from the agent's one thread.
 */
#ifndef TETHER_DRIVER_KEEPER_H
#define TETHER_DRIVER_KEEPER_H

#include <sys/types.h>

struct driver_command {
	char *const *arguments;
	char *const *environment;
	int output, errors; /* the driver's standard output and error */
	int lock; /* stays open until the driver, or the group of one that is killed, has ended; -1:
	             none */
};

/*
 * Start the driver under a keeper; its pid, or -errno. The keeper ends as the driver does, with its
 * exit status or signal; what the driver leaves behind then lives on. Told to end, it ends with
 * SIGKILL when the group has.
 */
pid_t driver_keeper_start(const struct driver_command *command);
/* Kill the driver and its group; the keeper's end tells when that is done. */
void driver_keeper_stop(pid_t keeper);

#endif
