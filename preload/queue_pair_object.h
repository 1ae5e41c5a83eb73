/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * A queue pair, and what its work is addressed to: the other end of a connection, an address
 * handle. Included by objects.h.
 */
#ifndef TETHER_QUEUE_PAIR_OBJECT_H
#define TETHER_QUEUE_PAIR_OBJECT_H

#include <infiniband/verbs.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "preload/datagram_counts.h"
#include "preload/gate.h"
#include "preload/work_log.h"

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

#endif
