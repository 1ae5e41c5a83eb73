/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "preload/step_works.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "notifier/base/deadlines.h"
#include "notifier/base/log.h"
#include "notifier/wire/answer.h"
#include "notifier/wire/rows.h"
#include "preload/arrivals.h"
#include "preload/control.h"
#include "preload/datagrams.h"
#include "preload/device.h"
#include "preload/drain.h"
#include "preload/evidence.h"
#include "preload/move_events.h"
#include "preload/rebuild.h"
#include "preload/reconnect.h"
#include "preload/reserved_numbers.h"
#include "preload/veto.h"

void answer_outcome_is(
        Tether__Answer *answer, Tether__Outcome outcome, const char *reason, const char *text)
{
	answer->outcome = outcome;
	refusal_add(answer, "", reason, text);
}

static void failed_with(Tether__Answer *answer, const char *reason, const char *what, int err)
{
	char text[128];

	snprintf(text, sizeof(text), "%s: %s", what, strerror(-err));
	answer_outcome_is(answer, TETHER__OUTCOME__OUTCOME_FAILED, reason, text);
}

/* What was counted since the last answer: the other end adds up. */
static void add_counts(struct move *move, Tether__Answer *answer)
{
	Tether__Counts *counts = answer_counts(answer);

	if (!counts)
		return;
	*counts = move->counts;
	counts->processes = 1;
	counts->qps = move_count_concerned(move);
	tether__counts__init(&move->counts);
}

/* ---- the steps ---- */

/* One that had no LID when it was opened has one now, if the VM has. */
static void learn_ports(void)
{
	struct context *context;

	TAILQ_FOREACH(context, &contexts, link)
	{
		if (!context->real)
			continue;
		context_learn_ports(context);
		context_learn_real_lids(context);
	}
}

static bool may_begin(struct move *move, Tether__Answer *answer)
{
	learn_ports();
	if (!move_concern(move))
		answer_outcome_is(answer, TETHER__OUTCOME__OUTCOME_REFUSED, "already-moving",
		        "has a queue pair that is in the middle of another migration");
	else if (!veto_check(move, answer) && answer->n_refusals)
		answer->outcome = TETHER__OUTCOME__OUTCOME_REFUSED;
	return answer->outcome == TETHER__OUTCOME__OUTCOME_DONE;
}

/* If this migration is refused because two have drawn the same, the next one need not be. */
static void draw_numbers(const struct move *move)
{
	struct context *context;

	EACH_MOVING(move, context)
	context_draw_number(context);
}

/* While there is a device to ask, and again only what was opened since. */
static void learn_tables(const struct move *move, bool missing_only)
{
	struct context *context;
	int err;

	EACH_MOVING(move, context)
	{
		if (!context->real || (missing_only && port_tables_are_known(context)))
			continue;
		err = port_tables_learn(context);
		if (err)
			log_warn("steps",
			        "%s: its GIDs and P_Keys stand where they stand: error %d",
			        context->device->shown.name, -err);
	}
}

static enum progress work_prepare(
        struct move *move, Tether__Answer *answer, uint64_t now_ms, bool late)
{
	control_migration_begins();
	draw_numbers(move);
	if (may_begin(move, answer)) {
		learn_tables(move, false);
		evidence_report_pairs(move, answer);
	}
	return FINISHED;
}

/* Before the vote; it ends with the lease, whoever does or does not speak. */
static void hold(struct move *move, uint64_t now_ms)
{
	drain_hold(move, now_ms);
	if (datagrams_hold(move))
		log_error("steps", "no memory: datagrams to the VM are lost while it moves");
	move_set_phase(move, PHASE_STOPPED);
	move->state = MOVE_STOPPED;
	if (move->event->lease_ms)
		move->lease_ms = move->event->lease_ms;
	else if (!move->lease_ms)
		move->lease_ms = deadlines_default.lease_ms;
	move->lease_end_ms = now_ms + move->lease_ms;
}

static void atomic_is_unanswered(Tether__Answer *answer)
{
	answer_outcome_is(answer, TETHER__OUTCOME__OUTCOME_FAILED, "atomic-unanswered",
	        "has an atomic that may have been executed and whose answer does not come");
}

