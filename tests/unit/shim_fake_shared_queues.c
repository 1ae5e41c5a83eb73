/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "tests/unit/shim_fake_loss.h"
#include "tests/unit/shim_fake_shared_queues.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "notifier/base/cleanup.h"
#include "tests/unit/shim_fake_events.h"
#include "tests/unit/shim_fake_hca.h"
#include "tests/unit/shim_fake_memory.h"

struct fake_xrcd {
	struct ibv_xrcd xrcd;
};

struct fake_srqs fake_srqs = TAILQ_HEAD_INITIALIZER(fake_srqs);

struct ibv_srq *fake_create_srq(struct ibv_pd *pd, struct ibv_srq_init_attr *attr)
{
	struct fake_srq *srq = calloc(1, sizeof(*srq));

	if (fake.makes_no_srqs) {
		free(srq);
		errno = fake.says_not_why ? 0 : ENOMEM;
		return NULL;
	}
	srq->srq.context = pd->context;
	srq->srq.pd = pd;
	srq->srq.srq_context = attr->srq_context;
	pthread_mutex_init(&srq->srq.mutex, NULL);
	pthread_cond_init(&srq->srq.cond, NULL);
	TAILQ_INSERT_TAIL(&fake_srqs, srq, link);
	fake.live_objects++;
	return &srq->srq;
}

int fake_destroy_srq(struct ibv_srq *srq)
{
	fake_forget_events(srq, &srq->mutex, &srq->cond, &srq->events_completed, NULL);
	LOCK_GUARD(&fake_lock);
	TAILQ_REMOVE(&fake_srqs, (struct fake_srq *)srq, link);
	return fake_object_free(srq);
}

struct ibv_xrcd *fake_open_xrcd(struct ibv_context *context, struct ibv_xrcd_init_attr *attr)
{
	struct fake_xrcd *xrcd = calloc(1, sizeof(*xrcd));

	xrcd->xrcd.context = context;
	fake.xrcd_fd = attr->fd;
	fake.xrcd_oflags = attr->oflags;
	fake.live_objects++;
	return &xrcd->xrcd;
}

int fake_close_xrcd(struct ibv_xrcd *xrcd)
{
	return fake_object_free(xrcd);
}

struct ibv_srq *fake_create_srq_ex(struct ibv_context *context, struct ibv_srq_init_attr_ex *attr)
{
	struct ibv_srq_init_attr plain = {attr->srq_context, attr->attr};
	struct fake_srq *srq = (struct fake_srq *)fake_create_srq(attr->pd, &plain);

	LOCK_GUARD(&fake_lock);
	srq->xrcd = attr->xrcd;
	srq->cq = attr->cq;
	srq->number = fake_hca_of(context)->next_number++;
	return &srq->srq;
}

int fake_get_srq_num(struct ibv_srq *srq, uint32_t *number)
{
	*number = ((struct fake_srq *)srq)->number;
	return 0;
}

void fake_check_limit(struct fake_srq *srq)
{
	if (!srq->limit || srq->queue.head - srq->queue.tail >= srq->limit)
		return;
	srq->limit = 0;
	fake_async_event(srq->srq.context, (struct ibv_async_event){.element.srq = &srq->srq,
	                                           .event_type = IBV_EVENT_SRQ_LIMIT_REACHED});
}

int fake_modify_srq(struct ibv_srq *shown, struct ibv_srq_attr *attr, int mask)
{
	struct fake_srq *srq = (struct fake_srq *)shown;

	LOCK_GUARD(&fake_lock);
	if (mask & IBV_SRQ_LIMIT) {
		srq->limit = attr->srq_limit;
		fake_check_limit(srq);
	}
	return 0;
}

int fake_query_srq(struct ibv_srq *srq, struct ibv_srq_attr *attr)
{
	LOCK_GUARD(&fake_lock);
	*attr = (struct ibv_srq_attr){.srq_limit = ((struct fake_srq *)srq)->limit};
	return 0;
}

int fake_post_srq_recv(struct ibv_srq *srq, struct ibv_recv_wr *wr, struct ibv_recv_wr **bad)
{
	*bad = wr;
	if (lost_refuses(srq->context))
		return EIO;
	LOCK_GUARD(&fake_lock);
	for (; wr; wr = wr->next)
		fake_queue_receive(&((struct fake_srq *)srq)->queue, wr);
	return 0;
}
