/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Agents in VMs that are about to come: the VM has just arrived, or this agent has been started
 * again. Nobody names the processes of a first step, so without the agent in the VM PREPARE would
 * be answered without them, and the device taken away while they use it. It waits.
 */
#include "notifier/relay/relay_state.h"

#include <string.h>

void relay_guest_due(struct relay *relay, const char *name, uint64_t now_ms)
{
	struct vm_state *vm = relay_vm_find(relay, name);

	if (vm && vm->is_here && !vm->guest_until_ms)
		vm->guest_until_ms = now_ms + relay->settings.away_ms;
}

/* One that was here and is away is waited for as any child. */
static bool is_known(const struct relay *relay, const char *vm)
{
	const struct child *child = relay->children.first;

	while (child && !(child->is_guest && child->name && !strcmp(child->vm, vm)))
		child = child->next;
	return child;
}

uint64_t relay_guest_next(const struct relay *relay, const struct open_event *open)
{
	const Tether__Event *event = open->event;
	const struct vm_state *vm = event->step == TETHER__STEP__STEP_PREPARE && event->to_vm
	                                    ? relay_vm_find(relay, event->vm)
	                                    : NULL;

	if (!vm || !vm->guest_until_ms || is_known(relay, vm->name))
		return UINT64_MAX;
	return vm->guest_until_ms < open->children_ms ? vm->guest_until_ms : open->children_ms;
}

bool relay_guest_may_come(const struct relay *relay, const struct open_event *open, uint64_t now_ms)
{
	uint64_t until_ms = relay_guest_next(relay, open);

	return until_ms != UINT64_MAX && now_ms < until_ms;
}
