/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * What tether-agent has in every role: its relay and the relay's time, the link to its parent with
 * HELLO, and the epoch on disk. Part of the role that opens it, which has the children, and of the
 * loop's thread. Log lines are the role's.
 */
#ifndef TETHER_AGENT_RELAY_H
#define TETHER_AGENT_RELAY_H

#include <stdbool.h>

#include "notifier/agent_settings.h"
#include "notifier/link/connection.h"
#include "notifier/certificates/credentials.h"
#include "notifier/epoch_file.h"
#include "notifier/relay/relay.h"

struct event_base;
struct metrics_text;
struct metrics_server;

/* What the role does. As in struct relay_outputs where it has the same name. */
struct agent_role {
	Tether__Role role;
	bool forgets; /* it has no epoch of its own on disk */
	void (*child_send)(void *owner, uint32_t child, const Tether__Frame *frame);
	void (*child_close)(void *owner, uint32_t child, const char *why);
	/* NULL: orders are refused. */
	void (*order)(void *owner, const Tether__Event *event);
	/* What HELLO says of the role beside its name; it stays the owner's. NULL: nothing. */
	void (*hello)(void *owner, Tether__Hello *hello);
	/* The parent has accepted it, and the relay does not know yet. Not 0: the link is not worth
	 * keeping. NULL: nothing. */
	int (*welcomed)(void *owner, const Tether__HelloAnswer *answer);
	/* NULL: it is logged, and that is all. */
	void (*moved)(void *owner, const Tether__Event *event);
	/* Of the link to the parent; @settings are those of links. NULL: the same. */
	void (*parent_settings)(void *owner, struct connection_settings *settings);
	/* What the parent says of notices, and that its link has ended. NULL: not wanted. */
	void (*pull)(void *owner, const Tether__Pull *pull);
	void (*parent_lost)(void *owner);
	/* What Prometheus is to be told of the role beside its relay. NULL: nothing. */
	void (*metrics)(void *owner, struct metrics_text *metrics);
};

struct agent_relay {
	struct event_base *base;
	const struct agent_settings *settings;
	const struct agent_role *role;
	void *owner;
	struct relay *relay;
	struct epoch_file epoch_file;
	struct event *tick;
	struct credentials *credentials; /* NULL: no link is over TLS */
	struct connection *parent;       /* NULL until there is something to tell it */
	char failure[160];               /* of the last attempt to reach it; "": it was reached */
	bool parent_is_here;             /* it has let this agent in */
	struct metrics_server *metrics;  /* NULL: nobody may ask */
};

/* Take the epoch from settings->state_dir, and make the relay. @settings stay the caller's and are
 * read on until agent_relay_close. -errno, logged; nothing is left open then. */
int agent_relay_open(struct agent_relay *agent, struct event_base *base,
        const struct agent_settings *settings, const struct agent_role *role, void *owner);
/* One that was never opened is fine, if it is zero. */
void agent_relay_close(struct agent_relay *agent);

/* After anything has been handed to the relay. @agent: a struct agent_relay. */
void agent_relay_fed(void *agent);

/* To the parent for the first time, or again with another HELLO. */
void agent_relay_tell(struct agent_relay *agent);

/* What is no business of the relay's; lost where there is no parent. */
void agent_relay_send(struct agent_relay *agent, const Tether__Frame *frame);

/* The settings have new deadlines, and certificates are read again. */
void agent_relay_reload(struct agent_relay *agent);

/* Of links, as the settings say. */
struct connection_settings agent_relay_links(const struct agent_relay *agent);

#endif
