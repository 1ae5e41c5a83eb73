/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * The objects that applications hold: the public struct of verbs.h first, then the real object that
 * stands behind it now, then what is needed to make another one. Real objects point back by their
 * *_context. `real` changes only while control verbs are kept out (control.h) and the gates of the
 * object are closed.
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
#include "preload/datagram_counts.h"
#include "preload/gate.h"
#include "preload/known_gids.h"
#include "preload/outer_fd.h"
#include "preload/port_tables.h"
#include "preload/real_verbs.h"
#include "preload/shifted_regions.h"
#include "preload/shown_clock.h"
#include "preload/translation.h"
#include "preload/work_log.h"

/* Direct verbs read their own struct beyond ibv_device; zeros there mean "not mine". */
enum { DEVICE_BEYOND_BYTES = 2048, PORTS_MAX = 4 };

/* What the application was told of a port, and goes on being told. */
struct port {
	struct ibv_port_attr attr;
	union ibv_gid gid;      /* the first in its table */
	bool known;             /* the LID was assigned */
	uint32_t real_lid;      /* of the device that is there now; 0: not learned */
	struct known_gids gids; /* of an Ethernet port, which has no LID */
};

static inline bool port_is_ethernet(const struct port *port)
{
	return port->attr.link_layer == IBV_LINK_LAYER_ETHERNET;
}

/* A place that a device has been at, as librdmacm is shown it (connection_devices.h). */
struct device_place {
	struct ibv_device shown;
	unsigned char beyond[DEVICE_BEYOND_BYTES];
	__be64 guid;
	int index;
	TAILQ_ENTRY(device_place) link;
};

/* One that was there when another went. */
struct device_seen {
	char name[IBV_SYSFS_NAME_MAX];
	__be64 guid;
};

struct device {
	struct ibv_device shown;
	unsigned char beyond[DEVICE_BEYOND_BYTES];
	struct ibv_device *real; /* as listed last; NULL: away */
	char real_name[IBV_SYSFS_NAME_MAX];
	__be64 guid;
	struct port ports[PORTS_MAX]; /* as learned when it was open */
	unsigned contexts;            /* of the application */
	unsigned opened;              /* of them those that have it open: they keep @real valid */
	struct device_seen *others;   /* of Ethernet, while it is away: none of them will be it */
	unsigned other_count;
	TAILQ_HEAD(, device_place) places; /* others than the one that @shown stands for */
	bool has_index;                    /* librdmacm has been shown it, as: */
	int index;
	struct context *of_connections; /* librdmacm's */
	TAILQ_ENTRY(device) link;
};

/* What becomes of windows of type 2 when the queue pair that has bound them goes to RESET. */
enum reset_of_windows { RESET_IS_UNKNOWN, RESET_ENDS_WINDOWS, RESET_KEEPS_WINDOWS };

/* The memory windows of a context (memory_windows.h); all of it under the lock. */
struct window_set {
	pthread_mutex_t lock;
	TAILQ_HEAD(, memory_window) list;
	struct number_table
	        numbers;            /* virtual, to windows; to NULL: was one's, peers may know it */
	struct number_table places; /* real, to windows */
	bool any_of_type_2;         /* there has been one: receives may invalidate */
	bool renewed_by_posts;      /* the provider sets the keys of type 2; atomic */
	enum reset_of_windows reset; /* of the device */
};

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

enum region_kind { REGION_PLAIN, REGION_IOVA };

struct memory_region {
	struct ibv_mr shown;
	struct ibv_mr *real;
	enum region_kind kind;
	uint64_t iova;
	unsigned access;
	TAILQ_ENTRY(memory_region) link;
};

/* A bind, in the application's terms. */
struct window_binding {
	struct memory_region *mr; /* NULL: to nothing */
	uint64_t addr, length;
	unsigned access;
	uint32_t rkey;         /* that the window has by it */
	struct queue_pair *qp; /* of type 2: it alone lets peers in */
};

