/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "simfabric/verbs_face_acks.h"

void events_acknowledge(
        pthread_mutex_t *mutex, pthread_cond_t *changed, uint32_t *completed, unsigned count)
{
	pthread_mutex_lock(mutex);
	*completed += count;
	pthread_cond_broadcast(changed);
	pthread_mutex_unlock(mutex);
}

enum event_owner async_event_owner(const struct ibv_async_event *event)
{
	switch (event->event_type) {
	case IBV_EVENT_CQ_ERR:
		return OWNER_IS_CQ;
	case IBV_EVENT_QP_FATAL:
	case IBV_EVENT_QP_REQ_ERR:
	case IBV_EVENT_QP_ACCESS_ERR:
	case IBV_EVENT_COMM_EST:
	case IBV_EVENT_SQ_DRAINED:
	case IBV_EVENT_PATH_MIG:
	case IBV_EVENT_PATH_MIG_ERR:
	case IBV_EVENT_QP_LAST_WQE_REACHED:
		return OWNER_IS_QP;
	case IBV_EVENT_SRQ_ERR:
	case IBV_EVENT_SRQ_LIMIT_REACHED:
		return OWNER_IS_SRQ;
	default:
		return OWNER_IS_DEVICE;
	}
}

void async_event_acknowledge(const struct ibv_async_event *event)
{
	struct ibv_cq *cq = event->element.cq;
	struct ibv_qp *qp = event->element.qp;
	struct ibv_srq *srq = event->element.srq;

	switch (async_event_owner(event)) {
	case OWNER_IS_CQ:
		events_acknowledge(&cq->mutex, &cq->cond, &cq->async_events_completed, 1);
		break;
	case OWNER_IS_QP:
		events_acknowledge(&qp->mutex, &qp->cond, &qp->events_completed, 1);
		break;
	case OWNER_IS_SRQ:
		events_acknowledge(&srq->mutex, &srq->cond, &srq->events_completed, 1);
		break;
	case OWNER_IS_DEVICE:
		break;
	}
}
