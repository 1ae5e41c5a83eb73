/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * The links of the agents below, hosts and agents between: taken over from a listener, handed to
 * the relay frame by frame, and their end. For tether-smd and for agents between; lives in the
 * loop's thread and feeds one relay.
 */
#ifndef TETHER_AGENT_LINKS_H
#define TETHER_AGENT_LINKS_H

#include <stdbool.h>
#include <stdint.h>

#include "notifier/link/connection.h"

struct agent_links;
struct relay;

struct agent_links_calls {
	/* What came from @child, before the relay has it. True: that is not for the relay. May be
	 * NULL. */
	bool (*frame)(void *owner, uint32_t child, const Tether__Frame *frame);
	/* After anything has been handed to the relay. */
	void (*fed)(void *owner);
};

/* @room: of log lines. NULL: no memory. */
struct agent_links *agent_links_create(struct event_base *base, struct relay *relay,
        const struct connection_settings *connections, const char *room,
        const struct agent_links_calls *calls, void *owner);
/* Closes all, and listens no more. NULL is fine. */
void agent_links_destroy(struct agent_links *links);

/* Take links at @addresses (notifier/link/listener.h). -errno, logged. */
int agent_links_listen(struct agent_links *links, const char *addresses);

/* The relay's outputs. */
void agent_links_send(struct agent_links *links, uint32_t child, const Tether__Frame *frame);
void agent_links_end(struct agent_links *links, uint32_t child, const char *why);

/* New deadlines, for links that stand, too. */
void agent_links_settings_set(
        struct agent_links *links, const struct connection_settings *connections);

/* The credentials have changed: whoever would not be taken now is dropped. */
void agent_links_recheck(struct agent_links *links);

#endif
