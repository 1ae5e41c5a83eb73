/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * "This VM has moved": news for agents, not a step for processes. It concerns whoever has interest
 * in the VM's address, is handed on to agents alone, and said to this relay's owner once for each
 * epoch: not when it comes again, and not when the VM has begun to move once more.
 */
#include "notifier/relay/relay_state.h"

bool step_is_news(Tether__Step step)
{
	return step == TETHER__STEP__STEP_MOVED;
}

static void answer_done(struct relay *relay, const Tether__Event *event)
{
	Tether__Answer answer;

	answer_begin(&answer, event_key(event));
	answer.outcome = TETHER__OUTCOME__OUTCOME_DONE;
	relay_answer_up(relay, &answer);
}

bool relay_moved_is_known(struct relay *relay, const Tether__Event *event)
{
	struct vm_state *vm = relay_vm_find(relay, event->vm);

	if (!step_is_news(event->step) || !vm)
		return false;
	if (vm->moved_epoch >= event->epoch) {
		relay->counts.repeated_events++;
		answer_done(relay, event);
		return true;
	}
	vm->moved_epoch = event->epoch;
	return false;
}

void relay_moved_say(struct relay *relay, const Tether__Event *event)
{
	if (!step_is_news(event->step) || !relay->outputs->moved)
		return;
	relay->counts.moved++;
	relay->outputs->moved(relay->owner, event);
}

int relay_own_interest(struct relay *relay, const struct address *address, bool drop)
{
	return registration_own(relay->registration, CHILDREN_SELF, address, drop);
}
