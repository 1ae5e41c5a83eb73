/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Completion queues: a ring of work completions, the arming for events, and completions that are
 * held back from the application for a while (see data_faults.h). Under the HCA's lock.
 */
#ifndef SIMFABRIC_COMPLETION_QUEUE_H
#define SIMFABRIC_COMPLETION_QUEUE_H

#include <stdbool.h>
#include <stdint.h>
#include <infiniband/verbs.h>

struct queue_pair;

struct completion {
	struct ibv_wc wc;
	struct queue_pair *qp; /* NULL: it is no more, or has been reset */
	uint32_t covers;       /* polled, it frees this many slots of the queue it came from */
	uint32_t psn;          /* of a RECV: of the packet that completed it */
	bool is_receive;
	bool solicited;
	uint64_t visible_ns;   /* the application may see it from then on */
	uint64_t completed_ns; /* when it was written, by completion_queue_push */
};

/* Of visible_ns: hidden until somebody makes it visible. */
#define COMPLETION_HELD UINT64_MAX

enum completion_arm { NOT_ARMED, ARMED_SOLICITED, ARMED_ALL };

struct completion_queue {
	struct completion *ring;
	uint32_t size; /* a power of two, at least capacity */
	uint32_t capacity;
	uint32_t head, tail;
	enum completion_arm armed;
	bool overrun;
	bool ignores_overrun; /* when full a new completion takes the oldest one's place */
	/* One event for so many completions, or after so long; both 0: for each. */
	uint32_t moderate_count, moderated;
	uint64_t moderate_ns;
	/* An event is due for the armed queue. Called under the HCA's lock. */
	void (*notify)(struct completion_queue *queue);
	uint64_t held_until_ns; /* no completion is held longer */
	uint64_t notify_due_ns; /* a held completion will raise one then; 0: none */
};

int completion_queue_init(struct completion_queue *queue, uint32_t capacity);
void completion_queue_fini(struct completion_queue *queue);
/* -EINVAL: more completions are waiting than that. */
int completion_queue_resize(struct completion_queue *queue, uint32_t capacity);

/* False: no room; the completion is lost and the queue overrun, unless it ignores that. */
bool completion_queue_push(
        struct completion_queue *queue, const struct completion *completion, uint64_t now_ns);
/* The oldest, if it is visible. It stays until completion_queue_pop. */
struct completion *completion_queue_peek(struct completion_queue *queue, uint64_t now_ns);
void completion_queue_pop(struct completion_queue *queue);

/* Raise what held and moderated completions owe. */
void completion_queue_turn(struct completion_queue *queue, uint64_t now_ns);
/* Events wait for @count completions, but no longer than @period_ns. 0 of either: they do not wait.
 */
void completion_queue_moderate(struct completion_queue *queue, uint32_t count, uint64_t period_ns);
void completion_queue_arm(struct completion_queue *queue, bool solicited_only, uint64_t now_ns);

/* The queue pair's completions: throw away, or keep without the queue pair. */
void completion_queue_purge(struct completion_queue *queue, const struct queue_pair *qp);
void completion_queue_orphan(struct completion_queue *queue, const struct queue_pair *qp);
/* A device has written all of a queue pair's completions, and what is before them, when it has
 * given it back. */
void completion_queue_write_out(struct completion_queue *queue, const struct queue_pair *qp);
/* The application may see the queue pair's receive completions at once. */
void completion_queue_release_held(struct completion_queue *queue, const struct queue_pair *qp);
/* And those that are held without end, unless @is_held says that they still are. */
void completion_queue_look_anew(
        struct completion_queue *queue, bool (*is_held)(const struct completion *completion));
/* The RECV that the packet of @psn completed has a completion here; NULL: it has not, or not any
 * more. */
const struct completion *completion_queue_find_receive(
        const struct completion_queue *queue, const struct queue_pair *qp, uint32_t psn);
/* Nobody can poll it yet: it is held, or one before it is. */
bool completion_queue_hides(
        const struct completion_queue *queue, const struct completion *completion, uint64_t now_ns);

#endif
