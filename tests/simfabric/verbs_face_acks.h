/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Acknowledgement of events, as libibverbs counts it in the objects themselves; who destroys one
 * waits for it. For everything that stands in for libibverbs.
 */
#ifndef SIMFABRIC_VERBS_FACE_ACKS_H
#define SIMFABRIC_VERBS_FACE_ACKS_H

#include <infiniband/verbs.h>
#include <pthread.h>
#include <stdint.h>

void events_acknowledge(
        pthread_mutex_t *mutex, pthread_cond_t *changed, uint32_t *completed, unsigned count);

enum event_owner { OWNER_IS_DEVICE, OWNER_IS_CQ, OWNER_IS_QP, OWNER_IS_SRQ };

/* Whose event it is, by ibv_get_async_event(3): that object counts it. */
enum event_owner async_event_owner(const struct ibv_async_event *event);
/* Its owner's, if that is an object. */
void async_event_acknowledge(const struct ibv_async_event *event);

#endif
