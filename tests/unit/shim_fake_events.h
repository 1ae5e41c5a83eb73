/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Events of the fake HCA: completion channels and armed completion queues, asynchronous events. As
 * libibverbs and the kernel have them: what is destroyed takes its unread events with it, and waits
 * for the acknowledgement of those that were got. Everything but reading under fake_lock.
 */
#ifndef TEST_SHIM_FAKE_EVENTS_H
#define TEST_SHIM_FAKE_EVENTS_H

#include <infiniband/verbs.h>
#include <pthread.h>
#include <stdbool.h>

/* Of everything of the HCA; a post may execute, so it is taken again inside. */
extern pthread_mutex_t fake_lock;

struct ibv_comp_channel *fake_create_comp_channel(struct ibv_context *context);
int fake_destroy_comp_channel(struct ibv_comp_channel *channel);
int fake_get_cq_event(struct ibv_comp_channel *channel, struct ibv_cq **cq, void **cq_context);
void fake_ack_cq_events(struct ibv_cq *cq, unsigned count);
int fake_get_async_event(struct ibv_context *context, struct ibv_async_event *event);
void fake_ack_async_event(struct ibv_async_event *event);

/* An event that the queue's completion raises, if it is armed for it. */
enum fake_arm { FAKE_NOT_ARMED, FAKE_ARMED_SOLICITED, FAKE_ARMED_ALL };
void fake_completion_event(struct ibv_cq *cq, enum fake_arm *arm, bool solicited);
/* What fake.delays_events has held back comes. */
void fake_delayed_events(void);
/* The context's, about whatever the event names: a real object. */
void fake_async_event(struct ibv_context *context, struct ibv_async_event event);

/* The object is being destroyed; without the lock. @other: of its other kind of events, or NULL. */
void fake_forget_events(const void *object, pthread_mutex_t *mutex, pthread_cond_t *changed,
        const uint32_t *completed, const uint32_t *other);
/* A context or channel is. */
void fake_forget_reader(const void *reader);
/* How many events of all kinds have been raised and not read. */
unsigned fake_unread_events(void);

#endif
