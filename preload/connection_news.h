/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Events that this library makes: what happens to a connection whose kernel's ids are cut. The
 * program polls its channel's descriptor, which is the kernel's, so each event is rung for there:
 * by an id of this library's own whose address is resolved, which the kernel tells of. When that
 * comes the event is given in its place. So the descriptor is readable as often as there is
 * something. Under the lock of connection_manager.h, but for _of.
 */
#ifndef TETHER_CONNECTION_NEWS_H
#define TETHER_CONNECTION_NEWS_H

#include "preload/connection_manager.h"

/* @id's next event is @what. Logs what goes wrong. */
void connection_news_raise(struct rdma_cm_id *id, enum rdma_cm_event_type what, int status);

/* The kernel's event is one of this library's ids. */
bool connection_news_is_bell(const struct rdma_cm_id *id);
/* Its event, given to the program; the bell is done with. NULL: nobody waits for it any more. */
struct rdma_cm_event *connection_news_take(struct rdma_cm_id *bell, struct rdma_cm_event *rang);
/* One that nothing could be made to ring for, at @channel; NULL: none. */
struct rdma_cm_event *connection_news_unrung(const struct rdma_event_channel *channel);

/* True: the event was one of these, and is acknowledged. */
bool connection_news_acknowledge(struct rdma_cm_event *event);

/* @id is about to go: what it was not given it is not given, and what it was has to be acknowledged
 * before. Waits, without the lock meanwhile. */
void connection_news_end(struct rdma_cm_id *id);
/* It has another channel now. Waits likewise. */
void connection_news_move(struct rdma_cm_id *id);
/* Likewise @channel; its ids are gone. */
void connection_news_close(const struct rdma_event_channel *channel);

/* In a child after fork. */
void connection_news_forget(void);

#endif
