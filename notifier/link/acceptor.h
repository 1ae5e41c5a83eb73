/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * A listening descriptor in the loop: who connects is accepted, and where no descriptor is left for
 * it accepting pauses, since what waits stays acceptable. Lives in the thread of its event_base.
 */
#ifndef TETHER_ACCEPTOR_H
#define TETHER_ACCEPTOR_H

struct acceptor;
struct event_base;
struct sockaddr_storage;

/* @fd is the callee's, non-blocking and close-on-exec; @peer: who it is of. */
typedef void (*acceptor_accepted)(int fd, const struct sockaddr_storage *peer, void *owner);

/* @fd, which listens, is the acceptor's from here on; "no @who can be accepted" stands in the log,
 * and @who outlives it. NULL: no memory, @fd closed. */
struct acceptor *acceptor_create(
        struct event_base *base, int fd, const char *who, acceptor_accepted accepted, void *owner);
/* May be called from @accepted. NULL is fine. */
void acceptor_destroy(struct acceptor *acceptor);

#endif
