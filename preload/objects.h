/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * The objects that applications hold: the public struct of verbs.h first, then the real object that
 * stands behind it now, then what is needed to make another one. Real objects point back by their
 * *_context. `real` changes only while control verbs are kept out (control.h) and the gates of the
 * object are closed. Devices, memory and queue pairs have a header each.
 *
 * Lock order: build gate and poll gate, then control, then a context's list lock, then send gate,
 * receive gate, lock of an XRC domain, gates of completion queues (by address), gate of a shared
 * queue, then a shared log's lock or that of memory windows. The locks that are no object's:
 * DESIGN.md.
 */
#ifndef TETHER_OBJECTS_H
#define TETHER_OBJECTS_H

#include <infiniband/verbs.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "preload/completion_arm.h"
#include "preload/completion_ring.h"
#include "preload/device_object.h"
#include "preload/gate.h"
#include "preload/memory_objects.h"
#include "preload/outer_fd.h"
#include "preload/port_tables.h"
#include "preload/queue_pair_object.h"
#include "preload/real_verbs.h"
#include "preload/shifted_regions.h"
#include "preload/shown_clock.h"
#include "preload/translation.h"
#include "preload/work_log.h"

/* What its devices have been seen to keep (sq_psns.h). */
struct sq_psns {
	uint32_t kept; /* 1 << enum ibv_qp_type */
	bool rq_kept;  /* the responder's, by some queue pair */
	uint32_t vendor_id, vendor_part_id;
};

enum context_phase {
	PHASE_RUNNING,
	PHASE_STOPPED, /* its VM is about to move */
	PHASE_AWAY,    /* it has no device, or one that is being rebuilt */
	PHASE_LOST,    /* it will not get one again */
};

struct context {
	struct verbs_context shown;
	struct ibv_context *real;
	struct device *device;
	uint32_t number; /* names it in the VM: scope of its rkeys */
	enum context_phase phase;
	bool inherited;                           /* the parent's, in a child after fork */
	unsigned connection_uses;                 /* librdmacm has opened it so often */
	struct protection_domain *of_connections; /* its domain */
	struct sq_psns sq_psns;
	struct ibv_device_attr_ex attr; /* what is supported through this library */
	struct shown_clock clock;
	uint64_t clock_shown;         /* the latest that was, of readings and stamps; atomic */
	struct port ports[PORTS_MAX]; /* by port number - 1 */
	struct port_tables tables[PORTS_MAX];
	struct outer_fd async; /* what the application polls */
	bool hides_events;     /* what comes now comes from a move */
	bool fatal_told;       /* IBV_EVENT_DEVICE_FATAL: it will not get a device again */
	bool is_gone;          /* its device was taken away; atomic: threads read events */
	bool awaits_device;    /* that was it, and the application is not told before: */
	uint64_t awaits_until_ms;
	/* Whether it is there, where somebody doubts that (lost_devices.h) */
	bool suspected;                   /* since it was asked last; atomic */
	unsigned answers;                 /* that it is, of all time; atomic */
	unsigned asked_until, unanswered; /* in terms of them; the service thread's */
	uint64_t ask_ms;
	bool has_refused;          /* work, which is kept; atomic (refused_work.h) */
	unsigned refused_until;    /* as asked_until; atomic */
	pthread_mutex_t read_lock; /* until what was read of the device is noted */
	pthread_mutex_t async_lock;
	TAILQ_HEAD(, kept_event) kept_events; /* read ahead of the application; under that lock */
	bool moved;                           /* lkeys may need translation */
	bool announced; /* to the root, which knows its numbers for as long as it is */
	struct number_table lkeys;
	struct number_table rkeys; /* of regions that were rebuilt, for the other side */
	struct number_table qpns;  /* virtual, of queue pairs that were rebuilt */
	struct number_table
	        numbers; /* virtual to our queue pairs, all of them; under the list lock */
	pthread_mutex_t lists_lock;
	TAILQ_HEAD(, protection_domain) pds;
	TAILQ_HEAD(, memory_region) mrs;
	struct shifted_regions shifted; /* of them */
	struct window_set windows;
	TAILQ_HEAD(, completion_channel) channels;
	TAILQ_HEAD(, completion_queue) cqs;
	TAILQ_HEAD(, xrc_domain) xrc_domains;
	TAILQ_HEAD(, shared_receive_queue) srqs;
	TAILQ_HEAD(, queue_pair) qps;
	TAILQ_HEAD(, address_handle) ahs;
	TAILQ_HEAD(, address_handle) orphans; /* of them; under the list lock */
	unsigned orphan_count, orphans_due;   /* looked for when they are so many more */
	bool has_astray;                      /* some were, since a move */
	TAILQ_ENTRY(context) link;
};

struct protection_domain {
	struct ibv_pd shown;
	struct ibv_pd *real;
	unsigned connection_uses; /* librdmacm has allocated it so often */
	TAILQ_ENTRY(protection_domain) link;
};

struct completion_channel {
	struct ibv_comp_channel shown;
	struct ibv_comp_channel *real;
	struct outer_fd outer; /* what the application polls */
	pthread_mutex_t lock;
	TAILQ_HEAD(, completion_queue) told; /* queues with events that were read or raised here */
	bool has_news, rings;
	TAILQ_ENTRY(completion_channel) link;
};

