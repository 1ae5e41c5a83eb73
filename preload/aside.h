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
};

/* False: there is no memory for it (errno), and it is destroyed. */
bool aside_keep(struct aside *aside, void *object);
/* All are destroyed; errno stays. */
void aside_give_back(struct aside *aside);

#endif
