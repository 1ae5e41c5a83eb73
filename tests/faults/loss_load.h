/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * loss-load: one end of a load over which a device is taken away by surprise, with a book of what
 * was posted and what has completed. Told by lines on its standard input what to do next
 * (surprise_test.py), it answers each with a line of JSON. Rounds follow each other in one process,
 * which opens the device anew for each, so that what one leaves behind shows.
 *
 * The rooms: loss_load.c reads lines; loss_load_end.c makes, connects and destroys objects;
 * loss_load_work.c posts and takes completions, each kind of sleeper in a thread of its own;
 * loss_load_book.c judges.
 */
#ifndef LOSS_LOAD_H
#define LOSS_LOAD_H

#include <infiniband/verbs.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

/* What each queue pair is for; the other end has the same. */
enum lane {
	LANE_MESSAGES, /* SEND and WRITE_WITH_IMM into receives of its own */
	LANE_SHARED,   /* SEND into a shared queue */
	LANE_MEMORY,   /* WRITE, READ and atomics */
	LANE_IDLE,     /* receives that nothing comes for */
	LANE_DATAGRAMS,
	LANES,
};

enum {
	LANE_DEPTH = 32,
	RECEIVES = 16, /* of each lane that has its own; of the shared queue */
	MESSAGE_BYTES = 64,
	LANE_BYTES = 4096, /* of the memory: what it sends, or what is done to it */
	GRH_BYTES = 40,
	TICKETS = 1 << 20, /* of each queue; then it posts no more */
	QKEY = 0x4c4f,
};

/* ---- the book ---- */

enum ticket {
	TICKET_POSTED = 1,
	TICKET_MUST = 2, /* completes exactly once: a receive of a queue pair, a signalled send */
	TICKET_DONE = 4,
	TICKET_FAILED = 8,
};

/* A queue of work requests; wr_ids are the queue's number and the ticket's. */
struct queue {
	uint8_t *tickets;
	uint32_t posted;
	uint32_t done;      /* sends: everything before has completed, asked for or not */
	uint32_t must_open; /* tickets that must complete and have not */
	bool has_failed;    /* nothing succeeds any more */
	unsigned failed_at; /* ticks */
};

enum { QUEUES = 2 * LANES, QUEUE_SHARED = LANES + LANE_SHARED };

struct book {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct queue queues[QUEUES]; /* sends of each lane, then receives of each */
	unsigned successes[QUEUES];
	unsigned fatal, last_wqe, violations;
	char first_violation[256];
	bool receives_may_stay; /* a peer's device may flush none */
	unsigned last_at;       /* ticks: of the last completion */
};

extern struct book book;

void book_open(void);
/* All under the lock. */
uint64_t book_post(unsigned queue, bool must);
void book_not_posted(unsigned queue);
void book_completed(const struct ibv_wc *wc);
void book_violation(const char *text, uint64_t wr_id);
bool book_must_wait(void);
/* What is still open is a violation now. */
void book_close(void);

/* ---- time ---- */

/* As this process has it: naps of a thread of its own, counted. Whoever gets no processor for a
 * while naps longer and not more often, so a busy machine makes no time-out longer. */
enum { TICK_MS = 10 };
void ticks_begin(void);
unsigned ticks_now(void);

/* ---- the end ---- */

struct end {
	struct ibv_context *context;
	struct ibv_pd *pd;
	struct ibv_mr *mr;
	struct ibv_comp_channel *channel;
	struct ibv_cq *woken;     /* on the channel: messages, shared, datagrams */
	struct ibv_cq_ex *polled; /* memory and idle */
	struct ibv_srq *srq;
	struct ibv_qp *qps[LANES];
	struct ibv_ah *ah;
	uint8_t *memory;
	uint64_t remote_addr;
	uint32_t remote_rkey, remote_qpns[LANES];
};

extern struct end end;

/* 0 or an errno; @said: a word for what failed. */
int end_open(const char **said);
int end_connect(const char *address, const char **said);
int end_fail_all(void);
int end_close(const char **said);
/* How long the transport tries before it fails: local ACK time-out x (retries + 1), IBA 9.7.6.1.3;
 * the longest of all that have one. */
unsigned end_transport_ms(void);
void end_describe(char *text, size_t size);

/* ---- the work ---- */

/* Threads that take completions and events; receives are posted. */
void work_begin(void);
void work_send(void);
/* Until each lane has had some success; until the device has been lost; until the sends of all
 * connected lanes have failed. False: not within @seconds. */
bool work_runs(unsigned seconds);
bool work_runs_again(unsigned seconds);
bool work_is_lost(unsigned seconds);
bool work_is_broken(unsigned seconds);
/* One more of each kind, for a device that is gone. */
void work_post_afterwards(void);
/* All that must complete has. */
bool work_is_drained(unsigned seconds);
/* The threads end. */
void work_end(void);

#endif
