/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* Processes of a VM that hold its device and are not here: nobody could make them let go of it. */
#include "notifier/relay/relay_state.h"

#include <stdio.h>
#include <string.h>

struct look {
	struct relay *relay;
	struct open_event *open;
};

/* Pid 0 is of a namespace that cannot be seen from here. */
static bool is_here(const struct relay *relay, const char *vm, uint32_t pid)
{
	for (const struct child *child = relay->children.first; child && pid; child = child->next)
		if (child->connected && child->name && child_is_process(child) &&
		        child->kernel_pid == pid && !strcmp(child->vm, vm))
			return true;
	return false;
}

/* What a child has of its parent's is the parent's to tell of: it has a moment to call exec. */
static void holder_refuse(void *context, uint32_t pid, uint32_t parent, const char *program)
{
	const struct look *look = context;
	const char *vm = look->open->event->vm;
	char label[RELAY_LABEL_BYTES];

	if (is_here(look->relay, vm, pid) || is_here(look->relay, vm, parent))
		return;
	snprintf(label, sizeof(label), "%s/%u %s", vm, pid, program);
	tally_refuse(look->open->tally, label, "veto-device-held",
	        "has the device open and is not connected here: end it, or start it with tether "
	        "run");
}

void relay_holders_look(struct relay *relay, struct open_event *open)
{
	const Tether__Event *event = open->event;
	const struct vm_state *vm = relay_vm_find(relay, event->vm);
	struct look look = {relay, open};

	if (event->step == TETHER__STEP__STEP_PREPARE && event->to_vm && vm && vm->is_here &&
	        relay->outputs->holders)
		relay->outputs->holders(relay->owner, event->vm, holder_refuse, &look);
}