/* Something must not be broken, and its answer has not come. */
static bool is_exposed(const struct move *move, Tether__Answer *answer)
{
	if (drain_has_exposed_atomic(move))
		atomic_is_unanswered(answer);
	else if (drain_has_exposed_windows(move))
		answer_outcome_is(answer, TETHER__OUTCOME__OUTCOME_FAILED, "window-unanswered",
		        "has a memory window of which nobody could tell whether it is bound");
	else
		return false;
	return true;
}

static void report_vote(struct move *move, Tether__Answer *answer)
{
	int err = evidence_report(move, answer);

	if (!err)
		err = evidence_report_voted(move, answer);
	if (err)
		failed_with(answer, "no-evidence", "evidence cannot be reported", err);
}

/* Its queue pairs have ended with it. */
static bool has_lost_its_device(const struct move *move, Tether__Answer *answer)
{
	if (move->lost_its_device)
		answer_outcome_is(answer, TETHER__OUTCOME__OUTCOME_FAILED, "device-lost",
		        "the device was taken away before it was released");
	return move->lost_its_device;
}

static enum progress work_stop(
        struct move *move, Tether__Answer *answer, uint64_t now_ms, bool late)
{
	bool drained;

	/* The root may have forgotten, but what is broken is not held. */
	if (move->state >= MOVE_VOTED) {
		report_vote(move, answer);
		return FINISHED;
	}
	if (has_lost_its_device(move, answer))
		return FINISHED;
	if (!move->begun) {
		move->begun = true;
		if (!may_begin(move, answer))
			return FINISHED;
		hold(move, now_ms);
		move->went_on_alone = false;
	}
	drained =
	        drain_is_done(move, now_ms, deadlines_default.drain_ms) &&
	        (datagrams_are_sent(move) || now_ms - move->event_ms >= deadlines_default.drain_ms);
	if (!drained && !late)
		return WORKING;
	is_exposed(move, answer);
	/* Its agent may have missed us at PREPARE, and nobody has asked for the other ends. */
	evidence_report_pairs(move, answer);
	arrivals_report(move, answer);
	return FINISHED;
}

static bool somebody_has_voted(const struct move *move)
{
	const Tether__EvidenceRows *rows = move->event->evidence;
	size_t count;

	if (evidence_rows_count(rows, &count))
		return false;
	for (size_t i = 0; i < count; i++) {
		if (evidence_rows_get(rows, i).flags & TETHER__EVIDENCE_FLAG__EVIDENCE_BROKEN)
			return true;
	}
	return false;
}

/* What it has sent since its gates opened may be on its way to an end that votes now. So it is
 * held, and has no vote before all have been drained by another STOP, or somebody has voted
 * already. */
static bool has_no_vote(const struct move *move, Tether__Answer *answer)
{
	if (!move->went_on_alone || somebody_has_voted(move))
		return false;
	answer_outcome_is(answer, TETHER__OUTCOME__OUTCOME_FAILED, "lease-over",
	        "had gone on alone when it was asked for its vote");
	return true;
}

static enum progress vote(struct move *move, Tether__Answer *answer, uint64_t now_ms, bool late)
{
	int err;

	if (move->state < MOVE_VOTED && has_lost_its_device(move, answer))
		return FINISHED;
	/* Again, for what was made after STOP. */
	if (!move->begun && move->state < MOVE_VOTED) {
		move->begun = true;
		move->arrivals_ms = 0;
		if (!may_begin(move, answer))
			return FINISHED;
		hold(move, now_ms);
		if (has_no_vote(move, answer))
			return FINISHED;
	}
	move_events_take_over(move);
	drain_harvest(move);
	/* A receive that has come just now may have an event to come. */
	if (move->state < MOVE_VOTED && !move_events_are_sifted(move) && !late)
		return WORKING;
	if (move->state < MOVE_VOTED && !late &&
	        !arrivals_are_here(move, now_ms, deadlines_default.datagram_ms))
		return WORKING;
	if (drain_awaits_answer(move)) {
		if (!late)
			return WORKING;
		is_exposed(move, answer);
		return FINISHED;
	}
	err = drain_break(move);
	/* From here on some are in ERR: an abort connects those again. */
	move->state = MOVE_VOTED;
	if (err) {
		failed_with(answer, "not-stopped", "a queue pair does not go to ERR", err);
		return FINISHED;
	}
	if (!drain_frontiers_are_known(move) && !late &&
	        now_ms - move->event_ms < deadlines_default.drain_ms)
		return WORKING;
	report_vote(move, answer);
	return FINISHED;
}

