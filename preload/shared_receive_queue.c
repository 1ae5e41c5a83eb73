/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "preload/shared_receive_queue.h"

#include <errno.h>
#include <stdlib.h>

#include "notifier/base/cleanup.h"
#include "notifier/base/log.h"
#include "preload/async_events.h"
#include "preload/control.h"
#include "preload/data_path.h"
#include "preload/lost_devices.h"
#include "preload/users.h"
#include "preload/xrc.h"

static struct ibv_srq *create_real(struct shared_receive_queue *srq, struct ibv_srq_init_attr *attr)
{
	*attr = srq->attr;
	attr->srq_context = srq;
	if (srq->domain)
		return xrc_create_real_srq(srq, attr);
	return below.ibv_create_srq(protection_domain_of(srq->shown.pd)->real, attr);
}

static void shared_receive_queue_free(struct shared_receive_queue *srq)
{
	shared_log_fini(&srq->log);
	free(srq->scratch);
	free(srq->scratch_sges);
	gate_fini(&srq->gate);
	pthread_mutex_destroy(&srq->shown.mutex);
	pthread_cond_destroy(&srq->shown.cond);
	free(srq);
}

static int build(struct shared_receive_queue *srq)
{
	struct ibv_srq_init_attr attr;

	srq->real = create_real(srq, &attr);
	if (!srq->real)
		return below_error();
	srq->attr.attr.max_wr = attr.attr.max_wr;
	srq->attr.attr.max_sge = attr.attr.max_sge;
	if (shared_log_init(&srq->log, attr.attr.max_wr, attr.attr.max_sge)) {
		below.ibv_destroy_srq(srq->real);
		return -ENOMEM;
	}
	srq->scratch = calloc(attr.attr.max_wr + 1u, sizeof(*srq->scratch));
	srq->scratch_sges = calloc(attr.attr.max_sge + 1u, sizeof(*srq->scratch_sges));
	srq->shown.handle = srq->real->handle;
	gate_init(&srq->gate);
	pthread_mutex_init(&srq->shown.mutex, NULL);
	pthread_cond_init(&srq->shown.cond, NULL);
	if (srq->scratch && srq->scratch_sges)
		return 0;
	below.ibv_destroy_srq(srq->real);
	free(srq->scratch);
	free(srq->scratch_sges);
	shared_log_fini(&srq->log);
	return -ENOMEM;
}

static void count_as_user(struct shared_receive_queue *srq, int by)
{
	LOCK_GUARD(&srq->context->lists_lock);
	users_add((struct used){.recv_cq = srq->cq, .domain = srq->domain}, by);
}

static int join_domain(struct shared_receive_queue *srq)
{
	int err = xrc_enlist_srq(srq);

	if (err) {
		below.ibv_destroy_srq(srq->real);
		return err;
	}
	srq->is_numbered = true;
	count_as_user(srq, 1);
	return 0;
}

static void leave_domain(struct shared_receive_queue *srq)
{
	xrc_delist_srq(srq);
	count_as_user(srq, -1);
}

/* Failing, it leaves nothing. */
static int create(struct shared_receive_queue *srq)
{
	int err = -control_enter(srq->context, NEEDS_DEVICE);
	bool is_built;

	if (err) {
		free(srq);
		return err;
	}
	err = build(srq);
	is_built = !err;
	if (!err && srq->domain)
		err = join_domain(srq);
	if (!err)
		OBJECT_ADD(srq->context, srqs, srq);
	control_leave();
	if (err && is_built)
		shared_receive_queue_free(srq);
	else if (err)
		free(srq);
	return err;
}

struct shared_receive_queue *shared_receive_queue_create(struct ibv_pd *pd,
        struct ibv_srq_init_attr *attr, struct xrc_domain *domain, struct completion_queue *cq)
{
	struct shared_receive_queue *srq = calloc(1, sizeof(*srq));
	int err;

	if (!srq)
		return NULL;
	srq->context = context_of(pd->context);
	srq->attr = *attr;
	srq->domain = domain;
	srq->cq = cq;
	srq->shown.context = pd->context;
	srq->shown.srq_context = attr->srq_context;
	srq->shown.pd = pd;
	err = create(srq);
	if (err) {
		errno = -err;
		return NULL;
	}
	attr->attr = srq->attr.attr;
	return srq;
}

WRAPPER struct ibv_srq *ibv_create_srq(struct ibv_pd *pd, struct ibv_srq_init_attr *attr)
{
	struct shared_receive_queue *srq;

	if (!protection_domain_of(pd))
		return below.ibv_create_srq(pd, attr);
	srq = shared_receive_queue_create(pd, attr, NULL, NULL);
	return srq ? &srq->shown : NULL;
}

/* Armed again, an event of before is not its own. Without a device it is armed when there is one.
 */
