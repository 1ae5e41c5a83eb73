/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * What an application sees of a run, one event after the other in the order in which it sees them.
 * Made by the executor, judged by the reference.
 */
#ifndef MODEL_TRACE_H
#define MODEL_TRACE_H

#include <stdint.h>
#include <infiniband/verbs.h>

enum event_kind {
	EVENT_CONNECTED, /* both queue pairs of link @of are in RTS */
	EVENT_SENT,    /* end @of: the verb took its next work; @value: what an atomic compares, or
	                * the key of the window that it binds or ends, 0: sent without one */
	EVENT_RECEIVE, /* queue @queue: the verb took RECV @number; @how: enum wrong */
	EVENT_COMPLETED, /* @wc, of end @of by its qp_num; RECVs: @data as the buffer is */
	EVENT_TAKEN,   /* the cell of @of's work @number is full and was @data; empty from now on */
	EVENT_HOT,     /* @data is @of's hot cell @how */
	EVENT_TOUCHED, /* @of's versioned cell @how has version @number now */
	EVENT_ANSWER,  /* to @of's READ or atomic @number, known to be done: @data */
	EVENT_FAILED,  /* end @of was taken to ERR by the application */
	EVENT_DESTROYED, /* end @of */
	EVENT_EXCUSED,   /* end @of may fail: the settlement cannot know (@text says why); until
	                  * more of the link is done than was posted by then */
	EVENT_REBOUND,   /* end @of: a bind that is open may be done again, and be refused then */
	EVENT_COUNTER,   /* at the end: counter @how of process @of is @value */
	EVENT_LEFT,      /* at the end: the cell of @of's work @number is @data */
};

struct event {
	enum event_kind kind;
	unsigned of, how;
	uint32_t number;
	unsigned queue;
	uint64_t value;
	struct ibv_wc wc;
	const void *data;
	const char *text;
};

/* ---- wr_ids ---- */

/* Receive queues: of the ends, then the shared ones of the processes, then their XRC SRQs. */
static inline uint64_t wr_id_of_send(unsigned end, uint32_t number)
{
	return (uint64_t)end << 32 | number;
}

static inline uint64_t wr_id_of_receive(unsigned queue, uint32_t number)
{
	return UINT64_C(1) << 63 | (uint64_t)queue << 32 | number;
}

static inline int wr_id_is_receive(uint64_t wr_id)
{
	return wr_id >> 63;
}

static inline unsigned wr_id_owner(uint64_t wr_id)
{
	return wr_id >> 32 & 0x7fffffff;
}

static inline uint32_t wr_id_number(uint64_t wr_id)
{
	return (uint32_t)wr_id;
}

#endif
