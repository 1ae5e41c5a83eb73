/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "notifier/base/device_place.h"

#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "notifier/base/cleanup.h"

/* The first line of the file @path/@name. */
static bool line_read(const char *path, const char *name, char *line, int size)
{
	CLEANUP_FREE char *whole = NULL;
	FILE *file;
	bool read;

	if (asprintf(&whole, "%s/%s", path, name) < 0) {
		whole = NULL;
		return false;
	}
	file = fopen(whole, "re");
	if (!file)
		return false;
	read = fgets(line, size, file);
	fclose(file);
	if (read)
		line[strcspn(line, "\n")] = 0;
	return read;
}

static bool has_lid(const struct device_place *place, uint32_t lid)
{
	for (size_t i = 0; i < place->count; i++)
		if (place->lids[i] == lid)
			return true;
	return false;
}

static bool port_is_elsewhere(const struct device_place *place, const char *port)
{
	char line[64];
	uint32_t lid;

	if (!line_read(port, "link_layer", line, sizeof(line)))
		return false;
	if (strcmp(line, "InfiniBand") != 0)
		return true;
	if (!line_read(port, "lid", line, sizeof(line)))
		return false;
	lid = (uint32_t)strtoul(line, NULL, 0);
	return lid && !has_lid(place, lid);
}

static bool ports_are_elsewhere(const struct device_place *place, const char *ports)
{
	DIR *folder = opendir(ports);
	struct dirent *entry;
	bool any = false, elsewhere = true;

	while (folder && (entry = readdir(folder))) {
		char port[PATH_MAX + sizeof(entry->d_name)];

		if (*entry->d_name == '.')
			continue;
		any = true;
		snprintf(port, sizeof(port), "%s/%s", ports, entry->d_name);
		elsewhere &= port_is_elsewhere(place, port);
	}
	if (folder)
		closedir(folder);
	return any && elsewhere;
}

bool device_is_elsewhere(const struct device_place *place, dev_t node)
{
	char path[PATH_MAX], name[64];

	if (!place->count)
		return false;
	snprintf(path, sizeof(path), "%s/dev/char/%u:%u", place->sysfs, major(node), minor(node));
	if (!line_read(path, "ibdev", name, sizeof(name)))
		return false;
	snprintf(path, sizeof(path), "%s/class/infiniband/%s/ports", place->sysfs, name);
	return ports_are_elsewhere(place, path);
}
