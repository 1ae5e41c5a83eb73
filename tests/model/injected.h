/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * A case: one connection of its own, on which one work request, its subject, is brought into one
 * state before a move; some work is before it and behind. What a case is, follows from its class,
 * its state and its number alone (injected_make.c), so that each can be had again.
 */
#ifndef TEST_MODEL_INJECTED_H
#define TEST_MODEL_INJECTED_H

#include <infiniband/verbs.h>
#include <stdbool.h>
#include <stdint.h>

#include "simfabric/work_state.h"
#include "tests/model/injected_table.h"

enum {
	CASE_WORKS = 7,
	CASE_RECEIVES = CASE_WORKS + 2, /* one for what is sent after all, one that may be lost */
	CASE_GUARD = 32,                /* untouched bytes behind each buffer */
	CASE_INLINE = 1024,             /* as the simulated HCA */
	CASE_COMPLETIONS = 2 * CASE_WORKS,
	RULES_MAX = 2,
};

/* How the migration goes that the case is met by. */
enum course {
	COURSE_MOVE,
	COURSE_BACK,    /* given up behind the vote */
	COURSE_DEAD,    /* no device tells its PSNs */
	COURSE_WAITED,  /* an atomic is answered while STOP waits for it */
	COURSE_REFUSED, /* it is not, so STOP fails */
	COURSE_COUNT,
};

struct planned {
	enum ibv_wr_opcode opcode;
	unsigned flags;           /* enum ibv_send_flags */
	uint32_t length;          /* of the message */
	uint32_t local, remote;   /* where its bytes are in the memory of either end */
	bool is_kept;             /* posted while STOP holds */
	struct ibv_mw *window;    /* that it invalidates */
	uint64_t before, operand; /* of an atomic: what was there, what is added or put */
	bool was_executed;        /* at the stop */
	bool is_overwritten;      /* since then, by the program that it was written to */
};

/* What a program has of a case at one of its ends. */
struct side {
	unsigned vm;
	uint8_t *memory;
	struct ibv_comp_channel *channel;
	struct ibv_cq *cq;
	struct ibv_srq *srq;
	uint32_t srqn; /* with XRC */
	struct ibv_qp *qp;
};

struct injected {
	struct cell cell;
	uint32_t number; /* within its cell */
	enum course course;
	bool is_mlx5;
	uint64_t dice;
	bool from_vm; /* the VM asks; else its peer does */
	unsigned peer;
	enum ibv_mtu mtu;
	uint32_t first_psn;
	unsigned count, subject;
	struct planned works[CASE_WORKS];
	/* RECVs in the order of posting. Of an SRQ all hold whatever comes: which one a message
	 * gets nobody knows. */
	struct {
		uint32_t at, length;
	} buffers[CASE_RECEIVES];
	unsigned buffer_count;
	unsigned receives;         /* that are posted at first; all others behind the move */
	uint32_t used;             /* bytes of memory at either end */
	size_t place;              /* where they begin */
	char rules[RULES_MAX][32]; /* without the queue pair's name */
	bool receive_is_hidden;    /* at the stop */
	bool polls;                /* the program polls all the time */

	struct side asks, answers;
	struct ibv_wc sent[CASE_COMPLETIONS], received[CASE_COMPLETIONS];
	unsigned sent_count, received_count;
	unsigned receives_posted;
	/* Something was open at the stop that is no READ, and no RECV behind it, or of it, was
	 * complete: at all, or for anybody to see. */
	bool was_untold, was_unseen;
	bool has_ended; /* with an error */
	/* The answering queue pair, which is in ERR at the end: by the library, or its device gives
	 * back what it has. */
	bool flushes_receives;
	const char *failed; /* what was not as it has to be; NULL: nothing */
};

/* 0 to @count - 1, by the case's own dice. */
uint32_t injected_draw(struct injected *c, uint32_t count);

static inline uint32_t injected_mtu(const struct injected *c)
{
	return 128u << c->mtu;
}

static inline uint32_t planned_packets(const struct injected *c, const struct planned *work)
{
	return work->length ? (work->length + injected_mtu(c) - 1) / injected_mtu(c) : 1;
}

/* A device that gives nothing back in ERR keeps the buffer of an SRQ that a message has begun to
 * fill, where the SRQ stays. */
bool injected_buffer_may_be_lost(const struct injected *c);

bool planned_takes_receive(const struct planned *work);
bool planned_is_atomic(const struct planned *work);
bool planned_writes(const struct planned *work); /* to the other end's memory, which it names */

/* The case of that number in its cell. */
void injected_make(struct injected *c, const struct cell *cell, uint32_t number);

#endif
