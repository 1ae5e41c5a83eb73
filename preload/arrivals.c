/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "preload/arrivals.h"

#include <errno.h>

#include "notifier/base/log.h"
#include "notifier/wire/answer.h"
#include "notifier/wire/rows.h"
#include "preload/completion_queue.h"
#include "preload/completions.h"
#include "preload/datagrams.h"
#include "preload/move_address.h"
#include "preload/places.h"
#include "preload/queue_pair.h"

/* ---- what we have sent ---- */

/* @own: where there are no LIDs the name under which it has sent; else 0. */
static struct evidence_row row_of(const struct queue_pair *qp, uint32_t own)
{
	return (struct evidence_row){
	        .local_lid = own ? own : queue_pair_lid(qp),
	        .local_qpn = queue_pair_number(qp),
	        .flags = TETHER__EVIDENCE_FLAG__EVIDENCE_SENT,
	};
}

static uint32_t lid_of(const struct datagram_count *to)
{
	return (uint32_t)(to->other >> 32);
}

/* From outside only what goes to the VM. */
static bool concerns(
        const struct move *move, const struct queue_pair *qp, const struct datagram_count *to)
{
	return to->other && (move_has_lid(move, lid_of(to)) || move_has_context(move, qp->context));
}

/* What has been settled at an earlier move nobody has to wait for. */
static int report_datagrams(
        const struct queue_pair *qp, const struct move *move, Tether__EvidenceRows *rows)
{
	int err = 0;

	for (uint32_t i = 0; i < qp->sent.size && !err; i++) {
		const struct datagram_count *to = &qp->sent.entries[i];
		struct evidence_row row = row_of(qp, to->own);

		row.remote_lid = lid_of(to);
		row.remote_qpn = (uint32_t)to->other;
		row.sent = to->count;
		row.receives = to->with_grh;
		if (concerns(move, qp, to) && to->count != to->settled)
			err = evidence_rows_append(rows, &row);
	}
	return err;
}

static void settled(struct queue_pair *qp, const struct move *move)
{
	queue_pair_close_sends(qp);
	for (uint32_t i = 0; i < qp->sent.size; i++) {
		struct datagram_count *to = &qp->sent.entries[i];

		if (concerns(move, qp, to))
			to->settled = to->count;
	}
	queue_pair_open_sends(qp);
}

void arrivals_settled(const struct move *move)
{
	struct context *context;
	struct queue_pair *qp;

	EACH_QUEUE_PAIR(context, qp)
	{
		if (qp->datagrams)
			settled(qp, move);
	}
}

/* Of those that the device has. */
static uint32_t messages_sent(const struct send_log *log)
{
	return log->posted == log->tail ? log->receives_done
	                                : send_log_at(log, log->posted - 1)->receives;
}

static int report_messages(const struct queue_pair *qp, Tether__EvidenceRows *rows)
{
	struct evidence_row row = row_of(qp, 0);

	row.remote_lid = qp->remote.lid;
	row.remote_qpn = qp->remote.qpn;
	row.sent = messages_sent(&qp->sends);
	row.rq_psn = qp->sends.next_psn;
	return evidence_rows_append(rows, &row);
}

static int report_one(struct queue_pair *qp, const struct move *move, Tether__EvidenceRows *rows)
{
	int err = 0;

	queue_pair_close_sends(qp);
	if (qp->datagrams)
		err = report_datagrams(qp, move, rows);
	else if (qp->migration.move == move && !qp->reliable)
		err = report_messages(qp, rows);
	queue_pair_open_sends(qp);
	return err;
}

/* It shortens a wait and is no more, and without an answer there is no move. */
static void make_room(Tether__Answer *answer)
{
	size_t count;

	if (answer_is_sendable(answer))
		return;
	evidence_rows_count(answer->evidence, &count);
	log_warn("stop", "what was sent to %zu addresses has no room in the answer", count);
	answer_drop_sent(answer);
}

int arrivals_report(const struct move *move, Tether__Answer *answer)
{
	Tether__EvidenceRows *rows = answer_evidence(answer);
	struct context *context;
	struct queue_pair *qp;
	int err = rows ? 0 : -ENOMEM;

	EACH_QUEUE_PAIR(context, qp)
	{
		if (!err && !qp->reliable)
			err = report_one(qp, move, rows);
	}
	make_room(answer);
	return err;
}

/* ---- what has come ---- */

