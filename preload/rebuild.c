/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "preload/rebuild.h"

#include <errno.h>

#include "notifier/base/log.h"
#include "preload/address_handle.h"
#include "preload/async_events.h"
#include "preload/completion_channel.h"
#include "preload/completion_queue.h"
#include "preload/completion_stamps.h"
#include "preload/completions.h"
#include "preload/data_path.h"
#include "preload/device.h"
#include "preload/device_clock.h"
#include "preload/drain.h"
#include "preload/memory.h"
#include "preload/memory_windows.h"
#include "preload/multicast.h"
#include "preload/queue_pair.h"
#include "preload/shared_receive_queue.h"
#include "preload/window_binding.h"
#include "preload/xrc.h"

static bool is_made(const struct queue_pair *qp)
{
	return qp->real && !qp->half_made;
}

/* ---- another incarnation ---- */

/* What is open in the logs belongs to the next incarnation; later completions of this one are
 * stale. */
static void begin_incarnation(struct queue_pair *qp)
{
	send_log_restart(&qp->sends, qp->migration.fresh_psn);
	receive_log_restart(&qp->receives);
	qp->receives_done = 0;
	qp->flushed = false;
}

static int repost_receives(struct queue_pair *qp)
{
	struct receive_log *log = &qp->receives;
	int err = 0;

	while (log->posted != log->head && !err) {
		uint32_t count = log->head - log->posted, posted;

		if (count > POST_CHUNK)
			count = POST_CHUNK;
		err = -queue_pair_give_receives(qp, log->posted, count, &posted);
		log->posted += posted;
	}
	return err;
}

/* In RESET, all gates closed. One that has ended goes back to the error that the application knows.
 */
static int to_application_state(struct queue_pair *qp)
{
	enum ibv_qp_state state = qp->shown.qp_base.state;
	int err;

	if (state == IBV_QPS_RESET)
		return 0;
	err = queue_pair_to_init(qp);
	if (err)
		return err;
	return qp->application_error ? queue_pair_to_state(qp, IBV_QPS_ERR) : repost_receives(qp);
}

/* ---- in place ---- */

static int renew(struct queue_pair *qp)
{
	int err;

	queue_pair_harvest(qp);
	err = queue_pair_to_state(qp, IBV_QPS_RESET);
	if (err)
		return err;
	begin_incarnation(qp);
	window_binding_lapses(qp);
	err = to_application_state(qp);
	if (err)
		return err;
	qp->migration.renewed = true;
	queue_pair_let_receives_go(qp);
	return 0;
}

/* Buffers of shared queues that queue pairs gave back when they went to ERR. */
static void repost_shared(struct context *context)
{
	struct shared_receive_queue *srq;

	TAILQ_FOREACH(srq, &context->srqs, link)
	{
		int err;

		if (!srq->real)
			continue;
		gate_close(&srq->gate);
		err = shared_receive_queue_repost(srq, false);
		gate_open(&srq->gate);
		if (err)
			log_error("rebuild", "shared receive queue: not posted again: error %d",
			        -err);
	}
}

void rebuild_repost_shared(void)
{
	struct context *context;

	TAILQ_FOREACH(context, &contexts, link)
	repost_shared(context);
}

/* One that cannot be renewed is not connected again and ends with an error; the others go on. */
void rebuild_renew(struct move *move)
{
	struct context *context;
	struct queue_pair *qp;

	EACH_CONCERNED(move, context, qp)
	{
		int err;

		if (qp->migration.renewed || !qp->migration.settled || !is_made(qp))
			continue;
		queue_pair_close(qp);
		err = renew(qp);
		qp->migration.lost |= err != 0;
		queue_pair_open(qp);
		if (err)
			log_error("rebuild", "qp 0x%x: not renewed: error %d",
			        queue_pair_number(qp), -err);
	}
	rebuild_repost_shared();
}

/* ---- away ---- */

