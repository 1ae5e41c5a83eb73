/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * The clocks of contexts: read from the device where there is one (shown_clock.h says how they are
 * shown). What is changed here changes with control verbs kept out.
 */
#ifndef TETHER_DEVICE_CLOCK_H
#define TETHER_DEVICE_CLOCK_H

#include "preload/objects.h"

/* The host's clock that spans the time without a device. */
uint64_t host_clock_ns(void);
/* What the device says now, in its own ticks; 0 or an errno. */
int device_clock_read(struct ibv_context *real, uint64_t *reading);

/* The application sees one if @context's device has one that can be read: in context->attr, too. */
void context_clock_begin(struct context *context);
/* Nothing completes in the context any more, and its device will be closed. */
void context_clock_depart(struct context *context);
/* Another device is open. Without a clock of its own the host's goes on. */
void context_clock_arrive(struct context *context);

/* @counted is shown: no reading is needed to say that it is not later now. */
void context_clock_show(struct context *context, uint64_t counted);
/* The latest that was shown: where the clock cannot be read just now, all that is certain. */
uint64_t context_clock_shown(const struct context *context);

/* For verbs_context. */
int device_clock_query(struct ibv_context *, struct ibv_values_ex *);

#endif
