/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Which processes have an RDMA device open, as far as /proc shows it to this user: a symbolic link
 * to a device node (uverbsN) of a folder among their descriptors. Any thread; costs a system call
 * for each descriptor of each process.
 */
#ifndef TETHER_DEVICE_HOLDERS_H
#define TETHER_DEVICE_HOLDERS_H

#include <sys/types.h>

struct device_holder {
	pid_t pid, parent;
	char program[32];
};

/* @folder as it is seen from here, "/dev/infiniband". Those that end meanwhile are left out. */
void device_holders_each(const char *folder,
        void (*each)(void *context, const struct device_holder *holder), void *context);

#endif
