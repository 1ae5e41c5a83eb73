/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * The highest epoch that an agent has seen, on disk: an agent that came back with none would obey a
 * tether-smd that has been replaced meanwhile. One agent per directory; the lock says so.
 */
#ifndef TETHER_EPOCH_FILE_H
#define TETHER_EPOCH_FILE_H

#include <stdint.h>

struct epoch_file {
	int directory;
	int lock;
};

/* Waits up to three seconds for the lock. -EBUSY: another agent has @path, or a driver of one that
 * was killed is still dying; -EBADMSG: what stands there is no epoch. 0 where there is none yet. */
int epoch_file_open(struct epoch_file *file, const char *path, uint64_t *epoch);
/* Durable once 0 is returned. */
int epoch_file_save(const struct epoch_file *file, uint64_t epoch);
void epoch_file_close(struct epoch_file *file);

#endif
