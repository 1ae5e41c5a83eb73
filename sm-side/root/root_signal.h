/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * signal = mad: what the root has for a host waits in the outbox, the host is told by a notice and
 * asks for it over its link. Who has not asked in time, or cannot hear, is told over the link. What
 * is for one host alone (orders) and everything else is sent as ever, behind what waits, so that
 * a host sees one order of things. Lives in the thread of its event_base.
 *
 * In all calls a NULL signal is signal = stream. Children are the relay's.
 */
#ifndef TETHER_ROOT_SIGNAL_H
#define TETHER_ROOT_SIGNAL_H

#include <stdbool.h>
#include <stdint.h>

#include "tether.pb-c.h"

struct deadlines;
struct event_base;
struct root_signal;

struct root_signal_settings {
	const char *sm_socket;
	unsigned retry_ms;  /* as of sm_link_create */
	unsigned notice_ms; /* who has not asked by then is told over its link */
	uint64_t number;    /* of this start; higher than that of any before */
};

/* @send: over the link of @child, at once; links that are gone are fine. NULL with errno. */
struct root_signal *root_signal_create(struct event_base *base,
        const struct root_signal_settings *settings,
        void (*send)(void *owner, uint32_t child, const Tether__Frame *frame), void *owner);
void root_signal_destroy(struct root_signal *signal);

/* New deadlines. NULL is fine. */
void root_signal_deadlines_set(struct root_signal *signal, const struct deadlines *deadlines);

/* The agent @child has said who it is, and where it hears notices. */
void root_signal_hello(struct root_signal *signal, uint32_t child, const Tether__Hello *hello);

/* What the relay has for @child. True: it is not to be sent, the host asks for it. */
bool root_signal_takes(struct root_signal *signal, uint32_t child, const Tether__Frame *frame);
/* What the relay had has been sent. */
void root_signal_sent(struct root_signal *signal, uint32_t child, const Tether__Frame *frame);

/* What came from @child. True: it was a Pull, and is answered; *@forged: of a number that was never
 * given. */
bool root_signal_frame(
        struct root_signal *signal, uint32_t child, const Tether__Frame *frame, bool *forged);

#endif
