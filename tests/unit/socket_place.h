/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* A unix socket in a directory of its own. */
#ifndef TETHER_TESTS_SOCKET_PLACE_H
#define TETHER_TESTS_SOCKET_PLACE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

struct place {
	char directory[64];
	char path[128];
	char address[160];
};

static inline void place_make(struct place *place)
{
	strcpy(place->directory, "/tmp/tether-connection.XXXXXX");
	assert_non_null(mkdtemp(place->directory));
	snprintf(place->path, sizeof(place->path), "%s/s", place->directory);
	snprintf(place->address, sizeof(place->address), "unix:%s", place->path);
}

static inline void place_remove(const struct place *place)
{
	unlink(place->path);
	rmdir(place->directory);
}

#endif
