/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* The real objects of a VM's contexts go, at RELEASE and where there is no device at the end. */
#include "preload/rebuild_state.h"

#include "notifier/base/log.h"
#include "preload/address_handle.h"
#include "preload/address_route.h"
#include "preload/async_events.h"
#include "preload/completion_channel.h"
#include "preload/completion_queue.h"
#include "preload/completions.h"
#include "preload/device.h"
#include "preload/device_clock.h"
#include "preload/drain.h"
#include "preload/kept_errors.h"
#include "preload/memory_windows.h"
#include "preload/multicast.h"
#include "preload/queue_pair.h"
#include "preload/shared_receive_queue.h"
#include "preload/xrc.h"

int queue_pair_destroy_real(struct queue_pair *qp)
{
	uint32_t number = qp->real->qp_num;
	int err = unless_gone(qp->context, -below.ibv_destroy_qp(qp->real));

	if (err)
		return err;
	queue_pair_delist(qp, number);
	qp->real = NULL;
	qp->half_made = false;
	return 0;
}

/* It may not be destroyed as long as it is in a group. */
static int leave_and_destroy(struct queue_pair *qp)
{
	int err = unless_gone(qp->context, multicast_leave(qp));

	if (err)
		return err;
	err = queue_pair_destroy_real(qp);
	if (err)
		multicast_join(qp);
	return err;
}

static int queue_pair_tear_down(struct queue_pair *qp)
{
	int err = 0;

	queue_pair_close(qp);
	queue_pair_harvest(qp);
	if (qp->real) {
		err = qp->half_made ? queue_pair_destroy_real(qp) : leave_and_destroy(qp);
		/* What is open is to be settled yet, by the numbers that it has. */
		if (!err && !qp->context->awaits_device)
			queue_pair_begin_incarnation(qp);
	}
	queue_pair_hold(qp);
	queue_pair_hold_receives(qp);
	queue_pair_open(qp);
	return err;
}

static int shared_queue_tear_down(struct shared_receive_queue *srq)
{
	int err = 0;

	if (srq->domain) {
		gate_close(&srq->cq->gate);
		completion_queue_harvest(srq->cq);
	}
	gate_close(&srq->gate);
	if (srq->real)
		err = unless_gone(srq->context, -below.ibv_destroy_srq(srq->real));
	if (!err) {
		srq->real = NULL;
		srq->held = true;
		err = shared_receive_queue_restart(srq);
	}
	gate_open(&srq->gate);
	if (srq->domain)
		gate_open(&srq->cq->gate);
	return err;
}

#define TEAR_DOWN_EACH(type, list, how)                                                            \
	EACH_OBJECT(type, object, list)                                                            \
	{                                                                                          \
		if (!err)                                                                          \
			err = how(object);                                                         \
	}
#define DESTROY_EACH(type, list, verb)                                                             \
	EACH_OBJECT(type, object, list)                                                            \
	{                                                                                          \
		if (!err && object->real)                                                          \
			err = unless_gone(context, -below.verb(object->real));                     \
		if (!err)                                                                          \
			object->real = NULL;                                                       \
	}

static int context_tear_down(struct context *context)
{
	int err = 0;

	async_events_take_over(context);
	context->hides_events = true;
	/* What they need nobody asks of the next device. */
	address_handles_reap(context);
	TEAR_DOWN_EACH(queue_pair, qps, queue_pair_tear_down);
	TEAR_DOWN_EACH(shared_receive_queue, srqs, shared_queue_tear_down);
	TEAR_DOWN_EACH(xrc_domain, xrc_domains, xrc_domain_tear_down);
	EACH_OBJECT(completion_channel, channel, channels)
	completion_channel_take_over(channel);
	if (!err)
		context_clock_depart(context);
	TEAR_DOWN_EACH(completion_queue, cqs, completion_queue_tear_down);
	TEAR_DOWN_EACH(completion_channel, channels, completion_channel_tear_down);
	TEAR_DOWN_EACH(address_handle, ahs, address_route_tear_down);
	if (!err)
		err = memory_windows_tear_down(context);
	DESTROY_EACH(memory_region, mrs, ibv_dereg_mr);
	DESTROY_EACH(protection_domain, pds, ibv_dealloc_pd);
	if (!err && context->real)
		context_close_real(context);
	if (err)
		log_error("rebuild", "%s: not torn down: error %d", context->device->shown.name,
		        -err);
	return err;
}

