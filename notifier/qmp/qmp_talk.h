/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * One order (qmp_order.h) carried out over one connection, in its time: what is said and heard goes
 * to the log. In the thread of its event_base.
 */
#ifndef TETHER_QMP_TALK_H
#define TETHER_QMP_TALK_H

#include "notifier/qmp/qmp_order.h"

struct event_base;
struct qmp_talk;

struct qmp_talk_settings {
	struct qmp_order_request request;
	const char *log_name; /* begins each line: "migration 3/4"; the caller's until its end */
	const char *moved_to; /* where a mark says that the VM has gone; NULL: there is none */
	unsigned deadline_ms; /* from when on it comes to an end; 0: it takes what it takes */
	unsigned end_ms;      /* by when it has come to one, answered or not */
	/* From the loop, at the end. What @order says is good until it returns. The talk may be,
	 * and has to be some time, destroyed. */
	void (*ended)(void *context, struct qmp_talk *talk, const struct qmp_order *order);
	/* The VM is another host's, and the QEMU here is about to be told to end. */
	void (*moved)(void *context, struct qmp_talk *talk);
	void *context;
};

/* NULL: no memory. */
struct qmp_talk *qmp_talk_start(struct event_base *base, const struct qmp_talk_settings *settings);
/* Come to an end now: -ECANCELED. It is told all the same. */
void qmp_talk_give_up(struct qmp_talk *talk, int err);
/* NULL is fine. Nothing is told any more. */
void qmp_talk_destroy(struct qmp_talk *talk);

#endif
