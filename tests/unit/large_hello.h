/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* A frame of any size. */
#ifndef TETHER_TESTS_LARGE_HELLO_H
#define TETHER_TESTS_LARGE_HELLO_H

#include <stdlib.h>
#include <string.h>

#include "notifier/base/cleanup.h"
#include "notifier/link/connection.h"

/* A HELLO of whoever has a name of @size bytes; what connection_send says. */
static inline int large_hello_send(struct connection *connection, size_t size)
{
	Tether__Frame frame = TETHER__FRAME__INIT;
	Tether__Hello hello = TETHER__HELLO__INIT;
	CLEANUP_FREE char *name = malloc(size + 1);

	memset(name, 'n', size);
	name[size] = 0;
	hello.name = name;
	frame.body_case = TETHER__FRAME__BODY_HELLO;
	frame.hello = &hello;
	return connection_send(connection, &frame);
}

#endif
