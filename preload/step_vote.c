/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "notifier/base/deadlines.h"
#include "notifier/base/log.h"
#include "notifier/wire/rows.h"
#include "preload/arrivals.h"
#include "preload/datagrams.h"
#include "preload/drain.h"
#include "preload/evidence.h"
#include "preload/move_events.h"
#include "preload/step_parts.h"

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
		step_failed_with(answer, "no-evidence", "evidence cannot be reported", err);
}

/* Its queue pairs have ended with it. */
static bool has_lost_its_device(const struct move *move, Tether__Answer *answer)
{
	if (move->lost_its_device)
		answer_outcome_is(answer, TETHER__OUTCOME__OUTCOME_FAILED, "device-lost",
		        "the device was taken away before it was released");
	return move->lost_its_device;
}

enum progress step_stop_work(struct move *move, Tether__Answer *answer, uint64_t now_ms, bool late)
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
		if (!step_may_begin(move, answer))
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
		if (!step_may_begin(move, answer))
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
		step_failed_with(answer, "not-stopped", "a queue pair does not go to ERR", err);
		return FINISHED;
	}
	if (!drain_frontiers_are_known(move) && !late &&
	        now_ms - move->event_ms < deadlines_default.drain_ms)
		return WORKING;
	report_vote(move, answer);
	return FINISHED;
}

enum progress step_settle_work(
        struct move *move, Tether__Answer *answer, uint64_t now_ms, bool late)
{
	enum progress progress = vote(move, answer, now_ms, late);

	if (progress == FINISHED) {
		move_events_take_over(move);
		move_events_give_back();
	}
	return progress;
}
