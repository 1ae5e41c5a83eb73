/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "notifier/base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "notifier/base/cleanup.h"

static int bytes_write(int fd, const char *bytes, size_t length)
{
	while (length) {
		ssize_t count = write(fd, bytes, length);

		if (count < 0)
			return -errno;
		bytes += count;
		length -= count;
	}
	return fsync(fd) ? -errno : 0;
}

/* What a umask takes is a group's and others'. */
static int fresh_open(int directory, const char *fresh, mode_t mode, int *fd)
{
	const int how = O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC;

	*fd = openat(directory, fresh, how, mode);
	if (*fd < 0 && errno == EEXIST && !unlinkat(directory, fresh, 0)) /* left behind */
		*fd = openat(directory, fresh, how, mode);
	if (*fd < 0)
		return -errno;
	return mode & (S_IRWXG | S_IRWXO) && fchmod(*fd, mode) ? -errno : 0;
}

int file_replace(int directory, const char *name, mode_t mode, const char *bytes, size_t length)
{
	char fresh[NAME_MAX + 1];
	CLEANUP_CLOSE int fd = -1;
	int err;

	if (snprintf(fresh, sizeof(fresh), "%s.new", name) > NAME_MAX)
		return -ENAMETOOLONG;
	err = fresh_open(directory, fresh, mode, &fd);
	if (!err)
		err = bytes_write(fd, bytes, length);
	if (!err && (renameat(directory, fresh, directory, name) || fsync(directory)))
		err = -errno;
	return err;
}
