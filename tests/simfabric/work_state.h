/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * In which state a work request is, as only somebody who sees the engines of both ends can tell:
 * what the transport knows, not what either program does. Pure. For tests that must have been in a
 * state, or count in which they were.
 */
#ifndef SIMFABRIC_WORK_STATE_H
#define SIMFABRIC_WORK_STATE_H

#include "simfabric/queue_pair_engine.h"

enum work_state {
	WORK_NOT_SENT,         /* or lost, or under way: the responder has nothing of it */
	WORK_PARTLY_DELIVERED, /* its first packets are accepted */
	WORK_EXECUTED,         /* wholly, and the requester does not know */
	WORK_ANSWER_LOST,      /* a READ or atomic that is executed: the answer is not all here */
	WORK_RNR_BLOCKED,      /* its next packet was refused, since there was no RECV */
	WORK_RECEIVE_HIDDEN,   /* acknowledged; nobody can see the completion of its RECV yet */
	WORK_DONE,
	WORK_STATE_COUNT,
};

struct work_ends {
	const struct queue_pair *requester, *responder;
	/* Where its RECVs complete; NULL: as the responder has it. */
	const struct completion_queue *receives;
	uint64_t now_ns;
};

struct work_found {
	enum work_state state;
	uint32_t accepted;      /* packets of a message; all, once it is executed */
	uint32_t answered;      /* packets of the data of a READ that are here */
	bool receive_is_hidden; /* in whichever state */
};

/*
 * Of the request at @position, a counter of the requester's send queue: open from queue.oldest to
 * before queue.posted; before that completed, but still in its slot for some time
 * (work_state_first). Before either end goes to ERR or RESET, which throw away what is asked.
 */
struct work_found work_state_of(const struct work_ends *ends, uint32_t position);
/* The first position that can be asked about. */
uint32_t work_state_first(const struct send_queue *queue);
/* "not sent" and so on. */
const char *work_state_name(enum work_state state);

#endif
