/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "preload/reconnect.h"

#include <errno.h>
#include <string.h>

#include "notifier/base/log.h"
#include "notifier/wire/context_lids.h"
#include "notifier/wire/rows.h"
#include "preload/completions.h"
#include "preload/connection_moves.h"
#include "preload/datagrams.h"
#include "preload/drain.h"
#include "preload/move_address.h"
#include "preload/move_events.h"
#include "preload/queue_pair.h"
#include "preload/rebuild.h"
#include "preload/remote_place.h"
#include "preload/window_binding.h"

/* ---- numbers ---- */

/* Under which LID peers know a context of the VM: the one of its queue pairs, or the @nth of them.
 * 0: they are fewer. */
static uint32_t lid_of_context(
        const struct move *move, const struct context_lids *lids, uint32_t context, unsigned nth)
{
	uint32_t lid = context_lids_first(lids, context);

	if (!lid)
		return nth ? 0 : move->lid;
	while (nth-- && lid)
		lid = context_lids_next(lids, context, lid);
	return lid;
}

static int take_key(struct remote_keys *keys, const struct key_row *row)
{
	if (row->virtual_rkey != row->real_rkey)
		return remote_keys_set(keys, row->virtual_rkey, row->real_rkey, row->window);
	remote_keys_remove(keys, row->virtual_rkey, row->window);
	return 0;
}

/* Sorted by context on the way in or not: each table is found as its first row comes. -ENOENT: no
 * context has so many. */
static int take_keys_nth(struct move *move, const Tether__KeyRows *rows, size_t count,
        const struct context_lids *lids, unsigned nth)
{
	struct remote_keys *keys = NULL;
	uint32_t context = 0;
	int err = -ENOENT;

	for (size_t i = 0; i < count; i++) {
		struct key_row row = key_rows_get(rows, i);
		uint32_t lid;

		if (!i || context != row.context) {
			context = row.context;
			lid = lid_of_context(move, lids, context, nth);
			keys = lid ? remote_keys_of(lid, context) : NULL;
			if (lid && !keys)
				return -ENOMEM;
		}
		if (!keys)
			continue;
		err = take_key(keys, &row);
		if (err)
			return err;
	}
	return err;
}

static int take_keys_by(
        struct move *move, const Tether__KeyRows *rows, const struct context_lids *lids)
{
	size_t count;
	int err = key_rows_count(rows, &count);

	for (unsigned nth = 0; !err; nth++)
		err = take_keys_nth(move, rows, count, lids, nth);
	return err == -ENOENT ? 0 : err;
}

static int take_keys(struct move *move, const Tether__KeyRows *rows, const Tether__QpRows *qps)
{
	struct context_lids lids = {0};
	int err = 0;

	if (move->shared_port || move_has_several_vfs(move))
		err = context_lids_fill(&lids, qps);
	if (err != -ENOMEM)
		err = take_keys_by(move, rows, &lids);
	context_lids_clear(&lids);
	return err;
}

static int take_address(struct queue_pair *qp, const struct qp_row *row, const struct move *move,
        const Tether__Event *event)
{
	const Tether__Address *to = event->new_address;
	int err = row->real_lid ? remote_goes_to(&qp->remote, row->real_lid, event->gids) : 0;

	if (err || !to || !move_has_peer(move, qp))
		return err;
	/* It is said of the first VF, and none has another one than before. */
	if (move_has_several_vfs(move) && qp->remote.lid != move->lid)
		return 0;
	if (to->lid && !row->real_lid)
		qp->remote.real_lid = to->lid;
	if (to->gid.len == sizeof(qp->remote.real_gid))
		memcpy(&qp->remote.real_gid, to->gid.data, to->gid.len);
	return 0;
}

enum { SERVICE_LEVEL_MAX = 15 };

static void take_path(
        struct queue_pair *qp, const struct qp_row *pair, const Tether__PathRows *paths)
{
	size_t count;

