/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * What the root knows; shared by root.c (its making, the relay's outputs, what the owner is told
 * and asks for) and root_links.c (the agents' links), and by nobody else.
 */
#ifndef TETHER_ROOT_STATE_H
#define TETHER_ROOT_STATE_H

#include <event2/util.h>

#include "notifier/connection.h"
#include "notifier/relay.h"
#include "sm-side/questions.h"
#include "sm-side/root.h"

struct notice;

/* One agent's link. */
struct link {
	struct link *next;
	struct root *root;
	struct connection *connection;
	uint32_t child; /* what the relay calls it */
	char *host;     /* NULL: has not said HELLO */
};

struct root {
	struct event_base *base;
	struct event *accepting, *accepting_again, *ticking, *noticing;
	int fd;
	char *path;
	struct relay *relay;
	struct link *links;
	struct notice *notices;
	struct inventory inventory;
	struct questions *questions;
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
struct link *root_link_of_host(struct root *root, const char *host);
void root_links_clear(struct root *root);
/* Callbacks of the events of these names; @context: the root. */
void root_acceptable(evutil_socket_t listener, short what, void *context);
void root_accepting_again(evutil_socket_t unused, short what, void *context);

#endif
