/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * The processes of a program as they run: their objects and their memory, which is one region of
 * each, known under two keys. One program in a process's life.
 */
#ifndef MODEL_ACTORS_H
#define MODEL_ACTORS_H

#include <stdbool.h>
#include <stdint.h>
#include <infiniband/verbs.h>

#include "model/coverage.h"
#include "model/program.h"
#include "model/reference.h"
#include "model/run_program.h"

enum { ACTOR_BYTES = 4 << 20, RECEIVE_DEPTH = 256, KEYS = 2, POST_MOST = 9 };

struct actor {
	struct ibv_context *context;
	struct ibv_pd *pd;
	struct ibv_mr *mr[KEYS];
	struct ibv_cq *cq[PROCESS_CQS];
	struct ibv_srq *srq;
	struct ibv_xrcd *domain;
	struct ibv_srq *xrc_srq[XRC_SRQS];
	uint32_t xrc_number[XRC_SRQS];
	uint8_t *memory;
	size_t used;
	uint8_t *free_buffers[1024]; /* for RECVs, oldest first */
	unsigned free_first, free_count;
	uint64_t *counters;
};

/* One that an end has bound, or is about to. */
struct actor_window {
	struct ibv_mw *mw;
	uint32_t rkey;
	uint32_t bind; /* work of its owner */
	uint32_t used_to,
	        answered_to; /* work of the other end that asks by it, or wants an answer */
	bool is_ended;
	unsigned ended_by; /* end */
	uint32_t end;      /* its work that does so */
};

/* A queue pair, and what it asks at the other end. */
struct actor_end {
	struct ibv_qp *qp; /* NULL: it has ended */
	uint32_t qpn;
	struct actor *actor;
	bool is_connected, is_destroyed;
	uint32_t posted, due, count;
	uint8_t **local;          /* of each work request: where its data is, or comes */
	uint8_t **cell;           /* at the other end, if it has one */
	uint64_t *hot[HOT_CELLS]; /* at the other end */
	uint64_t hot_seen[HOT_CELLS];
	uint64_t *versioned[VERSIONED_CELLS]; /* here, for the other end to read */
	uint32_t versions[VERSIONED_CELLS];
	uint32_t taken_to;    /* cells of all work before are taken */
	uint32_t answered_to; /* answers to all work before are told */
	uint32_t done_to;     /* all work before has gone well, as a completion said */
	struct actor_window *windows;
	uint32_t window_count;
	const struct work **order;
};

struct actor_queue {
	uint8_t **buffers; /* of each RECV */
	uint32_t count, room;
};

struct run {
	const struct program *program;
	struct reference *reference;
	struct run_result *result;
	struct actor actors[PROCESSES];
	struct actor_end ends[ENDS_MOST];
	struct actor_queue queues[QUEUES];
};

void actors_open(struct run *run);
/* Both queue pairs of @link, in RTS. */
void actors_connect(struct run *run, unsigned link);
void actors_destroy(struct run *run, unsigned end);
void actors_fail(struct run *run, unsigned end);
/* -1: nobody's. */
int actors_end_of(const struct run *run, unsigned process, uint32_t qpn);

/* ---- posting.c ---- */

/* As much as there is room for of what the end is to post. */
void post_due(struct run *run, unsigned end);
/* @how: receive_how */
void post_receives(struct run *run, unsigned end, unsigned count, unsigned how);

/* ---- windows.c ---- */

/* The window of a work request that is about to be posted. */
struct window_choice {
	struct actor_window *window; /* NULL: none */
	uint32_t number;
};

void windows_open(struct run *run, struct actor_end *end);
/* In the order of posting; what is not taken is undone in the other. */
struct window_choice window_choose(struct run *run, unsigned end, uint32_t number);
void window_fill(
        struct run *run, unsigned end, const struct window_choice *choice, struct ibv_send_wr *wr);
void window_posted(struct run *run, unsigned end, const struct window_choice *choice);
void window_undo(struct run *run, unsigned end, const struct window_choice *choice);
uint32_t window_key(const struct run *run, unsigned end, const struct window_choice *choice);

/* ---- eye.c ---- */

/* All that has changed in memory is told. */
void eye_look(struct run *run);
/* At the end: what is left where nothing is expected, and the counters. */
void eye_look_last(struct run *run);
void eye_touch(struct run *run, unsigned end, unsigned cell);
/* At most @count completions; how many there were. */
unsigned eye_poll(struct run *run, unsigned process, unsigned cq, unsigned count);

/* ---- movers.c ---- */

void mover_want(struct run *run, unsigned vm);
/* One small piece of what is under way, if something is. */
void mover_piece(struct run *run);
/* Whose STOP is not answered yet is aborted. */
void mover_give_up(struct run *run);
bool mover_is_idle(void);
/* Nobody has spoken to the library for so long that it would soon go on alone. */
bool mover_is_due(void);

/* ---- probe.c ---- */

void probe_fault(struct run *run, unsigned end, unsigned how, unsigned count);
void probe_pass(struct run *run);
/* Which work is in which state, as of now: of atomics, or of all others. */
void probe_look(struct run *run, unsigned end, unsigned vm, bool atomics, struct coverage *seen);
/* @vm's migration breaks what it can decide nothing about. */
void probe_excuse(struct run *run, unsigned vm);
/* @vm's migration is given up behind its vote: its binds without completion are done again. */
void probe_rebinds(struct run *run, unsigned vm);
bool probe_is_broken(const struct run *run, unsigned end);

/* The run cannot go on. */
void __attribute__((format(printf, 2, 3))) run_says(struct run *run, const char *format, ...);
void run_tells(struct run *run, struct event event);

#endif
