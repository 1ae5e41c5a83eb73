/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * What a connection knows; shared by connection.c (its life: connecting, ending, connecting again),
 * connection_traffic.c (what goes over it while it is open) and connection_repeats.c (what of that
 * is said again), and by nobody else.
 */
#ifndef TETHER_CONNECTION_STATE_H
#define TETHER_CONNECTION_STATE_H

#include <sys/time.h>

#include "notifier/link/connection.h"
#include "notifier/link/rate.h"
#include "notifier/link/shared_rates.h"
#include "notifier/wire/byte_queue.h"
#include "notifier/wire/repeats.h"

struct event;

enum link_state {
	LINK_DOWN,
	LINK_CONNECTING,
	LINK_OPEN,
};

enum later { /* callbacks that are due, from the loop */
	LATER_OPENED = 1,
	LATER_CLOSED = 2,
	LATER_FAILED = 4,
};

struct connection {
	struct event_base *base;
	struct connection_settings settings;
	const struct connection_callbacks *callbacks;
	void *owner;

	enum link_state state;
	struct channel channel;
	struct frame_reader reader;
	struct byte_queue queue;
	struct repeats repeats;
	struct event *asking; /* the peer is silent about what it was told; NULL: it never was */
	struct event *readable, *writable;
	struct event *resting; /* the peer has said too much; NULL: it never has */
	struct rate rate;
	struct shared_rates *rates;
	struct shared_rate *shared; /* of them; NULL: only its own counts */
	size_t held, unread;        /* what is counted there for this link */
	struct event *beat;         /* every heartbeat_ms: send one if silent, count the peer's */
	struct event
	        *overdue; /* a partial frame, a connection attempt or a last word took too long */
	struct event *again; /* connect again, or ask a channel again whether it stands */
	struct event *later;
	unsigned due;        /* of enum later */
	bool sent, received; /* since the last beat */
	unsigned missed;
	uint64_t beats;

	char *address; /* of the connecting side, else NULL */
	unsigned attempts;
	bool finishing;

	int reason;
	char text[160];
	unsigned in_callbacks;
	bool destroyed;
};

/* connection.c */
/* From the loop, the owner is told @what. */
void link_later(struct connection *connection, enum later what);
/* Nothing where it is down. @text NULL: what @reason says. */
void link_fail(struct connection *connection, int reason, const char *text);
/* Between these two a connection_destroy leaves the memory for callback_end to free. */
void callback_begin(struct connection *connection);
void callback_end(struct connection *connection);

/* connection_traffic.c */
/* The events that live as long as the link's descriptor. -ENOMEM */
int link_watch(struct connection *connection);
void link_open(struct connection *connection);
/* The channel says whether it stands, or what is to be waited for. */
void link_ask(struct connection *connection);
void beat_set(struct connection *connection);
/* What is held for it has changed. */
void held_note(struct connection *connection);

/* connection_repeats.c */
/* There is room for @length bytes more of what the peer may not have. */
bool repeats_have_room(const struct connection *connection, size_t length);
/* @frame, numbered, was queued as @length bytes. */
void frame_said(struct connection *connection, const Tether__Frame *frame, const uint8_t *bytes,
        size_t length);
/* Whether @frame is to be handed up. The link may have failed. */
bool frame_is_next(struct connection *connection, const Tether__Frame *frame);
/* A heartbeat, which the peer has to answer at once if it @asks. */
void beat_say(struct connection *connection, bool asks);

#endif
