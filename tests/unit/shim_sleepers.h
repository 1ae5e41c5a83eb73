/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Programs that sleep until an event comes and poll only then, in pairs: one sleeps in epoll on
 * both of its descriptors, the other has threads that are blocked in ibv_get_cq_event and
 * ibv_get_async_event. They send each other bursts in turn. One wake-up that is lost, and a pair
 * stands still for ever; each event is held against the arm that asked for it.
 */
#ifndef TEST_SHIM_SLEEPERS_H
#define TEST_SHIM_SLEEPERS_H

#include <pthread.h>

#include "tests/unit/shim_harness.h"

enum {
	SLEEPER_FLOWS = 2, /* the first has queues of its own, the second a shared one */
	SLEEPER_CQS = 3,   /* on one channel: sends and receives of the first, both of the second */
	SLEEPER_DEPTH = 8,
	SLEEPER_THREADS = 3,
};

enum sleeper_way { SLEEPS_IN_EPOLL, SLEEPS_IN_EPOLL_FOR_EDGES, IS_BLOCKED };

/* A completion queue, and what was asked and heard of it. */
struct heard_cq {
	struct ibv_cq *cq;
	bool is_armed, solicited_only;
	unsigned seen, seen_solicited; /* since it was armed */
	unsigned unacknowledged;
	uint64_t arms, events;
};

struct flow {
	struct ibv_qp *qp;
	bool my_turn;
	unsigned outstanding; /* signalled sends */
	uint32_t sent, received;
	uint64_t turns; /* atomic */
};

struct sleeper {
	const char *name;
	enum sleeper_way way;
	bool uses_atomics;
	struct sleeper *other;
	struct ibv_context *context;
	struct ibv_pd *pd;
	struct ibv_mr *mr;
	struct ibv_comp_channel *channel;
	struct ibv_srq *srq;
	struct heard_cq cqs[SLEEPER_CQS];
	struct flow flows[SLEEPER_FLOWS];
	uint8_t *memory;
	unsigned seed;
	/* Of the shared queue: receives that are posted again only when its limit is reached. */
	uint32_t idle[SLEEPER_DEPTH];
	unsigned idle_count;
	bool starves, limit_is_armed;
	uint64_t limits;
	/* What must not be. */
	unsigned made_up, errors, disorders, strange_events;
	char what_was_made_up[64]; /* the first */
	const char *first_error;   /* what does not hold */
	enum ibv_wc_status status;
	/* Woken for a receive that was not solicited: preload/DESIGN.md, "Events". */
	unsigned doubtful;
	/* The descriptor was readable and there was no event. */
	unsigned false_alarms;
	pthread_mutex_t lock; /* one event at a time */
	pthread_t threads[SLEEPER_THREADS];
	int stop; /* an eventfd in its epoll set */
};

/* @one is at the VM's LID, or the peer's if @one_is_peer; @other at the other. */
void sleepers_open(struct sleeper *one, struct sleeper *other, bool one_is_peer);
void sleepers_start(struct sleeper *one, struct sleeper *other);
/* To the end of the event that is being handled; then everything is destroyed. */
void sleepers_end(struct sleeper *one, struct sleeper *other);
/* Where it stands, for whoever has to find out why it stands still. */
void sleeper_describe(struct sleeper *sleeper);

#endif