static int destroy_real(struct queue_pair *qp)
{
	uint32_t number = qp->real->qp_num;
	int err = -below.ibv_destroy_qp(qp->real);

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
	int err = multicast_leave(qp);

	if (err)
		return err;
	err = destroy_real(qp);
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
		err = qp->half_made ? destroy_real(qp) : leave_and_destroy(qp);
		if (!err)
			begin_incarnation(qp);
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
		err = -below.ibv_destroy_srq(srq->real);
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

#define TEAR_DOWN_EACH(list, object, how)                                                          \
	TAILQ_FOREACH(object, &context->list, link)                                                \
	err = err ? err : how(object)
#define DESTROY_EACH(list, object, verb)                                                           \
	TAILQ_FOREACH(object, &context->list, link)                                                \
	{                                                                                          \
		if (!err && object->real)                                                          \
			err = -below.verb(object->real);                                           \
		if (!err)                                                                          \
			object->real = NULL;                                                       \
	}

static int context_tear_down(struct context *context)
{
	struct completion_channel *channel;
	struct shared_receive_queue *srq;
	struct completion_queue *cq;
	struct protection_domain *pd;
	struct xrc_domain *domain;
	struct address_handle *ah;
	struct memory_region *mr;
	struct queue_pair *qp;
	int err = 0;

	async_events_take_over(context);
	context->hides_events = true;
	/* What they need nobody asks of the next device. */
	address_handles_reap(context);
	TEAR_DOWN_EACH(qps, qp, queue_pair_tear_down);
	TEAR_DOWN_EACH(srqs, srq, shared_queue_tear_down);
	TEAR_DOWN_EACH(xrc_domains, domain, xrc_domain_tear_down);
	TAILQ_FOREACH(channel, &context->channels, link)
	completion_channel_take_over(channel);
	if (!err)
		context_clock_depart(context);
	TEAR_DOWN_EACH(cqs, cq, completion_queue_tear_down);
	TEAR_DOWN_EACH(channels, channel, completion_channel_tear_down);
	DESTROY_EACH(ahs, ah, ibv_destroy_ah);
	if (!err)
		err = memory_windows_tear_down(context);
	DESTROY_EACH(mrs, mr, ibv_dereg_mr);
	DESTROY_EACH(pds, pd, ibv_dealloc_pd);
	if (!err && context->real)
		context_close_real(context);
	return err;
}

#define IS_ANY_MISSING(list, object)                                                               \
	TAILQ_FOREACH(object, &context->list, link)                                                \
	missing |= !object->real

static bool is_whole(const struct context *context)
{
	const struct completion_channel *channel;
	const struct shared_receive_queue *srq;
	const struct completion_queue *cq;
	const struct protection_domain *pd;
	const struct xrc_domain *domain;
	const struct address_handle *ah;
	const struct memory_region *mr;
	const struct queue_pair *qp;
	bool missing = !context->real || !memory_windows_are_whole(context);

	IS_ANY_MISSING(pds, pd);
	IS_ANY_MISSING(mrs, mr);
	IS_ANY_MISSING(ahs, ah);
	IS_ANY_MISSING(channels, channel);
	IS_ANY_MISSING(cqs, cq);
	IS_ANY_MISSING(xrc_domains, domain);
	IS_ANY_MISSING(srqs, srq);
	TAILQ_FOREACH(qp, &context->qps, link)
	missing |= !is_made(qp);
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

void rebuild_end(struct move *move)
{
	struct context *context;

	move_set_phase(move, PHASE_RUNNING);
	EACH_MOVING(move, context)
	{
		int err = 0;

		if (!is_whole(context)) {
			context->phase = PHASE_LOST;
			err = context_tear_down(context);
			tell_that_it_is_lost(context);
		}
		context->hides_events = false;
		if (err)
			log_error("rebuild", "%s: not torn down: error %d",
			        context->device->shown.name, -err);
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
		if (err)
			log_error("rebuild", "%s: not torn down: error %d",
			        context->device->shown.name, -err);
	}
	return err;
}

/* ---- and back ---- */

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
		if (!err)
			err = port_tables_map(context);
	}
	return err;
}

static int domain_rebuild(struct protection_domain *pd)
{
	pd->real = below.ibv_alloc_pd(context_of(pd->shown.context)->real);
	return pd->real ? 0 : errno ? -errno : -ENOMEM;
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
	err = destroy_real(qp);
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
		err = to_application_state(qp);
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

#define REBUILD_EACH(list, object, how) REBUILD_EACH_UNLESS(object->real, list, object, how)
#define REBUILD_EACH_UNLESS(is_made, list, object, how)                                            \
	TAILQ_FOREACH(object, &context->list, link)                                                \
	{                                                                                          \
		if (err || (is_made))                                                              \
			continue;                                                                  \
		err = how(object);                                                                 \
		if (err)                                                                           \
			log_error("rebuild", #how ": error %d", -err);                             \
	}

/* Before ATTACH is answered, which brings its numbers to the root. */
static void announce(struct context *context)
{
	struct announcement own = context_announcement(context, 0);

	if (context->announced)
		return;
	context->announced = !agent_link_announce_unasked(&own);
	if (!context->announced)
		log_error("rebuild", "no memory to announce a context: late peers lack its keys");
}

static int windows_rebuild(struct context *context)
{
	int err = memory_windows_rebuild(context);

	if (!err)
		err = window_binding_at_once(context);
	if (err)
		log_error("rebuild", "memory windows: error %d", -err);
	return err;
}

/* Queues that stamp, also those whose real one has never gone. */
static void clock_arrive(struct context *context)
{
	struct completion_queue *cq;

	context_clock_arrive(context);
	TAILQ_FOREACH(cq, &context->cqs, link)
	{
		if (!cq->stamps)
			continue;
		GATE_CLOSED(&cq->gate);
		completion_stamps_follow(cq);
	}
}

static int context_rebuild(struct context *context)
{
	struct completion_channel *channel;
	struct shared_receive_queue *srq;
	struct completion_queue *cq;
	struct protection_domain *pd;
	struct xrc_domain *domain;
	struct address_handle *ah;
	struct queue_pair *qp;
	int err = 0;

	context->moved = true;
	announce(context);
	clock_arrive(context);
	REBUILD_EACH(pds, pd, domain_rebuild);
	if (!err)
		err = memory_regions_rebuild(context);
	if (err)
		log_error("rebuild", "memory regions: error %d", -err);
	if (!err)
		err = windows_rebuild(context);
	REBUILD_EACH(ahs, ah, address_handle_rebuild);
	REBUILD_EACH(channels, channel, completion_channel_rebuild);
	REBUILD_EACH(cqs, cq, queue_rebuild);
	REBUILD_EACH(xrc_domains, domain, xrc_domain_rebuild);
	REBUILD_EACH(srqs, srq, shared_queue_rebuild);
	REBUILD_EACH_UNLESS(is_made(qp), qps, qp, queue_pair_rebuild);
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
