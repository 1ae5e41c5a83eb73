/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Two ends of a link in one loop, or one end and a bare descriptor, over a socket pair. What an end
 * hears is counted.
 */
#ifndef TETHER_TESTS_LINK_ENDS_H
#define TETHER_TESTS_LINK_ENDS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <event2/event.h>

#include "notifier/link/connection.h"

/* One end and what it has heard. */
struct link_end {
	struct event_base *base;
	struct connection *connection;
	unsigned opened, frames, closed;
	uint64_t last;
	int reason;
	unsigned wanted_frames, wanted_closed, wanted_opened; /* leave the loop then */
	unsigned destroy_at_frame, finish_at_frame;
};

/* Everything in milliseconds. */
extern const struct connection_settings link_quick;
/* Their owner is a link_end. */
extern const struct connection_callbacks link_end_callbacks;

void link_end_open(struct link_end *end, struct event_base *base, int fd,
        const struct connection_settings *settings);
void link_pair_open_in(struct event_base *base, struct link_end *a, struct link_end *b,
        const struct connection_settings *settings);
/* In a loop of their own. */
void link_pair_open(
        struct link_end *a, struct link_end *b, const struct connection_settings *settings);
/* One end, and the bare descriptor of the other. */
int link_half_open(struct link_end *a, const struct connection_settings *settings);
/* And their loop; @b: NULL is fine. */
void link_ends_clear(struct link_end *a, struct link_end *b);

/* The loop, until an end has what it wants; a link that fails to give it ends the test. */
void link_run(struct event_base *base);
/* Ten rounds of others': whatever is ready meanwhile has had its turn. */
void link_loop_goes_on(struct event_base *base);

int interest_send(struct link_end *end, uint32_t request);
/* Of @size bytes, and a few. */
int large_send(struct link_end *end, size_t size);
void interest_write(int fd);

#endif
