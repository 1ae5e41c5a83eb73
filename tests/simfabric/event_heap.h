/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * What is to happen later: SMPs under way on a slow fabric, traps to be repeated. Nobody runs in
 * the background; whoever next holds the lock does what is due, and clients that wait set their
 * timers to the earliest event. All calls under the fabric's lock; times are CLOCK_MONOTONIC.
 */
#ifndef SIMFABRIC_EVENT_HEAP_H
#define SIMFABRIC_EVENT_HEAP_H

#include <stdbool.h>
#include <stdint.h>

#include "simfabric/messages.h"
#include "simfabric/shared_file.h"

enum { EVENTS_MAX = 65536 };

enum event_kind {
	EVENT_MAD_ARRIVES, /* message: the MAD with its destination; port, mailbox: the sender's */
	EVENT_TRAP_REPEAT, /* trap: row of traps.c */
};

struct event {
	uint64_t is_used;
	uint64_t due_ns;
	uint64_t order; /* tells events of one instant apart: first come, first served */
	uint32_t kind;
	uint32_t message; /* owned; NO_INDEX: none */
	uint32_t port;
	uint32_t mailbox;
	uint32_t generation; /* of the mailbox, or of the trap */
	uint32_t trap;       /* a free row's: the next free one */
};

uint64_t now_ns(void);

/* -ENOSPC: too many; a message stays the caller's then. */
int event_add(struct fabric *fabric, const struct event *event);
/* When the earliest is due; UINT64_MAX: there is none. */
uint64_t event_next_ns(const struct fabric *fabric);
/* Take the earliest if it is due. Its message is the caller's. */
bool event_take_due(struct fabric *fabric, uint64_t now, struct event *event);

uint32_t events_waiting(const struct fabric *fabric);

void events_mark_messages(struct fabric *fabric, struct message_marks *marks);
size_t events_size(const struct net *net);
void events_recover(struct fabric *fabric);

#endif
