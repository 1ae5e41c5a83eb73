/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * The libibverbs face of libsimfabric.so: the objects that applications hold. Each begins with the
 * public structure of verbs.h, laid out exactly, and goes on with what the software HCA needs. The
 * application owns them; the HCA's lock guards what is behind the public part.
 *
 * ENTRY marks a function of libibverbs that is defined here for all programs; its version stands in
 * verbs_face.map. Whoever calls through context->ops or verbs_context gets the same functions.
 */
#ifndef SIMFABRIC_VERBS_FACE_H
#define SIMFABRIC_VERBS_FACE_H

#include <errno.h>
#include <pthread.h>
#include <infiniband/verbs.h>

#include "simfabric/hca.h"

#define ENTRY __attribute__((visibility("default")))

/* A process sees one device at a time. */
#define FACE_DEV_NAME "uverbs0"

struct face_event;

/* What a context must destroy in the HCA when it is closed over it. */
struct face_object {
	struct face_object *next, **link;
	void (*leave_hca)(struct face_object *object);
};

struct face_context {
	struct hca *hca;
	unsigned epoch;
	struct face_object *objects;
	struct face_event *events, **events_end; /* not yet got */
	struct face_context *next;
	struct verbs_context verbs; /* ends with the public part */
};

struct face_pd {
	struct ibv_pd pd;
	struct face_pd
	        *root; /* a parent domain's own PD; else itself. What keys are checked against. */
	unsigned users;
};

struct face_mr {
	struct ibv_mr mr;
	struct face_object object;
	struct memory_region region;
};

struct face_mw {
	struct ibv_mw mw;
	struct face_object object;
	struct memory_window window;
};

struct face_channel {
	struct ibv_comp_channel channel;
	struct face_event *events, **events_end;
};

struct face_cq {
	union {
		struct ibv_cq cq;
		struct ibv_cq_ex cq_ex;
	};
	struct face_object object;
	struct hca_completion_queue hca;
	struct face_pd *parent_domain;
	unsigned users;
	struct {
		/* start_poll to end_poll, and ibv_poll_cq: one at a time. Before the HCA's lock. */
		bool is_locked;
		pthread_mutex_t lock;
		struct ibv_wc wc;
		uint64_t completed_ns;
	} batch; /* of one that was made by ibv_create_cq_ex */
	unsigned completion_events_got, async_events_got;
};

struct face_xrc_domain;

struct face_xrcd {
	struct ibv_xrcd xrcd;
	struct face_object object;
	struct face_xrc_domain *domain;
	unsigned users;
};

struct face_srq {
	struct ibv_srq srq;
	struct face_object object;
	struct hca_shared_queue hca;
	struct face_cq *cq; /* these two of an XRC SRQ */
	struct face_xrcd *xrcd;
	uint32_t limit; /* 0: not armed */
	unsigned users;
	unsigned events_got;
};

struct face_qp {
	union {
		struct ibv_qp qp;
		struct ibv_qp_ex qp_ex;
	};
	struct face_object object;
	struct hca_queue_pair hca;
	struct ibv_qp_init_attr init_attr;
	struct face_xrcd *xrcd; /* of an XRC target */
	/* Whose transport this handle stands for: its own, or with ibv_open_qp another's. */
	struct face_qp *target;
	struct face_qp *handles, *next_handle; /* that stand for this one and are open */
	unsigned holds;                        /* handles that are not freed: atomic */
	bool has_ex;
	unsigned events_got;
	/* ibv_wr_start to ibv_wr_complete, and ibv_post_send: one at a time. Before the HCA's lock.
	 */
	pthread_mutex_t sending;
	struct {
		uint32_t room, count;
		int err;
		struct send_work *work;
	} building;
};

static inline struct face_context *face_context(struct ibv_context *context)
{
	return (struct face_context *)(void *)((char *)context -
	                                       offsetof(struct face_context, verbs.context));
}

/*
 * Lock the HCA for a call on an object of @context. EIO, and not locked, where its device is gone
 * or it was inherited over fork.
 */
int face_lock(struct ibv_context *context);
/* Lock even so, to take things down; false: inherited, there is nothing behind the object. */
bool face_lock_anyhow(struct ibv_context *context);

void face_object_add(struct face_context *context, struct face_object *object,
        void (*leave_hca)(struct face_object *object));
