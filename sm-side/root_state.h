/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * What the root knows; shared by root.c (its making, the relay's outputs, what the owner is told
 * and asks for) and root_links.c (the agents' links), and by nobody else.
 */
#ifndef TETHER_ROOT_STATE_H
#define TETHER_ROOT_STATE_H

#include <event2/util.h>

#include "notifier/connection.h"
#include "notifier/listener.h"
#include "notifier/relay.h"
#include "sm-side/agent_poll.h"
#include "sm-side/questions.h"
#include "sm-side/root.h"

struct notice;

/* One agent's link. */
struct link {
	struct link *next;
	struct root *root;
	struct connection *connection;
	uint32_t child; /* what the relay calls it; 0: the link does not stand yet */
	char *host;     /* NULL: has not said HELLO */
	char *place;    /* where it comes from; NULL: this machine */
};

struct root {
	struct event_base *base;
	struct event *ticking, *noticing;
	struct listener *listener;
	struct relay *relay;
	struct link *links;
	struct notice *notices;
	struct inventory inventory;
	struct questions *questions;
	struct agent_poll *agents;
	bool takes_interest; /* what comes up now is what an agent has just said in an Interest */
	struct connection_settings connection_settings;
	const struct root_callbacks *callbacks;
	void *owner;
};

/* root.c */
/* After anything that may have changed when the relay, or a question, wants to be called. */
void root_tick_arm(struct root *root);

/* root_links.c */
struct link *root_link_of_child(struct root *root, uint32_t child);
void root_links_clear(struct root *root);
/* Whoever would not be taken now is dropped. */
void root_links_recheck(struct root *root);
/* Of the listener. */
void root_accepted(struct channel *channel, void *root);

#endif
