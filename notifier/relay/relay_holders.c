/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Processes of a VM that hold its device and are not here: nobody could make them let go of it.
 * They are looked for when all others have answered. An agent that was started again first gives
 * those who were connected the time that a child has to come back (`away_ms`).
 */
#include "notifier/relay/relay_state.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { STRANGERS_FIRST = 16 };

struct look {
	struct relay *relay;
	struct open_event *open;
};

/* One that has done its part and has lost its link for a moment is none who could not be made to
 * let go. Pid 0 is of a namespace that cannot be seen from here. */
static bool is_here(const struct look *look, uint32_t pid)
{
	const struct open_event *open = look->open;

	for (const struct child *child = look->relay->children.first; child && pid;
	        child = child->next)
		if (child->name && child_is_process(child) && child->kernel_pid == pid &&
		        !strcmp(child->vm, open->event->vm) &&
		        (child->connected || tally_has_answered(open->tally, child->name)))
			return true;
	return false;
}

/* What a child has of its parent's is the parent's to tell of, until it calls exec. */
static bool is_stranger(const struct look *look, uint32_t pid, uint32_t forked_by)
{
	return !is_here(look, pid) && !is_here(look, forked_by);
}

/* Nothing is left behind the commit but to fail: the last look is before it. What was broken by
 * then is mended, and who is named already is not named again for that. */
static bool is_looked_at(const struct relay *relay, const struct open_event *open)
{
	const Tether__Event *event = open->event;
	const struct vm_state *vm = relay_vm_find(relay, event->vm);

	if (!event->to_vm || !vm || !vm->is_here || !relay->outputs->holders)
		return false;
	return event->step == TETHER__STEP__STEP_PREPARE ||
	       (event->step == TETHER__STEP__STEP_SETTLE && vm->held_epoch != event->epoch);
}

static void stranger_refuse(void *context, uint32_t pid, uint32_t forked_by, const char *program)
{
	const struct look *look = context;
	char label[RELAY_LABEL_BYTES];

	if (!is_stranger(look, pid, forked_by))
		return;
	snprintf(label, sizeof(label), "%s/%u %s", look->open->event->vm, pid, program);
	text_make_printable(label);
	tally_refuse(look->open->tally, label, "veto-device-held",
	        "has the device open and is not connected here: end it, or start it with tether "
	        "run");
	relay_vm_find(look->relay, look->open->event->vm)->held_epoch = look->open->event->epoch;
}

void relay_holders_refuse(struct relay *relay, struct open_event *open)
{
	struct look look = {relay, open};

	if (is_looked_at(relay, open))
		relay->outputs->holders(relay->owner, open->event, stranger_refuse, &look);
}

/* Without memory for it nobody waits for him. */
static void stranger_note(void *context, uint32_t pid, uint32_t forked_by, const char *program)
{
	const struct look *look = context;
	struct strangers *strangers = &look->open->strangers;
	size_t room = strangers->room ? 2 * strangers->room : STRANGERS_FIRST;

	if (!is_stranger(look, pid, forked_by))
		return;
	if (strangers->count == strangers->room) {
		uint32_t *grown = realloc(strangers->pids, room * sizeof(*grown));

		if (!grown)
			return;
		strangers->pids = grown;
		strangers->room = room;
	}
	strangers->pids[strangers->count++] = pid;
}

static uint64_t strangers_until(const struct relay *relay, const struct open_event *open)
{
	uint64_t until_ms = relay->welcome_ms ? relay->welcome_ms + relay->settings.away_ms : 0;

	return until_ms < open->children_ms ? until_ms : open->children_ms;
}

bool relay_holders_may_come(struct relay *relay, struct open_event *open, uint64_t now_ms)
{
	struct look look = {relay, open};

	if (now_ms >= strangers_until(relay, open) || !is_looked_at(relay, open))
		return false;
	if (!open->strangers.looked)
		relay->outputs->holders(relay->owner, open->event, stranger_note, &look);
	open->strangers.looked = true;
	return open->strangers.count;
}

uint64_t relay_holders_next(const struct relay *relay, const struct open_event *open)
{
	return open->strangers.count ? strangers_until(relay, open) : UINT64_MAX;
}

void relay_holders_came(struct relay *relay, const struct child *child)
{
	for (struct open_event *open = relay->open; open; open = open->next) {
		struct strangers *strangers = &open->strangers;
		size_t kept = 0;

		if (!strangers->count || !child_is_process(child) ||
		        strcmp(child->vm, open->event->vm) != 0)
			continue;
		for (size_t i = 0; i < strangers->count; i++)
			if (strangers->pids[i] != child->kernel_pid)
				strangers->pids[kept++] = strangers->pids[i];
		strangers->count = kept;
	}
}
