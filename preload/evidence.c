/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "preload/evidence.h"

#include <errno.h>

#include "notifier/base/log.h"
#include "notifier/wire/answer.h"
#include "notifier/wire/rows.h"
#include "preload/completion_queue.h"
#include "preload/completions.h"
#include "preload/drain.h"
#include "preload/move_address.h"
#include "preload/places.h"
#include "preload/queue_pair.h"
#include "preload/settings.h"
#include "preload/settlement.h"
#include "preload/sq_psns.h"
#include "preload/window_work.h"
#include "preload/xrc.h"

/* ---- what we say ---- */

/* @alone: as of one that is connected to nobody. */
static int report_numbers_of(
        const struct move *move, const struct queue_pair *qp, bool alone, Tether__Answer *answer)
{
	struct qp_row row = {
	        .local_qpn = queue_pair_number(qp),
	        .real_qpn = qp->real ? qp->real->qp_num : 0,
	        .remote_lid = alone ? 0 : qp->remote.lid,
	        .remote_qpn = alone ? 0 : qp->remote.qpn,
	        .sq_psn = qp->migration.fresh_psn,
	        .context = qp->context->number,
	        .of_vm = move_has_context(move, qp->context),
	};
	struct place place;
	int err = 0;

	for (unsigned i = 0; !err && queue_pair_place(qp, i, &place); i++)
		err = place_report(&place, &row, answer);
	return err;
}

/* By which numbers peers name them is said each time: what is not said is taken back. */
static int report_shared_queues(const struct move *move, Tether__Answer *answer)
{
	const struct context *context;
	int err = 0;

	EACH_MOVING(move, context)
	{
		if (!err)
			err = xrc_report_numbers(context, answer);
	}
	return err;
}

static int report_all(const struct move *move, bool ended_alone, Tether__Answer *answer)
{
	const struct context *context;
	const struct queue_pair *qp;
	int err = answer_qps(answer) ? 0 : -ENOMEM;

	EACH_CONCERNED(move, context, qp)
	{
		if (!err && !qp->migration.lost)
			err = report_numbers_of(
			        move, qp, ended_alone && qp->application_error, answer);
	}
	return err ? err : report_shared_queues(move, answer);
}

/* One that is in ERR for the application has nothing to lose: nobody need show its other end. */
int evidence_report_pairs(const struct move *move, Tether__Answer *answer)
{
	return report_all(move, true, answer);
}

int evidence_report_voted(const struct move *move, Tether__Answer *answer)
{
	return report_all(move, false, answer);
}

/* Under Shared Port what is made in it later is known under the LID that it shows, and is where it
 * is now, and of several VFs it is in one: so the root is told of it, though it may have no queue
 * pair yet. */
static int report_contexts(const struct move *move, Tether__Answer *answer)
{
	const struct context *context;
	int err = 0;

	if (!move->shared_port && !move_has_several_vfs(move))
		return 0;
	EACH_MOVING(move, context)
	{
		struct qp_row row = {.context = context->number, .of_vm = true};
		struct place place;

		for (unsigned i = 0; !err && context_place(context, i, &place); i++)
			err = place_report(&place, &row, answer);
	}
	return err;
}

int evidence_report_rebuilt(const struct move *move, Tether__Answer *answer)
{
	const struct context *context;
	const struct queue_pair *qp;
	int err = answer_qps(answer) ? report_contexts(move, answer) : -ENOMEM;

	EACH_QUEUE_PAIR(context, qp)
	{
		if (!err && move_takes_along(move, context) && !qp->migration.lost)
			err = report_numbers_of(move, qp, false, answer);
	}
	return err ? err : report_shared_queues(move, answer);
}

/* What was told to have failed may have taken a RECV all the same. Slots are known for a while. */
static uint32_t first_unfinished(const struct send_log *log)
{
	uint32_t first = log->failed != log->failed_end ? log->failed : log->tail;
	uint32_t oldest = log->head - log->mask - 1;

	return (int32_t)(first - oldest) < 0 ? oldest : first;
}

static bool is_unfinished(const struct send_log *log, uint32_t sequence)
{
	return (int32_t)(sequence - log->failed_end) < 0 || (int32_t)(sequence - log->tail) >= 0;
}

static int report_unfinished(
        const struct queue_pair *qp, const struct evidence_row *of, Tether__EvidenceRows *rows)
{
	const struct send_log *log = &qp->sends;
	int err = 0;

	for (uint32_t i = first_unfinished(log); i != log->posted && !err; i++) {
		const struct send_slot *slot = send_log_at(log, i);
		struct evidence_row row = *of;

		if (!is_unfinished(log, i) || slot->fate != FATE_OPEN ||
		        !opcode_takes_receive(slot->opcode))
			continue;
		row.flags = TETHER__EVIDENCE_FLAG__EVIDENCE_UNFINISHED;
		row.rq_psn = send_slot_end_psn(log, slot);
		row.receives = row.sent = 0;
		err = evidence_rows_append(rows, &row);
	}
	return err;
}