static enum progress work_settle(
        struct move *move, Tether__Answer *answer, uint64_t now_ms, bool late)
{
	enum progress progress = vote(move, answer, now_ms, late);

	if (progress == FINISHED) {
		move_events_take_over(move);
		move_events_give_back();
	}
	return progress;
}

/* The other sides' word is here: wait for what it implies, then decide. */
static enum progress settle(struct move *move, Tether__Answer *answer, bool late)
{
	if (!move->begun) {
		move->begun = true;
		if (evidence_take(move, move->event->evidence))
			log_error("steps", "evidence with columns of unequal length");
	}
	if (!evidence_receives_are_here(move)) {
		if (!late)
			return WORKING;
		evidence_give_up_receives(move);
	}
	evidence_settle(move);
	return FINISHED;
}

static bool has_unbroken(const struct move *move)
{
	const struct context *context;
	const struct queue_pair *qp;
	bool unbroken = false;

	EACH_CONCERNED(move, context, qp)
	unbroken |= qp->real && !qp->migration.broken;
	return unbroken;
}

static enum progress work_release(
        struct move *move, Tether__Answer *answer, uint64_t now_ms, bool late)
{
	int err;

	/* Who came after STOP may hold the device, but must not be connected: nobody knows what it
	 * has open. */
	if (!move_concern(move) || has_unbroken(move) ||
	        (move->state < MOVE_VOTED && move_count_concerned(move))) {
		answer_outcome_is(answer, TETHER__OUTCOME__OUTCOME_FAILED, "not-voted",
		        "is to be released without having voted");
		return FINISHED;
	}
	if (settle(move, answer, late) == WORKING)
		return WORKING;
	learn_tables(move, true);
	err = veto_is_shared(move) ? -EBUSY : rebuild_tear_down(move);
	if (err)
		failed_with(answer, "not-released", "the device cannot be let go", err);
	else
		rebuild_renew(move);
	arrivals_settled(move);
	move->state = MOVE_RELEASED;
	add_counts(move, answer);
	return FINISHED;
}

static enum progress work_attach(
        struct move *move, Tether__Answer *answer, uint64_t now_ms, bool late)
{
	int err = rebuild_open(move);

	if (err && !late)
		return WORKING;
	if (err == -ENOENT) {
		failed_with(answer, "table-entry-missing",
		        "the device lacks a GID or P_Key that is in use", err);
		return FINISHED;
	}
	if (err) {
		failed_with(answer, "no-device", "no device to go on with", err);
		return FINISHED;
	}
	err = rebuild_objects(move);
	if (err == -EAGAIN && !late)
		return WORKING;
	if (err) {
		failed_with(answer, "not-rebuilt", "an object cannot be made again", err);
		return FINISHED;
	}
	move->state = MOVE_ATTACHED;
	err = evidence_report_rebuilt(move, answer);
	if (!err)
		err = evidence_report_keys(move, answer);
	if (err)
		failed_with(answer, "no-evidence", "new numbers cannot be reported", err);
	return FINISHED;
}

/* Of all processes of the VM; after an abort only of those that are connected. */
static void take_numbers(struct move *move)
{
	if (datagrams_take_numbers(move, move->event->qps))
		log_error("steps", "not all datagram queue pairs of the VM are known");
	if (move->of_our_vm &&
	        reserved_numbers_take(move, move->event->qps, move->state == MOVE_ATTACHED))
		log_error("steps", "not all numbers of the VM are known");
}

static enum progress work_reconnect(
        struct move *move, Tether__Answer *answer, uint64_t now_ms, bool late)
{
	int err;

