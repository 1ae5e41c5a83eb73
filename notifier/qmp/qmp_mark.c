/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "notifier/qmp/qmp_mark.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "notifier/base/cleanup.h"
#include "notifier/base/name.h"

static char *path_of(const char *folder, const char *vm)
{
	char *path;

	return asprintf(&path, "%s/%s.moved", folder, vm) >= 0 ? path : NULL;
}

int qmp_mark_write(const char *folder, const char *vm, const char *host)
{
	CLEANUP_FREE char *path = path_of(folder, vm);
	CLEANUP_CLOSE int fd = -1;
	ssize_t length = (ssize_t)strlen(host), written;

	if (!path)
		return -ENOMEM;
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -errno;
	written = write(fd, host, length);
	if (written < 0)
		return -errno;
	return written == length ? 0 : -ENOSPC;
}

char *qmp_mark_read(const char *folder, const char *vm)
{
	CLEANUP_FREE char *path = path_of(folder, vm);
	CLEANUP_CLOSE int fd = path ? open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW) : -1;
	char host[NAME_MOST + 1];
	ssize_t count = fd >= 0 ? read(fd, host, sizeof(host)) : -1;

	if (count <= 0 || count > NAME_MOST)
		return NULL;
	host[count] = 0;
	return strdup(host);
}

void qmp_mark_remove(const char *folder, const char *vm)
{
	CLEANUP_FREE char *path = path_of(folder, vm);

	if (path)
		unlink(path);
}