void face_object_remove(struct face_object *object);

/* An asynchronous event for a context, or for one of its objects. Under the lock. */
void face_raise(struct face_context *context, const struct ibv_async_event *event);
/* Take back what was raised for @element and not got. Under the lock. */
void face_unraise(struct face_context *context, const void *element);
/* A completion event. Under the lock. */
void face_raise_completion(struct completion_queue *queue);

void face_unraise_completions(struct face_cq *cq);
/* Not yet known to the HCA; 0 or an errno. */
int face_make_cq(
        struct ibv_context *context, const struct ibv_cq_init_attr_ex *attr, struct face_cq **made);
int face_enter_cq(struct face_cq *cq);
/* As ibv_poll_cq; and when the last of them was completed. */
int face_poll(struct face_cq *cq, int num_entries, struct ibv_wc *wc, uint64_t *completed_ns);
/* Until every event that was got has been acknowledged; without the lock. */
void face_wait_acknowledged(
        pthread_mutex_t *mutex, pthread_cond_t *cond, const uint32_t *completed, unsigned got);
/* Receives were taken: raise the limit event if it is due. Under the lock. */
void face_srq_check_limit(struct face_srq *srq);

struct face_qp *face_make_qp(struct ibv_context *context, const struct ibv_qp_init_attr_ex *attr);
/* From now on @qp stands for @target, which may be itself. Under the lock. */
void face_open_handle(struct face_qp *qp, struct face_qp *target);

/* Fill the tables through which inline verbs of verbs.h call. */
void face_fill_operations(struct verbs_context *verbs);

/* ---- behind those tables ---- */

int face_query_port(struct ibv_context *context, uint8_t port_num, struct ibv_port_attr *attr,
        size_t attr_bytes);
int face_query_device_ex(struct ibv_context *context, const struct ibv_query_device_ex_input *input,
        struct ibv_device_attr_ex *attr, size_t attr_size);
int face_poll_cq(struct ibv_cq *cq, int num_entries, struct ibv_wc *wc);
struct ibv_cq_ex *face_create_cq_ex(struct ibv_context *context, struct ibv_cq_init_attr_ex *attr);
int face_modify_cq(struct ibv_cq *cq, struct ibv_modify_cq_attr *attr);
int face_query_rt_values(struct ibv_context *context, struct ibv_values_ex *values);
int face_req_notify_cq(struct ibv_cq *cq, int solicited_only);
int face_post_send(struct ibv_qp *qp, struct ibv_send_wr *wr, struct ibv_send_wr **bad_wr);
int face_post_recv(struct ibv_qp *qp, struct ibv_recv_wr *wr, struct ibv_recv_wr **bad_wr);
int face_post_srq_recv(struct ibv_srq *srq, struct ibv_recv_wr *wr, struct ibv_recv_wr **bad_wr);
struct ibv_qp *face_create_qp_ex(struct ibv_context *context, struct ibv_qp_init_attr_ex *attr);
struct ibv_srq *face_create_srq_ex(struct ibv_context *context, struct ibv_srq_init_attr_ex *attr);
struct ibv_xrcd *face_open_xrcd(struct ibv_context *context, struct ibv_xrcd_init_attr *attr);
int face_close_xrcd(struct ibv_xrcd *xrcd);
struct ibv_qp *face_open_qp(struct ibv_context *context, struct ibv_qp_open_attr *attr);
int face_get_srq_num(struct ibv_srq *srq, uint32_t *number);
struct ibv_mw *face_alloc_mw(struct ibv_pd *pd, enum ibv_mw_type type);
int face_dealloc_mw(struct ibv_mw *mw);
int face_bind_mw(struct ibv_qp *qp, struct ibv_mw *mw, struct ibv_mw_bind *bind);
struct ibv_td *face_alloc_td(struct ibv_context *context, struct ibv_td_init_attr *attr);
int face_dealloc_td(struct ibv_td *td);
struct ibv_pd *face_alloc_parent_domain(
        struct ibv_context *context, struct ibv_parent_domain_init_attr *attr);
/* The ibv_wr_* functions of a QP made with send_ops_flags. EOPNOTSUPP: one of them is not there. */
int face_fill_wr_operations(struct face_qp *qp, uint64_t send_ops_flags);

#endif
