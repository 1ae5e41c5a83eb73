/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * The software HCA with nobody at hand (in place of hca_at_hand.c and hca_thread.c): it has no
 * thread, posting and polling move nothing, and packets that were sent wait, those of each queue
 * pair to another one in a queue of their own, until whoever holds this table says which of all
 * that can happen happens next. So a run is what its caller makes of it, and can be done again.
 *
 * libsimfabric-turns.so has it beside the verbs. One thread for all.
 */
#ifndef TEST_MODEL_TURNS_H
#define TEST_MODEL_TURNS_H

#include <stdbool.h>
#include <stdint.h>

struct ibv_qp;
struct packet;

/* A request by its wr_id; @state: enum work_state. */
typedef void turns_state(void *argument, uint64_t wr_id, unsigned state);

struct turns {
	/* Queue pairs that have something to send. The n-th sends one burst. */
	unsigned (*senders)(void);
	void (*transmit)(unsigned sender);
	/* From one queue pair to another, where packets are under way. */
	unsigned (*flows)(void);
	const struct packet *(*first)(unsigned flow);
	void (*deliver)(unsigned flow); /* the first packet */
	/* Timers that have run out, packets and completions that are due by now. */
	void (*expire)(void);
	/* When the next of them is; UINT64_MAX: there is none. */
	uint64_t (*next_due_ns)(void);
	/* Packets under way are lost, all of them. */
	void (*forget)(void);
	/* Each request that @asks has, or had lately, and that is not over. Both ends in RTS. */
	void (*states)(
	        struct ibv_qp *asks, struct ibv_qp *answers, turns_state *tell, void *argument);
};

extern const struct turns simfabric_turns;

#endif
