/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "preload/step_works.h"

#include <stdio.h>
#include <string.h>

#include "notifier/wire/answer.h"
#include "notifier/wire/rows.h"
#include "preload/step_parts.h"

void answer_outcome_is(
        Tether__Answer *answer, Tether__Outcome outcome, const char *reason, const char *text)
{
	answer->outcome = outcome;
	refusal_add(answer, "", reason, text);
}

void step_failed_with(Tether__Answer *answer, const char *reason, const char *what, int err)
{
	char text[128];

	snprintf(text, sizeof(text), "%s: %s", what, strerror(-err));
	answer_outcome_is(answer, TETHER__OUTCOME__OUTCOME_FAILED, reason, text);
}

/* What was counted since the last answer: the other end adds up. */
void step_add_counts(struct move *move, Tether__Answer *answer)
{
	Tether__Counts *counts = answer_counts(answer);

	if (!counts)
		return;
	*counts = move->counts;
	counts->processes = 1;
	counts->qps = move_count_concerned(move);
	tether__counts__init(&move->counts);
}

static step_work *const works[] = {
        [TETHER__STEP__STEP_PREPARE] = step_prepare_work,
        [TETHER__STEP__STEP_STOP] = step_stop_work,
        [TETHER__STEP__STEP_SETTLE] = step_settle_work,
        [TETHER__STEP__STEP_RELEASE] = step_release_work,
        [TETHER__STEP__STEP_ATTACH] = step_attach_work,
        [TETHER__STEP__STEP_RECONNECT] = step_reconnect_work,
        [TETHER__STEP__STEP_RESUME] = step_resume_work,
        [TETHER__STEP__STEP_ABORT] = step_abort_work,
        [TETHER__STEP__STEP_ERROR] = step_error_work,
};

step_work *step_work_for(Tether__Step step)
{
	return (unsigned)step < sizeof(works) / sizeof(works[0]) ? works[step] : NULL;
}
