/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * The end of one VM in make bench-signalling: a process of it with a link of its own, which
 * registers what it talks to and answers each event at once with DONE. All of it but
 * end_delivered() is for the thread of its loop.
 */
#ifndef TETHER_SIGNALLING_END_H
#define TETHER_SIGNALLING_END_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct connection;
struct credentials;
struct event_base;

enum { END_LIDS_MOST = 4 };

struct end {
	/* The owner's to fill in: */
	void (*ready)(struct end *end, bool first); /* its registrations are acknowledged */
	void (*gone)(struct end *end);              /* it was ready, and its link has ended */
	void *owner;
	char *address;
	char *name; /* "VM/PID.NUMBER" */
	uint32_t lids[END_LIDS_MOST];
	size_t lids_count;

	struct connection *connection;
	size_t acknowledged;
	bool was_ready;
	atomic_uint delivered;
};

/* @credentials: NULL without TLS. -errno, said. */
int end_connect(struct end *end, struct event_base *base, struct credentials *credentials);
void end_disconnect(struct end *end);
/* How many events since the last time. Any thread. */
unsigned end_delivered(struct end *end);

#endif
