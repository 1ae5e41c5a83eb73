/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "notifier/epoch_file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include "notifier/base/cleanup.h"
#include "notifier/base/file.h"

enum { TEXT_BYTES = 32, LOCK_PAUSE_MS = 10, LOCK_TRIES = 300 };

static int epoch_read(const struct epoch_file *file, uint64_t *epoch)
{
	CLEANUP_CLOSE int fd = openat(file->directory, "epoch", O_RDONLY | O_CLOEXEC);
	char text[TEXT_BYTES] = "", *end;
	ssize_t count;

	if (fd < 0 && errno == ENOENT) {
		*epoch = 0;
		return 0;
	}
	count = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	if (count < 0)
		return -errno;
	errno = 0;
	*epoch = strtoull(text, &end, 10);
	return errno || end == text || strcmp(end, "\n") ? -EBADMSG : 0;
}

/* A predecessor that was killed: its driver's keeper lets go when nothing of the driver is left. */
static int lock_take(int fd)
{
	static const struct timespec pause = {.tv_nsec = LOCK_PAUSE_MS * 1000000};
	int tries = 0;

	while (flock(fd, LOCK_EX | LOCK_NB)) {
		if (errno != EWOULDBLOCK)
			return -errno;
		if (++tries == LOCK_TRIES)
			return -EBUSY;
		nanosleep(&pause, NULL);
	}
	return 0;
}

int epoch_file_open(struct epoch_file *file, const char *path, uint64_t *epoch)
{
	int err;

	*file = (struct epoch_file){.lock = -1};
	file->directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (file->directory < 0)
		return -errno;
	file->lock = openat(file->directory, "lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	err = file->lock < 0 ? -errno : lock_take(file->lock);
	if (!err)
		err = epoch_read(file, epoch);
	if (err)
		epoch_file_close(file);
	return err;
}

int epoch_file_save(const struct epoch_file *file, uint64_t epoch)
{
	char text[TEXT_BYTES];
	int length = snprintf(text, sizeof(text), "%" PRIu64 "\n", epoch);

	return file_replace(file->directory, "epoch", 0600, text, (size_t)length);
}

void epoch_file_close(struct epoch_file *file)
{
	if (file->lock >= 0)
		close(file->lock);
	if (file->directory >= 0)
		close(file->directory);
	*file = (struct epoch_file){-1, -1};
}
