/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* All objects of a VM's contexts are made again, at ATTACH. */
#include "preload/rebuild_state.h"

#include <errno.h>

#include "notifier/base/log.h"
#include "preload/address_handle.h"
#include "preload/address_route.h"
#include "preload/agent_link.h"
#include "preload/completion_channel.h"
#include "preload/completion_queue.h"
#include "preload/completion_stamps.h"
#include "preload/device.h"
#include "preload/device_clock.h"
#include "preload/drain.h"
#include "preload/memory.h"
#include "preload/memory_windows.h"
#include "preload/multicast.h"
#include "preload/places.h"
#include "preload/queue_pair.h"
#include "preload/shared_receive_queue.h"
#include "preload/window_binding.h"
#include "preload/xrc.h"

static bool ports_are_active(const struct context *context)
{
	for (unsigned i = 0; i < context->attr.orig_attr.phys_port_cnt; i++) {
		struct ibv_port_attr now;

		if (context->ports[i].attr.state != IBV_PORT_ACTIVE)
			continue;
		if (___ibv_query_port(context->real, (uint8_t)(i + 1), &now) ||
		        now.state != IBV_PORT_ACTIVE)
			return false;
	}
	return true;
}

int rebuild_open(struct move *move)
{
	struct context *context;
	int err = 0;

	EACH_MOVING(move, context)
	{
		if (err)
			break;
		if (!context->real)
			err = context_open_real(context);
		if (!err && !ports_are_active(context))
			err = -ENODEV;
		if (!err) {
			context_learn_real_lids(context);
			err = port_tables_map(context);
		}
	}
	return err;
}

static int domain_rebuild(struct protection_domain *pd)
{
	pd->real = below.ibv_alloc_pd(context_of(pd->shown.context)->real);
	return pd->real ? 0 : below_error();
}

static int queue_rebuild(struct completion_queue *cq)
{
	GATE_CLOSED(&cq->gate);
	return completion_queue_rebuild(cq);
}

static int shared_queue_rebuild(struct shared_receive_queue *srq)
{
	int err;

	GATE_CLOSED(&srq->gate);
	err = shared_receive_queue_rebuild(srq);
	if (!err)
		err = shared_receive_queue_repost(srq, true);
	if (err && srq->real && !below.ibv_destroy_srq(srq->real))
		srq->real = NULL;
	srq->held = err;
	return err;
}

/* What it was given is to be given to the next. */
static int undo_rebuild(struct queue_pair *qp)
{
	int err;

	qp->half_made = true;
	err = queue_pair_destroy_real(qp);
	if (!err)
		receive_log_restart(&qp->receives);
	return err;
}

static int queue_pair_rebuild(struct queue_pair *qp)
{
	int err;

	queue_pair_close(qp);
	err = qp->half_made ? undo_rebuild(qp) : 0;
	if (!err)
		err = queue_pair_make_real(qp);
	if (!err)
		err = queue_pair_to_application_state(qp);
	if (!err)
		err = multicast_join(qp);
	if (!err) {
		qp->migration.renewed = true;
		queue_pair_let_receives_go(qp);
		if (!qp->migration.move)
			queue_pair_let_go(qp);
	} else if (qp->real && !qp->half_made) {
		undo_rebuild(qp);
	}
	queue_pair_open(qp);
	return err;
}

#define REBUILD_EACH(type, list, how) REBUILD_EACH_UNLESS(object->real, type, list, how)
#define REBUILD_EACH_UNLESS(is_made, type, list, how)                                              \
	EACH_OBJECT(type, object, list)                                                            \
	{                                                                                          \
		if (err || (is_made))                                                              \
			continue;                                                                  \
		err = how(object);                                                                 \
		if (err && err != -EAGAIN)                                                         \
			log_error("rebuild", #how ": error %d", -err);                             \
	}

/* Before ATTACH is answered, which brings its numbers to the root. */
static void announce_context(struct context *context)
{
	if (context->announced)
		return;
	context->announced = !context_announce(context, 0, agent_link_announce_unasked);
	if (!context->announced)
		log_error("rebuild", "no memory to announce a context: late peers lack its keys");
}

static int windows_rebuild(struct context *context)
{
	int err = memory_windows_rebuild(context);

	if (!err)
		err = window_binding_at_once(context);
	if (err && err != -EAGAIN)
		log_error("rebuild", "memory windows: error %d", -err);
	return err;
}

/* Queues that stamp, also those whose real one has never gone. */
static void clock_arrive(struct context *context)
{
	context_clock_arrive(context);
	EACH_OBJECT(completion_queue, cq, cqs)
	{
		if (!cq->stamps)
			continue;
		GATE_CLOSED(&cq->gate);
		completion_stamps_follow(cq);
	}
}

static int context_rebuild(struct context *context)
{
	int err = 0;

	context->moved = true;
	announce_context(context);
	clock_arrive(context);
	REBUILD_EACH(protection_domain, pds, domain_rebuild);
	if (!err)
		err = memory_regions_rebuild(context);
	if (err)
		log_error("rebuild", "memory regions: error %d", -err);
	if (!err)
		err = windows_rebuild(context);
	REBUILD_EACH(address_handle, ahs, address_route_rebuild);
	REBUILD_EACH(completion_channel, channels, completion_channel_rebuild);
	REBUILD_EACH(completion_queue, cqs, queue_rebuild);
	REBUILD_EACH(xrc_domain, xrc_domains, xrc_domain_rebuild);
	REBUILD_EACH(shared_receive_queue, srqs, shared_queue_rebuild);
	REBUILD_EACH_UNLESS(queue_pair_is_made(object), queue_pair, qps, queue_pair_rebuild);
	return err;
}

int rebuild_objects(struct move *move)
{
	struct context *context;
	int err = 0;

	EACH_MOVING(move, context)
	{
		if (!err)
			err = context_rebuild(context);
	}
	return err;
}
