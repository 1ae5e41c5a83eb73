/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include <errno.h>

#include "notifier/base/log.h"
#include "notifier/wire/answer.h"
#include "preload/arrivals.h"
#include "preload/connection_moves.h"
#include "preload/datagrams.h"
#include "preload/evidence.h"
#include "preload/rebuild.h"
#include "preload/reconnect.h"
#include "preload/reserved_numbers.h"
#include "preload/step_parts.h"
#include "preload/veto.h"

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

enum progress step_release_work(
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
	step_learn_tables(move, true);
	err = veto_is_shared(move) ? -EBUSY : rebuild_tear_down(move);
	if (err)
		step_failed_with(answer, "not-released", "the device cannot be let go", err);
	else
		rebuild_renew(move);
	if (!err)
		connections_cut(move);
	arrivals_settled(move);
	move->state = MOVE_RELEASED;
	step_add_counts(move, answer);
	return FINISHED;
}

enum progress step_attach_work(
        struct move *move, Tether__Answer *answer, uint64_t now_ms, bool late)
{
	int err = rebuild_open(move);

	if (err && !late)
		return WORKING;
	if (err == -ENOENT) {
		step_failed_with(answer, "table-entry-missing",
		        "the device lacks a GID or P_Key that is in use", err);
		return FINISHED;
	}
	if (err) {
		step_failed_with(answer, "no-device", "no device to go on with", err);
		return FINISHED;
	}
	err = rebuild_objects(move);
	if (err == -EAGAIN && !late)
		return WORKING;
	if (err) {
		step_failed_with(answer, "not-rebuilt", "an object cannot be made again", err);
		return FINISHED;
	}
	move->state = MOVE_ATTACHED;
	err = evidence_report_rebuilt(move, answer);
	if (!err)
		err = evidence_report_keys(move, answer);
	if (err)
		step_failed_with(answer, "no-evidence", "new numbers cannot be reported", err);
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

enum progress step_reconnect_work(
        struct move *move, Tether__Answer *answer, uint64_t now_ms, bool late)
{
	int err;

	if (!move->begun)
		take_numbers(move);
	if (move->state < MOVE_VOTED)
		return FINISHED;
	/* After an abort there was no RELEASE: evidence comes now, everybody is where it was. */
	if (settle(move, answer, late) == WORKING)
		return WORKING;
	rebuild_renew(move);
	err = reconnect_to_rtr(move, move->event, late);
	if (err == -EAGAIN)
		return WORKING;
	if (err)
		step_failed_with(
		        answer, "not-connected", "the other side's numbers cannot be used", err);
	else if (!reconnect_windows_are_bound(move, late))
		return WORKING;
	move->state = MOVE_CONNECTED;
	return FINISHED;
}

/* Who heard nothing of ATTACH has nothing to go on with. */
void step_go_on(struct move *move)
{
	if (rebuild_is_whole(move))
		reconnect_resume(move);
	else
		reconnect_end_all(move);
}

enum progress step_resume_work(
        struct move *move, Tether__Answer *answer, uint64_t now_ms, bool late)
{
	unsigned qps = move_count_concerned(move);

	if (move->state < MOVE_VOTED || move->state == MOVE_ENDED)
		return FINISHED;
	step_go_on(move);
	step_add_counts(move, answer);
	if (answer->counts)
		answer->counts->qps = qps;
	connections_go_on();
	move->state = MOVE_ENDED;
	return FINISHED;
}
