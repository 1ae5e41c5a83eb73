/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Asks the SM for LIDs and P_Keys of all VMs, for the directory: of each when it comes or its port
 * is another, of all when a migration begins or ends and when the SM is another; of one that the SM
 * does not know, again each second. It has a link to the SM of its own. Lives in the thread of its
 * event_base.
 */
#ifndef TETHER_DIRECTORY_LOCATOR_H
#define TETHER_DIRECTORY_LOCATOR_H

#include <stdbool.h>
#include <stdint.h>

#include "sm-side/directory/directory_endpoints.h"

struct event_base;
struct locator;

struct locator_callbacks {
	/* What there is to be located: endpoints_fill with what is the owner's. -ENOMEM */
	int (*fill)(void *owner, struct endpoints *endpoints, bool open);
	/* The SM has answered, or will not: what the directory has is news. From the loop only. */
	void (*answered)(void *owner);
};

/* NULL with errno. */
struct locator *locator_create(struct event_base *base, const char *sm_socket, unsigned retry_ms,
        struct directory *directory, const struct locator_callbacks *callbacks, void *owner);
void locator_destroy(struct locator *locator);

bool locator_is_up(const struct locator *locator);
/* Something has changed: from the loop, whoever is not located is asked for. */
void locator_look(struct locator *locator);
/* Have all asked for anew. That has been done, as far as it can be, when locator_done is what this
 * says. */
uint64_t locator_ask_all(struct locator *locator);
uint64_t locator_done(const struct locator *locator);

#endif
