/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "notifier/base/folder.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "notifier/base/cleanup.h"

int folder_check(const char *path, char *text, size_t size)
{
	struct stat found;
	int err = stat(path, &found) ? -errno : S_ISDIR(found.st_mode) ? 0 : -ENOTDIR;

	if (err == -ENOENT)
		snprintf(text, size,
		        "%s is not there: make it, or have the service manager make it", path);
	else if (err == -ENOTDIR)
		snprintf(text, size, "%s is no directory: name another", path);
	else if (err)
		snprintf(text, size, "%s: %s", path, strerror(-err));
	if (err || !access(path, W_OK | X_OK))
		return err;
	err = -errno;
	snprintf(text, size, "%s cannot be written to by uid %u: change its owner or its mode",
	        path, (unsigned)geteuid());
	return err;
}

int folder_check_for(const char *path, char *text, size_t size)
{
	const char *slash = strrchr(path, '/');
	CLEANUP_FREE char *folder =
	        slash ? strndup(path, slash == path ? 1 : (size_t)(slash - path)) : strdup(".");

	return folder ? folder_check(folder, text, size) : -ENOMEM;
}
