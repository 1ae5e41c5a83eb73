/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * A child that is late again and again costs every event its whole deadline. From the third in a
 * row on it is handed events as before and not waited for, where nothing is lost by that: before a
 * migration's commit, whose answer then names it at once. After the commit everybody has all of the
 * time. Whatever it answers, however late, or its HELLO, ends that.
 */
#include "notifier/relay/relay_state.h"

enum { LATE_MOST = 3 };

static bool may_be_left_out(Tether__Step step)
{
	return step == TETHER__STEP__STEP_PREPARE || step == TETHER__STEP__STEP_STOP ||
	       step == TETHER__STEP__STEP_SETTLE;
}

bool relay_waits_for(const struct child *child, const Tether__Event *event)
{
	return child->late < LATE_MOST || event->order || !may_be_left_out(event->step);
}

void relay_late_note(struct relay *relay, struct open_event *open)
{
	for (struct child *child = relay->children.first; child; child = child->next) {
		char label[RELAY_LABEL_BYTES];

		if (!child->name || !child->connected || !tally_awaits(open->tally, child->name))
			continue;
		relay->counts.late_children++;
		if (!relay_waits_for(child, open->event)) {
			relay_child_label(child, label, sizeof(label));
			tally_blame(open->tally, label, "quarantined",
			        "it was late again and again, and is not waited for");
		}
		child->late++;
	}
}

void relay_heard(struct child *child)
{
	child->late = 0;
}