struct completion_queue {
	union {
		struct ibv_cq shown;
		struct ibv_cq_ex shown_ex; /* begins as an ibv_cq */
	};
	struct ibv_cq *real;
	struct gate gate;
	bool wanted; /* the service thread's mark while it collects queues */
	bool detour; /* poll by way of the ring: it holds something, or something may be made up */
	unsigned strangers; /* datagrams taken from the device whose senders are not known yet */
	struct kept_headers {
		struct kept_header *entries;
		uint32_t size;
	} kept_headers; /* of some of them */
	struct completion_ring ring;
	struct number_table qps; /* by real number, those that complete here; inside the gate */
	struct number_table xrc_srqs; /* by incarnation, likewise */
	struct context *context;
	struct completion_channel *channel;
	int vector;
	int real_cqe;         /* with room for completions that the application does not ask for: */
	uint32_t unasked;     /* as many as the send queues that complete here hold */
	unsigned made_up_due; /* queue pairs here that have FATE_EXECUTED in their log */
	unsigned users; /* queue pairs and shared queues that complete here; under the list lock */
	struct completion_arm arm; /* inside the gate */
	unsigned events_due;       /* unread by the application; under the channel's lock, as is */
	unsigned events_unjudged;  /* what the device has told of and nobody has looked at */
	bool has_parted;           /* being destroyed: gets no more of them */
	TAILQ_ENTRY(completion_queue) told_link;
	unsigned events_shown; /* got by the application, to be acknowledged */
	unsigned async_events_shown;
	struct gate poll_gate; /* between ibv_start_poll and ibv_end_poll: as build_gate below */
	enum gate_pass poll_pass;
	struct ibv_wc polled;              /* inside the poll gate */
	struct completion_stamps *stamps;  /* NULL: it tells no times */
	struct ibv_moderate_cq moderation; /* as asked for; zeros: none */
	TAILQ_ENTRY(completion_queue) link;
};

struct shared_receive_queue {
	struct ibv_srq shown;
	struct ibv_srq *real;
	struct gate gate;
	bool held; /* posts go to the log only */
	struct shared_log log;
	uint32_t *scratch; /* depth indices */
	struct ibv_sge *scratch_sges;
	struct context *context;
	struct ibv_srq_init_attr attr;
	uint32_t limit; /* armed; 0 once it was told of. Atomic: threads read events */
	unsigned users;
	unsigned events_shown;
	/* Of XRC (xrc.h); else NULL. */
	struct xrc_domain *domain;
	struct completion_queue *cq;
	uint32_t number; /* as peers know it */
	bool is_numbered;
	TAILQ_ENTRY(shared_receive_queue) domain_link;
	TAILQ_ENTRY(shared_receive_queue) link;
};

/* What a device that is gone does not let go of is given up: it is not used again. */
static inline int unless_gone(const struct context *context, int err)
{
	return __atomic_load_n(&context->is_gone, __ATOMIC_RELAXED) ? 0 : err;
}

#define container_of(at, type, member) ((type *)((char *)(at)-offsetof(type, member)))

int data_path_post_send(struct ibv_qp *, struct ibv_send_wr *, struct ibv_send_wr **);

/* "Is this object mine?" Its context says: nobody else's has these operations. */
static inline struct context *context_of(struct ibv_context *context)
{
	if (!context || context->ops.post_send != data_path_post_send)
		return NULL;
	return container_of(context, struct context, shown.context);
}

#define MINE(object, type, member)                                                                 \
	(context_of((object)->context) ? container_of(object, type, member) : NULL)

static inline struct protection_domain *protection_domain_of(struct ibv_pd *pd)
{
	return pd ? MINE(pd, struct protection_domain, shown) : NULL;
}

static inline struct memory_region *memory_region_of(struct ibv_mr *mr)
{
	return MINE(mr, struct memory_region, shown);
}

static inline struct memory_window *memory_window_of(struct ibv_mw *mw)
{
	return mw ? MINE(mw, struct memory_window, shown) : NULL;
}

static inline struct completion_channel *completion_channel_of(struct ibv_comp_channel *channel)
{
	return channel ? MINE(channel, struct completion_channel, shown) : NULL;
}

static inline struct completion_queue *completion_queue_of(struct ibv_cq *cq)
{
	return cq ? MINE(cq, struct completion_queue, shown) : NULL;
}

static inline struct shared_receive_queue *shared_receive_queue_of(struct ibv_srq *srq)
{
	return srq ? MINE(srq, struct shared_receive_queue, shown) : NULL;
}

static inline struct queue_pair *queue_pair_of(struct ibv_qp *qp)
{
	return MINE(qp, struct queue_pair, shown.qp_base);
}

static inline struct address_handle *address_handle_of(struct ibv_ah *ah)
{
	return MINE(ah, struct address_handle, shown);
}

static inline uint32_t queue_pair_number(const struct queue_pair *qp)
{
	return qp->shown.qp_base.qp_num;
}

/* All open contexts, oldest first. Changed by control verbs, under the lock; the service thread
 * walks it with control verbs kept out. */
TAILQ_HEAD(context_list, context);
extern struct context_list contexts;
extern pthread_mutex_t contexts_lock;

#define OBJECT_ADD(context, list, object)                                                          \
	do {                                                                                       \
		pthread_mutex_lock(&(context)->lists_lock);                                        \
		TAILQ_INSERT_TAIL(&(context)->list, object, link);                                 \
		pthread_mutex_unlock(&(context)->lists_lock);                                      \
	} while (0)
#define OBJECT_REMOVE(context, list, object)                                                       \
	do {                                                                                       \
		pthread_mutex_lock(&(context)->lists_lock);                                        \
		TAILQ_REMOVE(&(context)->list, object, link);                                      \
		pthread_mutex_unlock(&(context)->lists_lock);                                      \
	} while (0)

#endif
