/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "preload/memory_map.h"

#include <stdio.h>
#include <stdlib.h>

struct memory_map {
	size_t count;
	struct mapping {
		uintptr_t start, end;
		bool readable, writable;
	} * mappings; /* ascending */
};

struct memory_map *memory_map_read(void)
{
	struct memory_map *map = calloc(1, sizeof(*map));
	FILE *maps = fopen("/proc/self/maps", "re");
	char *line = NULL;
	size_t room = 0;

	while (map && maps && getline(&line, &room, maps) > 0) {
		struct mapping *grown;
		char read, write;
		uintptr_t start, end;

		if (sscanf(line, "%lx-%lx %c%c", &start, &end, &read, &write) != 4)
			continue;
		grown = realloc(map->mappings, (map->count + 1) * sizeof(*grown));
		if (!grown)
			break;
		map->mappings = grown;
		grown[map->count++] = (struct mapping){start, end, read == 'r', write == 'w'};
	}
	free(line);
	if (maps)
		fclose(maps);
	return map;
}

void memory_map_free(struct memory_map *map)
{
	if (map)
		free(map->mappings);
	free(map);
}

static uintptr_t later(uintptr_t a, uintptr_t b)
{
	return a > b ? a : b;
}

static uintptr_t earlier(uintptr_t a, uintptr_t b)
{
	return a < b ? a : b;
}

struct mapped_part memory_map_part(const struct memory_map *map, uintptr_t start, size_t length)
{
	struct mapped_part longest = {.writable = true};
	uintptr_t end = start + length, from = start, to = start;

	for (size_t i = 0; i < map->count; i++) {
		const struct mapping *m = &map->mappings[i];

		if (m->end <= start || m->start >= end || !m->readable)
			continue;
		longest.writable &= m->writable;
		if (to == start || later(m->start, start) != to) {
			from = later(m->start, start);
			longest.parts++;
		}
		to = earlier(m->end, end);
		if (to - from > longest.length) {
			longest.start = from;
			longest.length = to - from;
		}
	}
	return longest;
}
