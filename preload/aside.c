/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "preload/aside.h"

#include <errno.h>
#include <stdlib.h>

bool aside_keep(struct aside *aside, void *object)
{
	void **grown = realloc(aside->objects, (aside->count + 1) * sizeof(*grown));

	if (!grown) {
		aside->destroy(object);
		errno = ENOMEM;
		aside->failed = true;
		return false;
	}
	aside->objects = grown;
	aside->objects[aside->count++] = object;
	return true;
}

void *aside_end(struct aside *aside, void *made)
{
	int saved_errno = errno;

	while (aside->count)
		aside->destroy(aside->objects[--aside->count]);
	free(aside->objects);
	errno = saved_errno;
	return aside->failed ? NULL : made;
}
