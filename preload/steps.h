/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * The steps of migrations in this process: an event comes in, is carried out piece by piece, and
 * its answer goes out. Repeats are answered again, older epochs refused. Also what happens when
 * nobody speaks any more: before the vote gates reopen at the end of the lease; after it nothing is
 * decided here until the overall deadline, and then queue pairs end with errors.
 *
 * The service thread's; the caller passes the time, in milliseconds of a monotonic clock.
 */
#ifndef TETHER_STEPS_H
#define TETHER_STEPS_H

#include <stdbool.h>
#include <stdint.h>

#include "tether.pb-c.h"

struct context;

/* @event is taken over. Answers go to @send, which does not keep them. */
typedef void steps_send(const Tether__Answer *answer, void *owner);
void steps_event(Tether__Event *event, uint64_t now_ms, steps_send *send, void *owner);

/* Go on with what is under way. Returns milliseconds until the next call matters; -1: never. */
int64_t steps_tick(uint64_t now_ms, steps_send *send, void *owner);

/* What a HELLO says of the past: highest epoch, and the migration that is open here. */
void steps_fill_hello(Tether__Hello *hello);

/* A context of this process is without its device. */
int steps_is_away(void);

/* In a child after fork: nothing is under way. */
void steps_forget(void);

/*
 * The device of @context is gone. True: a migration has the context in hand, and goes on or ends by
 * itself, since all that is known of its queue pairs was said. False: it is lost if it @ends, and
 * migrations of it fail.
 */
bool steps_lose_device(const struct context *context, bool ends);

#endif