static int report_one(struct queue_pair *qp, Tether__EvidenceRows *rows)
{
	struct evidence_row row = {
	        .local_lid = queue_pair_lid(qp),
	        .local_qpn = queue_pair_number(qp),
	        .remote_lid = qp->remote.lid,
	        .remote_qpn = qp->remote.qpn,
	        .rq_psn = qp->migration.rq_psn,
	        .receives = qp->receives_done,
	        .flags = TETHER__EVIDENCE_FLAG__EVIDENCE_BROKEN,
	        .sent = qp->sends.receives_done,
	};
	int err;

	if (qp->application_error)
		row.flags |= TETHER__EVIDENCE_FLAG__EVIDENCE_APPLICATION;
	err = evidence_rows_append(rows, &row);
	return err ? err : report_unfinished(qp, &row, rows);
}

static bool is_named(const struct queue_pair *qp)
{
	return qp->migration.broken && !qp->datagrams;
}

bool evidence_names_some(const struct move *move)
{
	const struct context *context;
	const struct queue_pair *qp;
	bool named = false;

	EACH_CONCERNED(move, context, qp)
	named |= is_named(qp);
	return named;
}

int evidence_report(const struct move *move, Tether__Answer *answer)
{
	Tether__EvidenceRows *rows = answer_evidence(answer);
	const struct context *context;
	struct queue_pair *qp;
	int err = rows ? 0 : -ENOMEM;

	EACH_CONCERNED(move, context, qp)
	{
		if (err || !is_named(qp))
			continue;
		/* What is kept meanwhile takes slots of what has ended. */
		queue_pair_close(qp);
		err = report_one(qp, rows);
		queue_pair_open(qp);
	}
	return err;
}

/*
 * What is no more was told of when it was rebuilt, and the number that it had then may be anybody's
 * where the VM is now.
 */
static int report_dead(const struct context *context, const struct number_table *table,
        bool is_window, Tether__KeyRows *rows)
{
	int err = 0;

	for (uint32_t i = 0; table->count && i <= table->mask && !err; i++) {
		const struct number_entry *entry = &table->entries[i];
		struct key_row row = {.context = context->number,
		        .virtual_rkey = is_window ? entry->number << 8 : entry->number,
		        .window = is_window};

		if (entry->used && !entry->value)
			err = key_rows_append(rows, &row);
	}
	return err;
}

static int report_windows(const struct context *context, Tether__KeyRows *rows)
{
	const struct memory_window *mw;
	int err = report_dead(context, &context->windows.numbers, true, rows);

	TAILQ_FOREACH(mw, &context->windows.list, link)
	{
		struct key_row row = {.context = context->number,
		        .virtual_rkey = mw->number << 8,
		        .real_rkey = (mw->real->rkey & ~0xffu) | mw->tag_shift,
		        .window = true};

		if (!err)
			err = key_rows_append(rows, &row);
	}
	return err;
}

static int report_regions(const struct context *context, Tether__KeyRows *rows)
{
	const unsigned remote =
	        IBV_ACCESS_REMOTE_READ | IBV_ACCESS_REMOTE_WRITE | IBV_ACCESS_REMOTE_ATOMIC;
	const struct memory_region *mr;
	int err = report_dead(context, &context->rkeys, false, rows);

	TAILQ_FOREACH(mr, &context->mrs, link)
	{
		struct key_row row = {.context = context->number,
		        .virtual_rkey = mr->shown.rkey,
		        .real_rkey = mr->real->rkey};

		if (!err && mr->access & remote)
			err = key_rows_append(rows, &row);
	}
	return err;
}

int evidence_report_keys(const struct move *move, Tether__Answer *answer)
{
	Tether__KeyRows *rows = answer_keys(answer);
	const struct context *context;
	int err = rows ? 0 : -ENOMEM;

	EACH_MOVING(move, context)
	{
		if (!err)
			err = report_regions(context, rows);
		if (!err)
			err = report_windows(context, rows);
	}
	return err;
}

/* ---- what the others say ---- */

static void take_row(struct move *move, const struct evidence_row *row, bool unfinished)
{
	struct pair_names names = {
	        row->local_lid, row->local_qpn, row->remote_lid, row->remote_qpn};
	struct queue_pair *qp = move_find(move, &names);
	struct queue_pair_migration *m;

	if (!qp)
		return;
	m = &qp->migration;
	if (!unfinished) {
		m->has_evidence = true;
		m->remote_has_failed = row->flags & TETHER__EVIDENCE_FLAG__EVIDENCE_APPLICATION;
		m->remote_rq_psn = row->rq_psn;
		m->remote_receives = row->receives;
		m->implied_receives = row->sent;
	} else if (m->rq_psn != PSN_UNKNOWN) {
		struct implied_receives implied = {m->implied_receives, m->rq_psn};

		implied_receives_add(&implied, row->rq_psn);
		m->implied_receives = implied.count;
	}
}

