/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Which processes have an RDMA device open, as far as /proc shows it to this user: a symbolic link
 * to a device node (uverbsN) of a folder among their descriptors. Any thread; costs a system call
 * for each descriptor of each process.
 */
#ifndef TETHER_DEVICE_HOLDERS_H
#define TETHER_DEVICE_HOLDERS_H

#include <sys/types.h>

#include "notifier/base/device_place.h"

struct device_holder {
	pid_t pid;
	pid_t forked_by;  /* it has what this one has: it has not called exec since; 0: it has */
	char program[32]; /* with whatever characters it likes */
};

/* @folder as it is seen from here, "/dev/infiniband". Those that end meanwhile are left out, and
 * devices that are not at @place; NULL: none is. */
void device_holders_each(const char *folder, const struct device_place *place,
        void (*each)(void *context, const struct device_holder *holder), void *context);

#endif