	if (path_rows_count(paths, &count))
		return;
	for (size_t i = 0; i < count; i++) {
		struct path_row row = path_rows_get(paths, i);

		if (row.local_lid != pair->remote_lid || row.remote_lid != pair->local_lid)
			continue;
		if (row.sl <= SERVICE_LEVEL_MAX)
			qp->attr.ah_attr.sl = (uint8_t)row.sl;
		/* Packets are numbered as work is posted, so what is replayed counts by this one.
		 */
		if (row.mtu && row.mtu < (uint32_t)qp->attr.path_mtu) {
			qp->attr.path_mtu = (enum ibv_mtu)row.mtu;
			qp->sends.mtu = 128u << row.mtu;
		}
		/* 0 is as fast as the port can. */
		if (row.rate && qp->attr.ah_attr.static_rate)
			qp->attr.ah_attr.static_rate = (uint8_t)row.rate;
	}
}

/* ---- RTR ---- */

struct unreached {
	bool any;
	uint32_t lid;
	bool late; /* it is told of */
};

/* An interface that has just come, here or there, is not reached at once. */
static bool may_be_reached_later(int err)
{
	return err == -ENETUNREACH || err == -EHOSTUNREACH || err == -ETIMEDOUT || err == -EAGAIN;
}

static int pair_up(struct queue_pair *qp, const struct qp_row *row, const struct move *move,
        const Tether__Event *event)
{
	int err;

	qp->remote.real_qpn = row->real_qpn;
	if (move_has_peer(move, qp))
		qp->remote.keys = remote_keys_of(row->local_lid, row->context);
	if (take_address(qp, row, move, event))
		return -EADDRNOTAVAIL;
	take_path(qp, row, event->paths);
	err = queue_pair_to_rtr(qp, row->sq_psn);
	qp->migration.connected = !err;
	return err;
}

/* @unreached: whom the kernel has looked for in vain, which it does for a while each time. */
static void take_row(struct move *move, const struct qp_row *row, const Tether__Event *event,
        struct unreached *unreached)
{
	struct pair_names names = {
	        row->local_lid, row->local_qpn, row->remote_lid, row->remote_qpn};
	struct queue_pair *qp = move_find(move, &names);
	int err;

	if (!qp || qp->migration.connected || !qp->migration.renewed || qp->application_error)
		return;
	qp->migration.unreached = unreached->any && unreached->lid == row->real_lid;
	if (qp->migration.unreached)
		return;
	queue_pair_close(qp);
	err = pair_up(qp, row, move, event);
	queue_pair_open(qp);
	qp->migration.unreached = may_be_reached_later(err);
	if (qp->migration.unreached) {
		unreached->any = true;
		unreached->lid = row->real_lid;
	}
	if (err && (unreached->late || !qp->migration.unreached))
		log_warn("reconnect", "qp 0x%x to 0x%x: error %d", queue_pair_number(qp),
		        row->real_qpn, -err);
}

static void end(struct move *move, struct queue_pair *qp)
{
	queue_pair_close(qp);
	if (!qp->application_error) {
		move->counts.errors++;
		queue_pair_end(qp, IBV_WC_RETRY_EXC_ERR);
	}
	queue_pair_open(qp);
}

/* Nobody's numbers are needed for that. */
static void datagrams_to_rtr(struct queue_pair *qp)
{
	int err;

	if (!qp->datagrams || qp->migration.connected || !qp->migration.renewed ||
	        qp->application_error)
		return;
	queue_pair_close(qp);
	err = queue_pair_to_rtr(qp, 0);
	qp->migration.connected = !err;
	queue_pair_open(qp);
	if (err)
		log_warn("reconnect", "qp 0x%x: error %d", queue_pair_number(qp), -err);
}