static int set_limit(struct shared_receive_queue *srq, struct ibv_srq_attr *attr)
{
	int err = 0;

	if (attr->srq_limit > srq->attr.attr.max_wr)
		return EINVAL;
	if (__atomic_load_n(&srq->limit, __ATOMIC_RELAXED))
		async_events_collect(srq->context);
	__atomic_store_n(&srq->limit, attr->srq_limit, __ATOMIC_RELAXED);
	if (srq->real)
		err = below.ibv_modify_srq(srq->real, attr, IBV_SRQ_LIMIT);
	if (err)
		__atomic_store_n(&srq->limit, 0, __ATOMIC_RELAXED);
	return err;
}

/* Its size is the size of its log: IBV_DEVICE_SRQ_RESIZE is not offered. */
WRAPPER int ibv_modify_srq(struct ibv_srq *shown, struct ibv_srq_attr *attr, int mask)
{
	struct shared_receive_queue *srq = shared_receive_queue_of(shown);
	int err;

	if (!srq)
		return below.ibv_modify_srq(shown, attr, mask);
	if (mask & IBV_SRQ_MAX_WR)
		return EOPNOTSUPP;
	err = control_enter(srq->context, mask == IBV_SRQ_LIMIT ? NEEDS_NOTHING : NEEDS_DEVICE);
	if (err)
		return err;
	if (mask & IBV_SRQ_LIMIT)
		err = set_limit(srq, attr);
	else
		err = below.ibv_modify_srq(srq->real, attr, mask);
	control_leave();
	return err;
}

WRAPPER int ibv_query_srq(struct ibv_srq *shown, struct ibv_srq_attr *attr)
{
	struct shared_receive_queue *srq = shared_receive_queue_of(shown);
	int err = 0;

	if (!srq)
		return below.ibv_query_srq(shown, attr);
	control_enter(srq->context, NEEDS_NOTHING);
	*attr = srq->attr.attr;
	attr->srq_limit = __atomic_load_n(&srq->limit, __ATOMIC_RELAXED);
	if (srq->real)
		err = below.ibv_query_srq(srq->real, attr);
	control_leave();
	return err;
}

WRAPPER int ibv_destroy_srq(struct ibv_srq *shown)
{
	struct shared_receive_queue *srq = shared_receive_queue_of(shown);
	int err;

	if (!srq)
		return below.ibv_destroy_srq(shown);
	control_enter(srq->context, NEEDS_NOTHING);
	err = srq->users ? EBUSY : 0;
	if (!err && srq->real)
		err = below.ibv_destroy_srq(srq->real);
	if (!err) {
		OBJECT_REMOVE(srq->context, srqs, srq);
		if (srq->domain)
			leave_domain(srq);
	}
	control_leave();
	if (err)
		return err;
	async_events_await_srq(srq);
	shared_receive_queue_free(srq);
	return 0;
}

int shared_receive_queue_restart(struct shared_receive_queue *srq)
{
	if (srq->domain)
		return xrc_restart_srq(srq);
	srq->log.incarnation = incarnation_after(srq->log.incarnation);
	return 0;
}

int shared_receive_queue_rebuild(struct shared_receive_queue *srq)
{
	struct ibv_srq_init_attr attr;

	srq->real = create_real(srq, &attr);
	if (!srq->real)
		return below_error();
	if (attr.attr.max_wr < srq->log.depth || attr.attr.max_sge < srq->log.max_sge)
		return -ENOSPC;
	return 0;
}

void shared_receive_queue_take_back(struct shared_receive_queue *srq, uint32_t index, bool repost)
{
	enum gate_pass pass = gate_enter(&srq->gate);
	int err = 0;

	shared_log_returned(&srq->log, index);
	/* A signal handler does not post into what it has interrupted: the next one does. */
	if (repost && pass != GATE_NESTED && srq->real && !srq->held)
		err = shared_receive_queue_repost(srq, false);
	gate_leave(&srq->gate, pass);
	if (err && !lost_device_is_behind(srq->context, -err))
		log_error("srq", "a buffer is not posted again: error %d", -err);
}

static int arm_limit(struct shared_receive_queue *srq, uint32_t posted)
{
	uint32_t limit = __atomic_load_n(&srq->limit, __ATOMIC_RELAXED);
	struct ibv_srq_attr attr = {.srq_limit = limit};

	if (!limit)
		return 0;
	if (posted >= limit)
		return -below.ibv_modify_srq(srq->real, &attr, IBV_SRQ_LIMIT);
	/* Some devices tell of it at once, some when the next is taken. */
	__atomic_store_n(&srq->limit, 0, __ATOMIC_RELAXED);
	async_events_raise(srq->context, &(struct ibv_async_event){.element.srq = &srq->shown,
	                                         .event_type = IBV_EVENT_SRQ_LIMIT_REACHED});
	return 0;
}

int shared_receive_queue_repost(struct shared_receive_queue *srq, bool all)
{
	uint32_t count = shared_log_repost(&srq->log, all, srq->scratch), posted;
	int err = -shared_queue_give(srq, srq->scratch, count, &posted);

	for (uint32_t i = posted; i < count; i++)
		shared_log_returned(&srq->log, srq->scratch[i]);
	/* All: of one that was just made. */
	return err || !all ? err : arm_limit(srq, count);
}
