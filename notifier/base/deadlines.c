/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "notifier/base/deadlines.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "notifier/base/cleanup.h"

enum { LONGEST_MS = 3600000 };

const struct deadlines deadlines_default = {
#define DEADLINE(name, value, meaning) .name = value,
        TETHER_DEADLINES(DEADLINE)
#undef DEADLINE
};

static const struct {
	const char *name;
	size_t offset;
} rows[] = {
#define DEADLINE(name, value, meaning) {#name, offsetof(struct deadlines, name)},
        TETHER_DEADLINES(DEADLINE)
#undef DEADLINE
};

const char *deadlines_key(size_t index)
{
	return index < ARRAY_SIZE(rows) ? rows[index].name : NULL;
}

int deadlines_set(struct deadlines *table, const char *name, const char *value)
{
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		char *end;
		unsigned long ms;

		if (strcmp(rows[i].name, name))
			continue;
		errno = 0;
		ms = strtoul(value, &end, 10);
		if (errno || end == value || *end || ms < 1 || ms > LONGEST_MS || *value == '-')
			return -EINVAL;
		*(unsigned *)((char *)table + rows[i].offset) = ms;
		return 0;
	}
	return -ENOENT;
}
