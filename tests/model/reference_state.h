/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* What the rooms of the reference share. */
#ifndef MODEL_REFERENCE_STATE_H
#define MODEL_REFERENCE_STATE_H

#include "model/reference.h"

enum { SAID_MOST = 16, SAID_LENGTH = 200, NO_WORK = UINT32_MAX };

/* A work request that an end has posted. */
struct sent {
	const struct work *work;
	uint64_t compare;   /* or the key that it binds or ends; 0: none was there to end */
	uint64_t original;  /* of an atomic that was answered */
	uint32_t taking;    /* of the end's work that takes a RECV: its place among it */
	uint32_t in_queue;  /* and among that which takes one from the same queue */
	bool completed;     /* has had a completion */
	bool failed;        /* one with an error */
	bool taken;         /* its cell was seen full */
	bool answered;      /* READ or atomic */
	uint32_t low, high; /* versions, when a READ was posted */
};

struct received {
	uint8_t wrong;
	bool completed;
};

/* The first error of an end's work or of its RECVs, for which a cause is looked for at the end. */
struct failure {
	uint32_t at; /* the event's number; 0: there was none */
	uint32_t number;
	enum ibv_wc_status status;
	uint32_t own_count, peer_count; /* what both ends had posted by then */
	bool is_excused;
};

struct end_state {
	bool connected, destroyed;
	struct sent *sent;
	uint32_t sent_count, room;
	uint32_t taking_count;
	uint32_t taking_from[XRC_SRQS]; /* by work_srq */
	uint32_t executed;              /* so many are known to be */
	uint32_t checked;               /* so many have shown their effect */
	uint32_t right_to;              /* so many are known to have gone well */
	uint32_t signaled_to;           /* all signalled work before has completed */
	uint32_t last_failed;           /* the last with an error; NO_WORK: none */
	bool has_failed;                /* it, or one of its RECVs, has had an error */
	bool own_failed;                /* one of its RECVs has */
	bool has_wrong;                 /* it has posted work that must fail */
	uint32_t failed_at;             /* it was taken to ERR, 0: it was not */
	uint32_t destroyed_at;
	struct failure first;         /* of its work */
	struct failure first_flush;   /* of its RECVs */
	struct failure first_receive; /* the RECV that was wrong */
	uint32_t rebound_to;          /* binds before may be refused, see EVENT_REBOUND */
	bool is_excused;
	uint32_t excused_to; /* what was posted when it was; if more is done, nothing was broken */
	uint32_t arrived;    /* RECVs that completed with success here */
	uint32_t arrived_from[XRC_SRQS];
	uint32_t hot_newest[HOT_CELLS]; /* number of the newest writing seen, plus 1 */
	uint32_t versions[VERSIONED_CELLS];
};

struct queue_state {
	struct received *received;
	uint32_t count, room;
	uint32_t next; /* the oldest that has not completed; own queues complete in order */
	uint32_t completed;
	bool has_wrong;
};

struct reference {
	const struct program *program;
	struct end_state ends[ENDS_MOST];
	struct queue_state queues[QUEUES];
	uint32_t work_count[ENDS_MOST];
	const struct work **order[ENDS_MOST]; /* what each end is to post */
	uint64_t counters[PROCESSES][COUNTERS];
	char said[SAID_MOST][SAID_LENGTH];
	unsigned violations;
	uint32_t now;     /* events so far */
	unsigned excuses; /* ends whose error has no other cause */
};

void __attribute__((format(printf, 2, 3)))
violated(struct reference *reference, const char *format, ...);

bool hides_receives(const struct program *program);

/* ---- causes ---- */

struct failure failure_now(const struct reference *reference, unsigned end, uint32_t number,
        enum ibv_wc_status status);
/* Such an error of work or of a RECV may be, if it is found at the end what has caused it. */
bool send_error_may_be(const struct reference *reference, unsigned end, uint32_t number,
        enum ibv_wc_status status);
bool receive_error_may_be(const struct reference *reference, unsigned queue, uint32_t number,
        enum ibv_wc_status status);
void end_was_excused(struct reference *reference, unsigned end);
/* @end's work before @count is done: if it was posted behind an excuse, that is over. */
void excuse_may_be_over(struct reference *reference, unsigned end, uint32_t count);
/* At the end. */
void errors_have_causes(struct reference *reference, unsigned end);

/* ---- completions ---- */

void send_completed(struct reference *reference, const struct event *event);
void receive_completed(struct reference *reference, const struct event *event);
/* The first @count of @end's work are executed: what can be seen of them? */
void work_is_executed(struct reference *reference, unsigned end, uint32_t count);

/* ---- memory ---- */

void cell_was_taken(struct reference *reference, const struct event *event);
void cell_was_left(struct reference *reference, const struct event *event);
void hot_cell_was_seen(struct reference *reference, const struct event *event);
void read_was_posted(struct reference *reference, unsigned end, struct sent *sent);
void work_was_answered(struct reference *reference, const struct event *event);
void effects_are_seen(struct reference *reference, unsigned end);
/* Each counter's values are one path through the atomics, each taken once. */
void counters_are_explained(struct reference *reference);

/*
 * The other end has done it, and it fails when the answer comes, which may be after that has done
 * what follows.
 */
static inline bool work_fails_late(const struct work *work)
{
	return work->wrong == WRONG_LKEY && work_has_answer(work);
}

/* Its queue pair is in ERR, as far as the application knows. */
static inline bool end_is_down(const struct end_state *state)
{
	return state->has_failed || state->failed_at;
}

static inline bool end_takes_from(const struct reference *reference, unsigned end, unsigned queue)
{
	for (unsigned srq = 0; srq < end_srqs(reference->program, end); srq++) {
		if (reference_queue_of(reference->program, end, srq) == queue)
			return true;
	}
	return false;
}

/* Where the RECV lies that @end's work takes. */
static inline unsigned queue_of_message(
        const struct reference *reference, unsigned end, const struct work *work)
{
	return reference_queue_of(
	        reference->program, end_other(end), work_srq(reference->program, end, work));
}

static inline struct sent *sent_at(struct reference *reference, unsigned end, uint32_t number)
{
	struct end_state *state = &reference->ends[end];

	return number < state->sent_count ? &state->sent[number] : NULL;
}

#endif