int evidence_take(struct move *move, const Tether__EvidenceRows *rows)
{
	size_t count;
	int err = evidence_rows_count(rows, &count);

	if (err)
		return err;
	/* A queue pair's own row begins its count: all of these first. */
	for (int unfinished = 0; unfinished < 2; unfinished++) {
		for (size_t i = 0; i < count; i++) {
			struct evidence_row row = evidence_rows_get(rows, i);

			/* What STOP has said is no evidence of what SETTLE has found. */
			if (row.flags & TETHER__EVIDENCE_FLAG__EVIDENCE_SENT)
				continue;
			if (unfinished ==
			        !!(row.flags & TETHER__EVIDENCE_FLAG__EVIDENCE_UNFINISHED))
				take_row(move, &row, unfinished);
		}
	}
	return 0;
}

static bool receives_are_here(const struct queue_pair *qp)
{
	const struct queue_pair_migration *m = &qp->migration;

	return !qp->reliable || !m->has_evidence || m->lost || m->settled ||
	       qp->application_error || (int32_t)(qp->receives_done - m->implied_receives) >= 0;
}

bool evidence_receives_are_here(struct move *move)
{
	struct context *context;
	struct queue_pair *qp;
	bool here = true;

	if (!settings()->settlement)
		return true;
	drain_harvest(move);
	EACH_CONCERNED(move, context, qp)
	{
		queue_pair_close_completions(qp);
		here &= receives_are_here(qp);
		queue_pair_open_completions(qp);
	}
	return here;
}

void evidence_give_up_receives(struct move *move)
{
	struct context *context;
	struct queue_pair *qp;

	EACH_CONCERNED(move, context, qp)
	{
		queue_pair_close_completions(qp);
		if (!receives_are_here(qp)) {
			log_warn("settle", "qp 0x%x: %u receives complete, %u were taken",
			        queue_pair_number(qp), qp->receives_done,
			        qp->migration.implied_receives);
			qp->migration.lost = true;
		}
		queue_pair_open_completions(qp);
	}
}

/* ---- and what follows ---- */

static struct settlement settle_by_evidence(struct queue_pair *qp)
{
	const struct queue_pair_migration *m = &qp->migration;
	struct settlement result = settle_sends(&qp->sends, m->remote_rq_psn);

	if (!result.lost && qp->sends.tail != qp->sends.posted &&
	        settlement_is_belied(&qp->sends, m->remote_receives))
		result.lost = result.contradicts = true;
	return result;
}

static void settle_one(struct move *move, struct queue_pair *qp)
{
	struct queue_pair_migration *m = &qp->migration;
	struct settlement result;

	if (!qp->reliable)
		result = settle_sent(&qp->sends, qp->flushed, m->sq_psn, sq_psns_are_kept(qp));
	else if (!settings()->settlement)
		result = settle_sends_blindly(&qp->sends);
	else if (m->remote_rq_psn == PSN_UNKNOWN)
		result = settle_sends_by_receives(&qp->sends, m->remote_receives);
	else
		result = settle_by_evidence(qp);
	m->lost |= result.lost;
	window_work_settled(qp);
	move->counts.made_up += result.made_up;
	move->counts.replayed += result.replayed;
	if (result.executed || result.replayed || result.lost)
		log_info("settle",
		        "qp 0x%x: %u executed, %u to replay, lost %d, contradicts %d, remote at "
		        "0x%06x",
		        queue_pair_number(qp), result.executed, result.replayed, result.lost,
		        result.contradicts, m->remote_rq_psn);
}

/*
 * Its device had it in ERR, and not since its own retries ran out: it has refused a request, and
 * all of its own that was open then, or came behind, is flushed.
 */
static bool has_refused(const struct queue_pair *qp)
{
	return qp->reliable && qp->migration.was_in_error && !qp->given_up &&
	       (qp->flushed || qp->sends.tail == qp->sends.posted);
}

/* Where the other end replays what was refused, that is refused again. */
static bool has_failed(const struct queue_pair *qp)
{
	return qp->application_error || (has_refused(qp) && qp->migration.remote_has_failed);
}

static void settle(struct move *move, struct queue_pair *qp)
{
	struct queue_pair_migration *m = &qp->migration;

	m->settled = true;
	queue_pair_harvest(qp);
	if (has_failed(qp)) {
		queue_pair_end(qp, IBV_WC_WR_FLUSH_ERR);
		return;
	}
	m->lost |= qp->reliable && !m->has_evidence;
	if (!m->lost)
		settle_one(move, qp);
	/* A completion that is still to come is of work whose fate was decided just now. */
	send_log_seal(&qp->sends);
	if (m->lost) {
		move->counts.errors++;
		queue_pair_end(qp, has_refused(qp) ? IBV_WC_WR_FLUSH_ERR : IBV_WC_RETRY_EXC_ERR);
	} else {
		queue_pair_make_up(qp);
	}
}

void evidence_settle(struct move *move)
{
	struct context *context;
	struct queue_pair *qp;

	EACH_CONCERNED(move, context, qp)
	{
		if (qp->migration.settled)
			continue;
		queue_pair_close(qp);
		settle(move, qp);
		queue_pair_open(qp);
	}
}
