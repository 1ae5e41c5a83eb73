/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "preload/datagrams.h"
#include "preload/drain.h"
#include "preload/evidence.h"
#include "preload/move_events.h"
#include "preload/rebuild.h"
#include "preload/reconnect.h"
#include "preload/step_parts.h"

void step_let_go(struct move *move)
{
	datagrams_let_go(move);
	drain_let_go(move);
	move_set_phase(move, PHASE_RUNNING);
	move_events_give_back();
	move->state = MOVE_KNOWN;
}

/* Nobody else's word is needed for that, and nobody knows that there is something to mend. */
static void mend_alone(struct move *move)
{
	evidence_settle(move);
	rebuild_renew(move);
	reconnect_to_rtr(move, move->event, true);
	step_go_on(move);
	move->state = MOVE_KNOWN;
}

enum progress step_abort_work(struct move *move, Tether__Answer *answer, uint64_t now_ms, bool late)
{
	if (move->state >= MOVE_RELEASED && move->state != MOVE_ENDED) {
		answer_outcome_is(
		        answer, TETHER__OUTCOME__OUTCOME_REFUSED, "too-late", "was committed");
		return FINISHED;
	}
	/* Broken ones are connected again: SETTLE, RECONNECT, RESUME. For those, others come back,
	 * too. */
	if (move->state == MOVE_VOTED && evidence_names_some(move))
		evidence_report(move, answer);
	else if (move->state == MOVE_VOTED)
		mend_alone(move);
	else if (move->state != MOVE_ENDED)
		step_let_go(move);
	return FINISHED;
}

enum progress step_error_work(struct move *move, Tether__Answer *answer, uint64_t now_ms, bool late)
{
	if (move->state < MOVE_VOTED) {
		step_let_go(move);
		return FINISHED;
	}
	reconnect_end_all(move);
	step_add_counts(move, answer);
	move->state = MOVE_ENDED;
	return FINISHED;
}
