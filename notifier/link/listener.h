/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Where a program waits for links from other programs' agents: a unix socket, for root and its own
 * user, or a port for TLS. Accepting pauses while no descriptor is left. Where too many handshakes
 * are under way the oldest makes room for whoever comes: those who connect and say nothing keep
 * nobody out. Lives in the thread of its event_base.
 */
#ifndef TETHER_LISTENER_H
#define TETHER_LISTENER_H

#include "notifier/channel/channel.h"

struct event_base;
struct listener;

/* Takes @channel. From the loop. */
typedef void (*listener_accepted)(struct channel *channel, void *owner);

/* At each of @addresses ("unix:/run/tether/agents.sock tls:0.0.0.0:4710", separated by blanks).
 * @credentials: for TLS, else NULL; outlive it. 0, or -errno after logging where and why. */
int listener_create(struct event_base *base, const char *addresses, struct credentials *credentials,
        listener_accepted accepted, void *owner, struct listener **made);
/* NULL is fine. Unix sockets are removed. */
void listener_destroy(struct listener *listener);

/* Is @addresses at least one address that can be listened at? */
bool listener_fits(const char *addresses);
/* One of them is TLS. */
bool listener_wants_credentials(const char *addresses);

#endif