static bool is_at(const struct queue_pair *qp, uint32_t lid)
{
	struct place place;
	bool found = false;

	for (unsigned i = 0; !found && queue_pair_place(qp, i, &place); i++)
		found = place.lid == lid;
	return found;
}

static struct queue_pair *receiver_of(const struct move *move, const struct evidence_row *row)
{
	struct pair_names names = {
	        row->local_lid, row->local_qpn, row->remote_lid, row->remote_qpn};
	struct context *context;

	TAILQ_FOREACH(context, &contexts, link)
	{
		const struct number_entry *entry =
		        number_table_find(&context->numbers, row->remote_qpn);
		struct queue_pair *qp = entry ? (struct queue_pair *)entry->value : NULL;

		if (!qp || qp->reliable || qp->application_error || !qp->real)
			continue;
		if (qp->datagrams ? is_at(qp, row->remote_lid)
		                  : qp->migration.move == move && pair_names_are_of(&names, qp))
			return qp;
	}
	return NULL;
}

/* Also what carries no RECV has arrived, or is lost, when the packet behind it is expected. */
static bool packets_are_here(struct queue_pair *qp, uint32_t psn)
{
	struct ibv_qp_init_attr init;
	struct ibv_qp_attr attr;

	return below.ibv_query_qp(qp->real, &attr, IBV_QP_RQ_PSN, &init) ||
	       psn_distance(psn, attr.rq_psn & PSN_MASK) >= 0;
}

/*
 * A number that was given away counts anew, at either end: only equal counts say that all is here.
 * What went to a member of a group with a GRH is not told from what went to the group.
 */
static bool counts_are_equal(const struct queue_pair *qp, const struct datagram_count *from,
        const struct evidence_row *row)
{
	if (datagrams_may_be_of_a_group(qp))
		return from->count - from->with_grh == row->sent - row->receives;
	return from->count == row->sent;
}

static bool datagrams_are_here(
        struct queue_pair *qp, const struct evidence_row *row, bool waive, uint32_t *seen)
{
	uint32_t own = is_gid_name(row->remote_lid) ? row->remote_lid : 0;
	struct datagram_count *from = datagram_counts_at(
	        &qp->received, own, datagram_other(row->local_lid, row->local_qpn));

	if (!from)
		return true;
	*seen += from->count;
	if (counts_are_equal(qp, from, row))
		return true;
	if (waive) {
		log_info("settle", "qp 0x%x: %u datagrams of lid %u, qp 0x%x, which has sent %u",
		        queue_pair_number(qp), from->count, row->local_lid, row->local_qpn,
		        row->sent);
		from->count = row->sent;
		from->with_grh = row->receives;
	}
	return false;
}

static bool row_is_here(
        struct queue_pair *qp, const struct evidence_row *row, bool waive, uint32_t *seen)
{
	bool here;

	queue_pair_close_completions(qp);
	queue_pair_harvest(qp);
	if (qp->datagrams) {
		here = datagrams_are_here(qp, row, waive, seen);
	} else {
		*seen += qp->receives_done;
		here = (int32_t)(qp->receives_done - row->sent) >= 0 &&
		       packets_are_here(qp, row->rq_psn);
	}
	queue_pair_open_completions(qp);
	return here;
}

/* How many rows lack something; @seen: grows with everything that comes. */
static unsigned look(const struct move *move, bool waive, uint32_t *seen)
{
	const Tether__EvidenceRows *rows = move->event->evidence;
	unsigned lacking = 0;
	size_t count;

	*seen = 0;
	if (evidence_rows_count(rows, &count))
		return 0;
	for (size_t i = 0; i < count; i++) {
		struct evidence_row row = evidence_rows_get(rows, i);
		struct queue_pair *qp;

		if (!(row.flags & TETHER__EVIDENCE_FLAG__EVIDENCE_SENT))
			continue;
		qp = receiver_of(move, &row);
		lacking += qp && !row_is_here(qp, &row, waive, seen);
	}
	return lacking;
}

bool arrivals_are_here(struct move *move, uint64_t now_ms, unsigned quiet_ms)
{
	uint32_t seen;

	if (!look(move, false, &seen))
		return true;
	if (seen != move->arrivals_seen || !move->arrivals_ms) {
		move->arrivals_seen = seen;
		move->arrivals_ms = now_ms;
	}
	if (now_ms - move->arrivals_ms < quiet_ms)
		return false;
	look(move, true, &seen);
	return true;
}
