/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Programs that sleep until an event comes, in epoll or blocked in ibv_get_cq_event, and talk in
 * datagrams, in pairs: they send each other bursts in turn. One wake-up that is lost, and a pair
 * stands still for ever.
 */
#ifndef TEST_SHIM_TALKERS_H
#define TEST_SHIM_TALKERS_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "tests/unit/shim_harness.h"

enum { TALKER_FLOWS = 2 }; /* at most */

struct flow {
	struct end end; /* the queue pair and the address of the other */
	bool my_turn;
	unsigned outstanding; /* signalled sends */
	uint32_t sent, received;
	uint64_t turns; /* atomic */
};

struct talker {
	const char *name;
	bool sleeps_in_epoll, is_in_vm, has_one_cq;
	int flow_count;
	unsigned seed;
	struct end end;
	struct ibv_cq *cqs[2]; /* of sends and receives */
	struct flow flows[TALKER_FLOWS];
	unsigned events, errors, disorders, strangers;
	int stop; /* an eventfd */
	pthread_t thread;
};

/* What is drawn. With @arms_solicited events come with their completions: a receive whose event is
 * not there was not solicited. With @forgets_senders a message may seem to come from a stranger. */
extern bool arms_solicited, forgets_senders;

/* Opens both; the first is in the VM, and the first to talk, but in the second flow. */
void talkers_connect(struct talker *vm, struct talker *peer);
/* Everybody, before anybody starts. */
void talker_prepare(struct talker *talker);
void talker_start(struct talker *talker);
/* To the end of the event that is being handled. */
void talker_end(struct talker *talker);
/* When all have ended. */
void talker_close(struct talker *talker);
/* Where it stands, for whoever has to find out why it stands still. */
void talker_describe(const struct talker *talker);

#endif
