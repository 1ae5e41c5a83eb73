/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * One link: frames in and out of a channel over libevent, with caps, heartbeat, what was lost said
 * again (wire/repeats.h) and, on the side that connects, connecting again. Lives in the thread of
 * its event_base. It never blocks, and a peer that does not read, write or live costs it one
 * bounded queue and then the link, nothing else.
 *
 * The owner is told of a link's life: opened (once its channel's handshake has ended, from the
 * loop), frames, closed (without opened where an accepted one's handshake has failed). After closed
 * an accepted connection stays as a husk until connection_destroy; a connecting one goes on trying.
 * Callbacks come from the loop only, never from inside a call below, so any call
 * (connection_destroy too) may be made from any callback.
 */
#ifndef TETHER_CONNECTION_H
#define TETHER_CONNECTION_H

#include <stdbool.h>
#include <stddef.h>

#include "notifier/channel/channel.h"
#include "notifier/wire/frame.h"

struct event_base;
struct connection;
struct shared_rate;
struct shared_rates;

struct connection_settings {
	unsigned heartbeat_ms; /* one is sent at least so often, three missed end the link; 0: none
	                        */
	unsigned ask_ms; /* a frame of which the peer has not said for so long that it has it is
	                    asked about; 0: heartbeats do that */
	unsigned reconnect_ms; /* first pause before connecting again; doubles, with jitter */
	unsigned reconnect_max_ms;
	unsigned frame_ms;     /* a frame that has begun, a last word or a handshake gets so long */
	unsigned frames_per_s; /* more of the peer's are read later; 0: no limit. One counts once
	                          more for each 4 KiB of it. */
	unsigned frames_at_once;         /* but so many are, after a silence */
	size_t queue_max_bytes;          /* not yet taken by the peer; more ends the link */
	struct credentials *credentials; /* for links over TLS; outlives the connection */
};
extern const struct connection_settings connection_settings_default;

struct connection_callbacks {
	void (*opened)(struct connection *connection, void *owner);
	/* @frame is freed afterwards; who keeps something of it copies that. In order and once, if
	 * the peer counts; heartbeats are not passed on. */
	void (*frame)(struct connection *connection, const Tether__Frame *frame, void *owner);
	/* @reason: -errno of what ended it (-ETIMEDOUT heartbeat, -ETIME half a frame, -ENOBUFS
	 * queue, -EDQUOT too much for all that share its rate, -EMSGSIZE or -EBADMSG input, -EPIPE
	 * end of stream, ...), @text the same in words. Not for connection attempts that fail. */
	void (*closed)(struct connection *connection, int reason, const char *text, void *owner);
	/* An attempt to connect has failed; another is made after a pause. May be NULL. */
	void (*failed)(struct connection *connection, const char *text, void *owner);
};

/* Over an accepted @channel, which is the connection's from here on. NULL: no memory, channel
 * closed. */
struct connection *connection_accept(struct event_base *base, struct channel *channel,
        const struct connection_settings *settings, const struct connection_callbacks *callbacks,
        void *owner);

/* To @address ("unix:/path"), now and again after each end. NULL with errno: EPROTONOSUPPORT,
 * ENOMEM. */
struct connection *connection_connect(struct event_base *base, const char *address,
        const struct connection_settings *settings, const struct connection_callbacks *callbacks,
        void *owner);

/* Queue @frame. -ENOTCONN; -EMSGSIZE: nothing was queued; -ENOBUFS: the peer does not read, the
 * link ends. */
int connection_send(struct connection *connection, const Tether__Frame *frame);

/* What the peer says, and what is held for it, counts for @rate, one of @rates, as well; it waits
 * while that owes. Both outlive the connection. */
void connection_rate_share(
        struct connection *connection, struct shared_rates *rates, struct shared_rate *rate);

/* What it runs over, to be asked who is at the other end. */
const struct channel *connection_channel(const struct connection *connection);

/* The credentials have changed: a link whose peer would not be taken now is dropped. */
void connection_recheck(struct connection *connection);

bool connection_is_open(const struct connection *connection);

/* The peer has ended the link, though what it said before may not all have been read. */
bool connection_peer_hung_up(const struct connection *connection);

/* End the link once what is queued has been taken, or after frame_ms; closed is called. A
 * connecting one does not come again. */
void connection_finish(struct connection *connection, const char *why);

/* End this link at once; closed is called, and a connecting one comes again after its pause. */
void connection_drop(struct connection *connection, const char *why);

/* At once, without callbacks. NULL is fine. */
void connection_destroy(struct connection *connection);

/* New deadlines, e.g. after SIGHUP. */
void connection_settings_set(
        struct connection *connection, const struct connection_settings *settings);

#endif
