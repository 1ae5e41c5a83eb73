/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Has OpenSM report notices to servers, over a link to the plugin of its own (DESIGN.md "Signals").
 * What is asked for in one round of the loop goes out as few requests. Lives in the thread of its
 * event_base; callbacks come from the loop only, never from inside a call below.
 */
#ifndef TETHER_REPORTER_H
#define TETHER_REPORTER_H

#include "notifier/wire/notice.h"

struct event_base;
struct reporter;

struct reporter_callbacks {
	/* The plugin is there, again maybe: an SM that has been started knows of no subscription.
	 */
	void (*up)(void *owner);
	/* The server with that LID is not told by a notice: nobody is subscribed for it, or no SM
	 * could be asked. */
	void (*unheard)(void *owner, uint16_t lid);
};

/* @retry_ms: as of sm_link_create. NULL with errno. */
struct reporter *reporter_create(struct event_base *base, const char *sm_socket, unsigned retry_ms,
        const struct reporter_callbacks *callbacks, void *owner);
void reporter_retry_set(struct reporter *reporter, unsigned retry_ms);
void reporter_destroy(struct reporter *reporter);

/* Report @notice. What comes of it is heard by the callbacks, or not at all where a Report is
 * lost. */
void reporter_tell(struct reporter *reporter, const struct notice *notice);

#endif
