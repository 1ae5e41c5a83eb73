/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Asynchronous events and completion events. The application polls a descriptor of this library, an
 * epoll instance that holds the real one, so that another can take its place inside. What the
 * application gets is acknowledged to the real object at once, so that no real object waits for the
 * application to be destroyed; the application's own acknowledgements are counted here.
 */
#ifndef TETHER_EVENT_CHANNEL_H
#define TETHER_EVENT_CHANNEL_H

struct completion_queue;
struct context;
struct queue_pair;
struct shared_receive_queue;

/* Put the real context's descriptor into the outer one, made at the first time. -errno. */
int event_channel_attach(struct context *context);
void event_channel_detach(struct context *context);

/* Before an object goes: wait until what the application got of it is acknowledged. */
void event_channel_await_cq(struct completion_queue *cq);
void event_channel_await_qp(struct queue_pair *qp);
void event_channel_await_srq(struct shared_receive_queue *srq);

#endif
