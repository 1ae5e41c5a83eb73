/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "notifier/base/device_holders.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "notifier/base/cleanup.h"

enum { PF_FORKNOEXEC = 0x40 }; /* of the kernel: forked, and exec was not called */

static const char node[] = "uverbs";

static bool is_node_of(const char *folder, const char *path)
{
	size_t length = strlen(folder);

	return !strncmp(path, folder, length) && path[length] == '/' &&
	       !strncmp(path + length + 1, node, sizeof(node) - 1);
}

/* What no device is known of counts. */
static bool counts(const struct device_place *place, int fds, const char *fd)
{
	struct stat status;

	return !place || fstatat(fds, fd, &status, 0) || !S_ISCHR(status.st_mode) ||
	       !device_is_elsewhere(place, status.st_rdev);
}

static bool holds(const char *pid, const char *folder, const struct device_place *place)
{
	char path[PATH_MAX], target[PATH_MAX];
	struct dirent *fd;
	bool found = false;
	DIR *fds;

	snprintf(path, sizeof(path), "/proc/%s/fd", pid);
	fds = opendir(path);
	while (fds && !found && (fd = readdir(fds))) {
		ssize_t length = readlinkat(dirfd(fds), fd->d_name, target, sizeof(target) - 1);

		if (length <= 0)
			continue;
		target[length] = 0;
		found = is_node_of(folder, target) && counts(place, dirfd(fds), fd->d_name);
	}
	if (fds)
		closedir(fds);
	return found;
}

/* "4711 (name of it) S 4710 ...": the name may have anything in it, ends of lines, too. */
static bool stat_read(const char *pid, char *text, size_t size)
{
	CLEANUP_CLOSE int fd = -1;
	char path[64];
	ssize_t length;

	snprintf(path, sizeof(path), "/proc/%.16s/stat", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	length = fd < 0 ? -1 : read(fd, text, size - 1);
	if (length < 0)
		return false;
	text[length] = 0;
	return true;
}

static bool is_described(const char *pid, struct device_holder *holder)
{
	char text[1024], *name, *end;
	unsigned flags;
	int parent;

	if (!stat_read(pid, text, sizeof(text)))
		return false;
	name = strchr(text, '(');
	end = name ? strrchr(name, ')') : NULL;
	if (!end || sscanf(end + 1, " %*c %d %*d %*d %*d %*d %u", &parent, &flags) != 2)
		return false;
	*end = 0;
	holder->pid = atoi(pid);
	holder->forked_by = flags & PF_FORKNOEXEC ? parent : 0;
	snprintf(holder->program, sizeof(holder->program), "%s", name + 1);
	return true;
}

void device_holders_each(const char *folder, const struct device_place *place,
        void (*each)(void *context, const struct device_holder *holder), void *context)
{
	char whole[PATH_MAX];
	struct dirent *entry;
	DIR *proc = opendir("/proc");

	/* What /proc shows has no symbolic link in it. */
	if (!proc || !realpath(folder, whole)) {
		if (proc)
			closedir(proc);
		return;
	}
	while ((entry = readdir(proc))) {
		struct device_holder holder;

		if (*entry->d_name >= '1' && *entry->d_name <= '9' &&
		        holds(entry->d_name, whole, place) && is_described(entry->d_name, &holder))
			each(context, &holder);
	}
	closedir(proc);
}