#define IS_ANY_MISSING(type, list)                                                                 \
	EACH_OBJECT(type, object, list)                                                            \
	missing |= !object->real

static bool is_whole(const struct context *context)
{
	bool missing = !context->real || context->is_gone || !memory_windows_are_whole(context);

	IS_ANY_MISSING(protection_domain, pds);
	IS_ANY_MISSING(memory_region, mrs);
	IS_ANY_MISSING(address_handle, ahs);
	IS_ANY_MISSING(completion_channel, channels);
	IS_ANY_MISSING(completion_queue, cqs);
	IS_ANY_MISSING(xrc_domain, xrc_domains);
	IS_ANY_MISSING(shared_receive_queue, srqs);
	EACH_OBJECT(queue_pair, qp, qps)
	missing |= !queue_pair_is_made(qp);
	return !missing;
}

bool rebuild_is_whole(const struct move *move)
{
	const struct context *context;
	bool whole = true;

	EACH_MOVING(move, context)
	whole &= is_whole(context);
	return whole;
}

/* As of a device that was pulled out. */
static void tell_that_it_is_lost(struct context *context)
{
	if (!context->fatal_told)
		async_events_raise(
		        context, &(struct ibv_async_event){.event_type = IBV_EVENT_DEVICE_FATAL});
	context->fatal_told = true;
}

static void flush(struct queue_pair *qp)
{
	queue_pair_close(qp);
	queue_pair_flush(qp, IBV_WC_WR_FLUSH_ERR);
	queue_pair_open(qp);
}

/* Those of a lost context that the move did not concern, which have no end of their own. */
static void flush_bystanders(struct context *context, const struct move *move)
{
	EACH_OBJECT(queue_pair, qp, qps)
	{
		if (qp->migration.move != move)
			flush(qp);
	}
}

/* What its device gives back from here on is of the loss; that is what it waits for now. */
static void hold(struct queue_pair *qp)
{
	queue_pair_close(qp);
	queue_pair_hold(qp);
	queue_pair_hold_receives(qp);
	kept_error_is_over(qp);
	queue_pair_open(qp);
}

void rebuild_await_device(struct context *context)
{
	EACH_OBJECT(queue_pair, qp, qps)
	hold(qp);
	context->awaits_device = true;
	context->phase = PHASE_AWAY;
	context_tear_down(context);
}

static void begin_incarnation(struct queue_pair *qp)
{
	queue_pair_close(qp);
	queue_pair_begin_incarnation(qp);
	queue_pair_open(qp);
}

/* All is settled now. */
static void context_has_waited(struct context *context)
{
	if (!context->awaits_device)
		return;
	EACH_OBJECT(queue_pair, qp, qps)
	begin_incarnation(qp);
	context->awaits_device = false;
}

/* What it had completed is taken first. Who hears that it is lost finds all the rest flushed. */
void rebuild_lose(struct context *context)
{
	context->phase = PHASE_LOST;
	context_tear_down(context);
	context->awaits_device = false;
	EACH_OBJECT(queue_pair, qp, qps)
	flush(qp);
	tell_that_it_is_lost(context);
	context->hides_events = false;
}

void rebuild_end(struct move *move)
{
	struct context *context;

	move_set_phase(move, PHASE_RUNNING);
	EACH_MOVING(move, context)
	{
		if (!is_whole(context)) {
			context->phase = PHASE_LOST;
			context_tear_down(context);
			context->awaits_device = false;
			tell_that_it_is_lost(context);
			flush_bystanders(context, move);
		}
		context->hides_events = false;
	}
}

int rebuild_tear_down(struct move *move)
{
	struct context *context;
	int err = 0;

	move_set_phase(move, PHASE_AWAY);
	EACH_MOVING(move, context)
	{
		if (!err)
			err = context_tear_down(context);
		if (!err)
			context_has_waited(context);
	}
	return err;
}
