/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * A listening descriptor in the loop: who connects is accepted, and where no descriptor is left for
 * it accepting pauses, since what waits stays acceptable. Lives in the thread of its event_base.
 */
#ifndef TETHER_ACCEPTOR_H
#define TETHER_ACCEPTOR_H

struct acceptor;
struct event_base;

/* @fd, which listens, is the acceptor's from here on; @name stands in the log. Each descriptor that
 * is accepted is the callee's, non-blocking and close-on-exec. NULL: no memory, @fd closed. */
struct acceptor *acceptor_create(struct event_base *base, int fd, const char *name,
        void (*accepted)(int fd, void *owner), void *owner);
/* May be called from @accepted. NULL is fine. */
void acceptor_destroy(struct acceptor *acceptor);

#endif