	take_numbers(move);
	if (move->state < MOVE_VOTED)
		return FINISHED;
	/* After an abort there was no RELEASE: evidence comes now, everybody is where it was. */
	if (settle(move, answer, late) == WORKING)
		return WORKING;
	rebuild_renew(move);
	err = reconnect_to_rtr(move, move->event);
	if (err)
		failed_with(
		        answer, "not-connected", "the other side's numbers cannot be used", err);
	else if (!reconnect_windows_are_bound(move, late))
		return WORKING;
	move->state = MOVE_CONNECTED;
	return FINISHED;
}

static enum progress work_resume(
        struct move *move, Tether__Answer *answer, uint64_t now_ms, bool late)
{
	unsigned qps = move_count_concerned(move);

	if (move->state < MOVE_VOTED || move->state == MOVE_ENDED)
		return FINISHED;
	/* Who heard nothing of ATTACH has nothing to go on with. */
	if (rebuild_is_whole(move))
		reconnect_resume(move);
	else
		reconnect_end_all(move);
	add_counts(move, answer);
	if (answer->counts)
		answer->counts->qps = qps;
	move->state = MOVE_ENDED;
	return FINISHED;
}

void step_let_go(struct move *move)
{
	datagrams_let_go(move);
	drain_let_go(move);
	move_set_phase(move, PHASE_RUNNING);
	move_events_give_back();
	move->state = MOVE_KNOWN;
}

/* Evidence names what it is to be mended with: no datagrams. */
static bool is_in_evidence(const struct move *move)
{
	const struct context *context;
	const struct queue_pair *qp;
	bool named = false;

	EACH_CONCERNED(move, context, qp)
	named |= qp->migration.broken && !qp->datagrams;
	return named;
}

/* Nobody else's word is needed for that, and nobody knows that there is something to mend. */
static void mend_alone(struct move *move)
{
	evidence_settle(move);
	rebuild_renew(move);
	reconnect_to_rtr(move, move->event);
	if (rebuild_is_whole(move))
		reconnect_resume(move);
	else
		reconnect_end_all(move);
	move->state = MOVE_KNOWN;
}

static enum progress work_abort(
        struct move *move, Tether__Answer *answer, uint64_t now_ms, bool late)
{
	if (move->state >= MOVE_RELEASED && move->state != MOVE_ENDED) {
		answer_outcome_is(
		        answer, TETHER__OUTCOME__OUTCOME_REFUSED, "too-late", "was committed");
		return FINISHED;
	}
	/* Broken ones are connected again: SETTLE, RECONNECT, RESUME. For those, others come back,
	 * too. */
	if (move->state == MOVE_VOTED && is_in_evidence(move))
		evidence_report(move, answer);
	else if (move->state == MOVE_VOTED)
		mend_alone(move);
	else if (move->state != MOVE_ENDED)
		step_let_go(move);
	return FINISHED;
}

static enum progress work_error(
        struct move *move, Tether__Answer *answer, uint64_t now_ms, bool late)
{
	if (move->state < MOVE_VOTED) {
		step_let_go(move);
		return FINISHED;
	}
	reconnect_end_all(move);
	add_counts(move, answer);
	move->state = MOVE_ENDED;
	return FINISHED;
}

static step_work *const works[] = {
        [TETHER__STEP__STEP_PREPARE] = work_prepare,
        [TETHER__STEP__STEP_STOP] = work_stop,
        [TETHER__STEP__STEP_SETTLE] = work_settle,
        [TETHER__STEP__STEP_RELEASE] = work_release,
        [TETHER__STEP__STEP_ATTACH] = work_attach,
        [TETHER__STEP__STEP_RECONNECT] = work_reconnect,
        [TETHER__STEP__STEP_RESUME] = work_resume,
        [TETHER__STEP__STEP_ABORT] = work_abort,
        [TETHER__STEP__STEP_ERROR] = work_error,
};

step_work *step_work_for(Tether__Step step)
{
	return (unsigned)step < sizeof(works) / sizeof(works[0]) ? works[step] : NULL;
}
