/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Objects of the device whose numbers mean somebody else: kept until one has been made whose number
 * does not, since what is given back is what comes next.
 */
#ifndef TETHER_ASIDE_H
#define TETHER_ASIDE_H

#include <stdbool.h>
#include <stddef.h>

struct aside {
	int (*destroy)(void *object);
	void **objects;
	size_t count;
	bool failed;
};

/* False: there is no memory for it (ENOMEM), and it is destroyed. */
bool aside_keep(struct aside *aside, void *object);
/*
 * Those that were kept are destroyed; errno stays. Returns the last one that was made, or NULL if
 * that is one that could not be kept.
 */
void *aside_end(struct aside *aside, void *made);

#endif
