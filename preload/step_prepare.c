/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "notifier/base/deadlines.h"
#include "notifier/base/log.h"
#include "notifier/wire/answer.h"
#include "preload/connection_moves.h"
#include "preload/control.h"
#include "preload/device.h"
#include "preload/evidence.h"
#include "preload/step_parts.h"
#include "preload/veto.h"

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

bool step_may_begin(struct move *move, Tether__Answer *answer)
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
void step_learn_tables(const struct move *move, bool missing_only)
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

enum progress step_prepare_work(
        struct move *move, Tether__Answer *answer, uint64_t now_ms, bool late)
{
	/* A handshake is soon over. */
	if (connections_are_between(move) && !late &&
	        now_ms - move->event_ms < deadlines_default.drain_ms)
		return WORKING;
	control_migration_begins();
	draw_numbers(move);
	if (step_may_begin(move, answer)) {
		step_learn_tables(move, false);
		evidence_report_pairs(move, answer);
	}
	return FINISHED;
}