struct memory_window {
	struct ibv_mw shown;
	struct ibv_mw *real;
	uint32_t number;      /* the upper 24 bits of its keys, virtual */
	uint8_t tag_shift;    /* what its real keys have more in their lower 8 bits */
	bool lapsed;          /* @bound, but not on the device: to be bound again */
	bool rebuilt;         /* peers translate its number */
	bool renewed_by_post; /* type 2: the provider has set its key; inside the send gate */
	bool ended_early;     /* of a bind whose completion is still to come: */
	uint32_t early_rkey;  /* a peer has invalidated it */
	struct window_binding bound; /* as of the last bind that has completed */
	uint32_t rkey;               /* of that one, also where it was invalidated since */
	TAILQ_ENTRY(memory_window) link;
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

/* Who is at the other end of a connection, as the application knows it (remote_place.h). */
struct remote {
	uint32_t lid; /* or the name of the GID (notifier/wire/gid_name.h) */
	union ibv_gid gid;
	bool by_gid; /* a global route */
	uint32_t qpn;
	uint32_t real_qpn, real_lid; /* now */
	union ibv_gid real_gid;
	int unreachable;          /* an errno: nobody can say where it is; 0 */
	struct remote_keys *keys; /* NULL: never moved, nothing is translated */
};

struct address_handle {
	struct ibv_ah shown;
	struct ibv_ah *real; /* address_route.h */
	struct ibv_ah_attr attr;
	struct address_route *routes; /* real ones that lead elsewhere, besides */
	uint32_t at;                  /* where @real leads: a LID, or the name of a GID */
	bool is_astray;               /* not there: nothing is sent by it to anybody */
	uint64_t tried_ms;            /* to have it lead there; atomic */
	unsigned followed;            /* so many turns of @numbers */
	struct address_next {
		bool is_due;
		struct ibv_ah *real;
		struct address_route *routes;
		uint32_t at;
	} next;
	struct remote to;                        /* without a queue pair */
	uint32_t own;                            /* name of the source's GID; 0: it has a LID */
	struct datagram_numbers *numbers;        /* of what is reached by it; NULL: a group */
	bool is_named;                           /* by open work; of an orphan */
	TAILQ_ENTRY(address_handle) orphan_link; /* destroyed by the application */
	TAILQ_ENTRY(address_handle) link;
};

/* Where a migration stands with one queue pair; the service thread's. Pollers look at it inside
 * their gates: what these find of errors is not here. */
struct move;
struct queue_pair_migration {
	struct move *move; /* NULL: none */
	/* STOP */
	bool waits_for_completion;
	uint32_t last_signalled; /* drained when this one is complete */
	uint32_t tail_seen;
	uint64_t progress_ms;
	/* SETTLE */
	bool was_in_error;  /* its device had it in ERR before that */
	bool broken;        /* taken to ERR by this library */
	uint32_t rq_psn;    /* our responder's when it stopped, or PSN_UNKNOWN */
	uint32_t sq_psn;    /* our requester's, likewise */
	uint32_t fresh_psn; /* our first of the next incarnation */
	/* the other side's word: RELEASE, or RECONNECT after an abort */
	bool has_evidence;
	bool remote_has_failed; /* in ERR for its application: nothing is replayed there */
	uint32_t remote_rq_psn;
	uint32_t remote_receives; /* RECVs that have completed there */
	uint32_t implied_receives;
	bool lost;    /* ends with an error */
	bool settled; /* fates are decided */
	bool renewed; /* another incarnation is there, in INIT */
	bool connected;
	bool unreached; /* not yet: its other end could not be found */
	/* RECONNECT: memory windows (window_binding.h) */
	uint32_t rebinding; /* binds with the device */
	bool rebinding_failed;
	bool sends_already; /* in RTS for them, before RESUME */
};

/* The last datagram at an Ethernet port: what is known of its ends (datagram_headers.h). */
struct heard_before {
	uint32_t incarnation;                   /* of the send log: 0: none was heard */
	uint32_t own;                           /* name of the GID to which it came; 0: a group */
	union ibv_gid from, to, shown;          /* @shown: in place of @to, or that */
	const struct datagram_numbers *numbers; /* of @from; NULL: there are none */
};

enum awaits { AWAITS_NOTHING, AWAITS_WORD, AWAITS_PEER };

struct queue_pair {
	struct ibv_qp_ex shown;
	struct ibv_qp *real;
	struct gate build_gate; /* from ibv_wr_start on: who has it is the application, for as long
	                           as it likes, so no step and no control verb ever takes it */
	struct gate send_gate, receive_gate;
	bool reliable;          /* RC, XRC: replayed exactly once; others are never replayed */
	bool datagrams;         /* UD: each work request names its address */
	bool looks_at_receives; /* UD, or a peer may have invalidated a memory window */
	bool has_headers;       /* UD at an Ethernet port: they say who has sent a datagram */
	bool is_target;         /* of XRC: see xrc_domain */
	bool held;              /* stopped: sends go to the log only; atomic */
	bool receives_held;
	bool application_error;      /* in ERR for the application, or by it */
	bool flushed;                /* the device has begun to give back unfinished work */
	enum ibv_wc_status given_up; /* by its own transport, not told; 0: not. In send_cq's gate */
	bool receives_flushed;       /* a RECV was given back, not shown. In recv_cq's gate */
	bool last_wqe_told;          /* IBV_EVENT_QP_LAST_WQE_REACHED, since it is in ERR; atomic */
	bool made_up_due;            /* counted in send_cq->made_up_due */
	enum awaits awaits;          /* an error is not told before; atomic (kept_errors.h) */
	unsigned doubted_until;      /* so many answers of its device; atomic */
	uint64_t misses_until_ms;
	bool half_made; /* of a rebuild that failed; the device has not let it go yet */
	bool has_ex;    /* made with send_ops_flags */
	bool announced; /* the agent knows which context it is of */
	struct send_log sends;
	struct receive_log receives;
	struct datagram_counts sent;     /* of UD; inside the send gate */
	struct datagram_counts received; /* of UD; inside recv_cq's gate, as is */
	struct heard_before heard_before;
	uint32_t given_rq_psn;        /* that its responder began with, at RTR */
	uint32_t receives_done;       /* successful, of this incarnation; inside recv_cq's gate */
	struct ibv_sge *scratch_sges; /* translated, for POST_CHUNK work requests */
	struct ibv_sge *scratch_receive_sges;
	struct context *context;
	struct completion_queue *send_cq, *recv_cq;
	struct shared_receive_queue *srq;
	struct xrc_domain *xrc_domain; /* of an XRC target; then the queues are none */
	struct ibv_qp_init_attr init;
	struct ibv_qp_attr attr; /* as modified so far, in the application's numbers */
	int attr_mask;
	union ibv_gid gid; /* its source on an Ethernet port, by which its other end knows it */
	struct remote remote;
	struct datagram_numbers *srq_numbers; /* there, if this is an XRC sender */
	bool sq_psn_agreed; /* connected anew before the application named its first PSN */
	bool ece_set;
	unsigned group_count; /* of groups; read by pollers */
	TAILQ_HEAD(, multicast_group) groups;
	unsigned events_shown;
	struct queue_pair_migration migration;
	/* Between ibv_wr_start and ibv_wr_complete; inside the build gate. */
	enum gate_pass ex_pass;
	uint32_t ex_count;
	struct send_slot *ex_slot;
	int ex_error; /* an errno; or EX_HAS_LOCAL_WORK */
	TAILQ_ENTRY(queue_pair) domain_link;
	TAILQ_ENTRY(queue_pair) link;
};

enum { POST_CHUNK = 16, EX_HAS_LOCAL_WORK = -1 };

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
