/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "notifier/base/device_holders.h"

#include <dirent.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char node[] = "uverbs";

static bool is_node_of(const char *folder, const char *path)
{
	size_t length = strlen(folder);

	return !strncmp(path, folder, length) && path[length] == '/' &&
	       !strncmp(path + length + 1, node, sizeof(node) - 1);
}

static bool holds(const char *pid, const char *folder)
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
		found = is_node_of(folder, target);
	}
	if (fds)
		closedir(fds);
	return found;
}

/* "4711 (name of it) S 4710 ...": the name may have anything in it. */
static bool is_described(const char *pid, struct device_holder *holder)
{
	char path[64], line[512], *name, *end;
	int parent;
	FILE *file;
	bool read;

	snprintf(path, sizeof(path), "/proc/%.16s/stat", pid);
	file = fopen(path, "re");
	if (!file)
		return false;
	read = fgets(line, sizeof(line), file);
	fclose(file);
	name = read ? strchr(line, '(') : NULL;
	end = name ? strrchr(name, ')') : NULL;
	if (!end || sscanf(end + 1, " %*c %d", &parent) != 1)
		return false;
	*end = 0;
	holder->pid = atoi(pid);
	holder->parent = parent;
	snprintf(holder->program, sizeof(holder->program), "%s", name + 1);
	return true;
}

void device_holders_each(const char *folder,
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

		if (*entry->d_name >= '1' && *entry->d_name <= '9' && holds(entry->d_name, whole) &&
		        is_described(entry->d_name, &holder))
			each(context, &holder);
	}
	closedir(proc);
}
