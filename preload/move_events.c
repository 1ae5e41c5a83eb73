/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "preload/move_events.h"

#include "notifier/base/log.h"
#include "preload/async_events.h"
#include "preload/completion_channel.h"

static bool is_concerned(const struct move *move, const struct context *context)
{
	const struct queue_pair *qp;
	bool concerned = move_has_context(move, context);

	TAILQ_FOREACH(qp, &context->qps, link)
	concerned |= qp->migration.move == move;
	return concerned;
}

#define EACH_CONCERNED_CONTEXT(move_, context)                                                     \
	TAILQ_FOREACH(context, &contexts, link)                                                    \
	if (is_concerned(move_, context))

bool move_events_are_sifted(struct move *move)
{
	struct completion_queue *cq;
	struct context *context;
	bool sifted = true;

	EACH_CONCERNED_CONTEXT(move, context)
	TAILQ_FOREACH(cq, &context->cqs, link)
	{
		if (!cq->channel)
			continue;
		gate_close(&cq->gate);
		sifted &= completion_arm_sift(cq);
		gate_open(&cq->gate);
	}
	return sifted;
}

void move_events_take_over(struct move *move)
{
	struct completion_channel *channel;
	struct context *context;

	EACH_CONCERNED_CONTEXT(move, context)
	{
		async_events_take_over(context);
		TAILQ_FOREACH(channel, &context->channels, link)
		completion_channel_take_over(channel);
	}
}

static void give_back(struct context *context)
{
	struct completion_channel *channel;
	int err = 0;

	if (!context->hides_events && context->real)
		err = async_events_attach(context);
	TAILQ_FOREACH(channel, &context->channels, link)
	{
		if (!err)
			err = completion_channel_give_back(channel);
	}
	if (err)
		log_error("events", "what the device tells is not seen any more: error %d", -err);
}

void move_events_give_back(void)
{
	struct context *context;

	TAILQ_FOREACH(context, &contexts, link)
	give_back(context);
}