int reconnect_to_rtr(struct move *move, const Tether__Event *event, bool late)
{
	struct unreached unreached = {.late = late};
	struct context *context;
	struct queue_pair *qp;
	size_t count;
	int err = qp_rows_count(event->qps, &count);

	if (!err)
		err = take_keys(move, event->keys, event->qps);
	for (size_t i = 0; i < count && !err; i++) {
		struct qp_row row = qp_rows_get(event->qps, i);

		take_row(move, &row, event, &unreached);
	}
	EACH_CONCERNED(move, context, qp)
	{
		datagrams_to_rtr(qp);
		if (!err && !qp->migration.connected && (late || !qp->migration.unreached))
			end(move, qp);
	}
	return !err && unreached.any && !late ? -EAGAIN : err;
}

/* ---- memory windows ---- */

static enum window_progress bind_windows(struct move *move, struct queue_pair *qp)
{
	enum window_progress progress;

	queue_pair_close(qp);
	queue_pair_harvest(qp);
	progress = qp->application_error ? WINDOWS_BOUND : window_binding_go_on(qp);
	queue_pair_open(qp);
	if (progress != WINDOWS_FAILED)
		return progress;
	log_warn("reconnect", "qp 0x%x: its memory windows cannot be bound again",
	        queue_pair_number(qp));
	end(move, qp);
	return WINDOWS_BOUND;
}

bool reconnect_windows_are_bound(struct move *move, bool late)
{
	struct context *context;
	struct queue_pair *qp;
	bool bound = true;

	EACH_CONCERNED(move, context, qp)
	{
		if (!qp->migration.connected || qp->shown.qp_base.state < IBV_QPS_RTS ||
		        bind_windows(move, qp) == WINDOWS_BOUND)
			continue;
		bound = false;
		if (late)
			end(move, qp);
	}
	return bound || late;
}

/* ---- RTS ---- */

static void to_rts(struct move *move, struct queue_pair *qp)
{
	int err = 0;

	if (qp->application_error)
		return;
	if (qp->shown.qp_base.state < IBV_QPS_RTS)
		qp->sq_psn_agreed = true;
	else if (!qp->migration.sends_already)
		err = queue_pair_to_rts(qp);
	if (err) {
		log_warn("resume", "qp 0x%x: error %d", queue_pair_number(qp), -err);
		move->counts.errors++;
		queue_pair_end(qp, IBV_WC_RETRY_EXC_ERR);
	}
}

static void go_on(struct queue_pair *qp)
{
	if (!qp->application_error)
		queue_pair_post_kept(qp);
	/* Without a device it stays held, and flushes what is posted. */
	if (qp->real)
		queue_pair_let_go(qp);
	qp->migration.move = NULL;
}

void reconnect_resume(struct move *move)
{
	struct context *context;
	struct queue_pair *qp;

	datagrams_let_go(move);
	EACH_CONCERNED(move, context, qp)
	{
		queue_pair_close(qp);
		to_rts(move, qp);
		queue_pair_open(qp);
	}
	/* The device has told all that connecting brings about. */
	move_events_take_over(move);
	EACH_CONCERNED(move, context, qp)
	{
		queue_pair_close(qp);
		go_on(qp);
		queue_pair_open(qp);
	}
	/* What was given back since they were made anew. */
	rebuild_repost_shared();
	move_set_phase(move, PHASE_RUNNING);
	EACH_MOVING(move, context)
	context->hides_events = false;
	move_events_give_back();
}

void reconnect_end_all(struct move *move)
{
	struct context *context;
	struct queue_pair *qp;

	datagrams_let_go(move);
	rebuild_end(move);
	EACH_CONCERNED(move, context, qp)
	{
		end(move, qp);
		queue_pair_close(qp);
		/* Without a device it stays held, and flushes what is posted. */
		if (qp->real) {
			queue_pair_let_go(qp);
			queue_pair_let_receives_go(qp);
		}
		qp->migration.move = NULL;
		queue_pair_open(qp);
	}
	rebuild_repost_shared();
	connections_fail(move);
	move_events_give_back();
}
