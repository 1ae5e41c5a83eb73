/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Completion channels. The application's descriptor is an outer one (outer_fd.h); events come from
 * the device's channel behind it, where each is judged when it is read (completion_arm.h), or are
 * raised here, where no device tells.
 *
 * A queue that has events stands in its channel's list, under the channel's lock, the innermost
 * one: taken inside gates, with signals kept out, since a handler may post.
 */
#ifndef TETHER_COMPLETION_CHANNEL_H
#define TETHER_COMPLETION_CHANNEL_H

#include "preload/objects.h"

/* @cq->channel, which may be NULL, counts the queue. Where it parts, its unread events are dropped,
 * those that were got are waited for: after the real queue is gone, without locks. */
void completion_channel_join(struct completion_queue *cq);
void completion_channel_part(struct completion_queue *cq);

/* An event for the application. Inside the queue's gate. */
void completion_channel_raise(struct completion_queue *cq);
/* Read what the device's channel has. True: an event of @cq was there, and is the application's. */
bool completion_channel_collect(struct completion_queue *cq);
/* True: there was one that nobody has judged. */
bool completion_channel_forget_unjudged(struct completion_queue *cq);

/*
 * The rest is the service thread's, with control verbs kept out and no gate closed.
 *
 * Take over from the application: what comes from now on is judged here, so that its descriptor
 * does not show what is none of its business. Repeated, it judges what has come meanwhile.
 */
void completion_channel_take_over(struct completion_channel *channel);
int completion_channel_give_back(struct completion_channel *channel); /* -errno */

/* Away with the real one, whose queues are gone, and another one; -errno. */
int completion_channel_tear_down(struct completion_channel *channel);
int completion_channel_rebuild(struct completion_channel *channel);

/* In a child after fork. */
void completion_channels_inherit(struct context *context);

#endif
