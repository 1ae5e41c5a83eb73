/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * The descriptor that an application holds for events: an epoll instance, so that it stays the same
 * and stays where the application has registered it, while the device's descriptor behind it comes
 * and goes. A bell stands in for what this library itself has to tell. Any thread.
 */
#ifndef TETHER_OUTER_FD_H
#define TETHER_OUTER_FD_H

struct outer_fd {
	int fd;            /* the application's; O_NONBLOCK on it is the application's, too */
	int bell;          /* an eventfd */
	unsigned transits; /* odd while what the device has told is on its way behind the bell */
};

/* -errno */
int outer_fd_open(struct outer_fd *outer);
void outer_fd_close(struct outer_fd *outer);
/* In a child after fork: it gets its own, by the number of the parent's, that shows nothing. */
void outer_fd_inherit(struct outer_fd *outer);

/* Whoever reads it must never be stuck in what a migration takes away; -errno. */
int inner_fd_prepare(int inner);
/* Show what @inner has; -errno. To be removed before it is closed. Both may be repeated. */
int outer_fd_add(const struct outer_fd *outer, int inner);
void outer_fd_remove(const struct outer_fd *outer, int inner);

/* Readable until outer_fd_hush; each ring wakes who waits for an edge. Signal handlers too. */
void outer_fd_ring(const struct outer_fd *outer);
void outer_fd_hush(const struct outer_fd *outer);

/*
 * The service thread takes what is readable and rings for it later: who is told in between that
 * there is nothing, having been told that there was something, looks again.
 */
void outer_fd_transit_begin(struct outer_fd *outer);
void outer_fd_transit_end(struct outer_fd *outer);

/* Sleep as read(2) would, by O_NONBLOCK and by the handlers of signals. 0, perhaps with nothing to
 * be read; -1 with errno. */
int outer_fd_await(const struct outer_fd *outer);

#endif
