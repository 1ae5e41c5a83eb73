/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * VMs that are without their device, or have one whose numbers are not known yet: RELEASE was
 * answered, RESUME has not come. A process that starts now was not asked to let go, and would open
 * what is about to be unplugged; or what has just been plugged in, and be given numbers by which
 * others of the VM are known. So it is given a RELEASE, without the tables, before it is welcome;
 * its answer is a late one. One that takes part in the migration must not take that for its own,
 * which brings it the other sides' evidence.
 */
#include "notifier/relay/relay_state.h"

#include "notifier/wire/message.h"

/* What a HELLO may name is looked through for each VM: no more than a process has open. */
enum { OPEN_MOST = 64 };

static void bare_copy_fill(Tether__Event *copy, const Tether__Event *event)
{
	*copy = *event;
	copy->step = TETHER__STEP__STEP_RELEASE;
	copy->to_vm = true;
	copy->to_peers = false;
	copy->expected = NULL;
	copy->n_expected = 0;
	copy->order = NULL;
	copy->evidence = NULL;
	copy->qps = NULL;
	copy->keys = NULL;
	copy->paths = NULL;
}

void relay_absence_end(struct vm_state *vm)
{
	if (vm->released)
		tether__event__free_unpacked(vm->released, NULL);
	vm->released = NULL;
}

/* Where the VM arrives nobody has heard of RELEASE. */
static bool begins_absence(const Tether__Event *event)
{
	if (event->order)
		return event->order->resume_follows;
	return event->to_vm && (event->step == TETHER__STEP__STEP_RELEASE ||
	                               event->step == TETHER__STEP__STEP_ATTACH);
}

/* RECONNECT follows an abort, too, where the device has stayed. An order that brings the device and
 * no RESUME is for a VM whose move has been given up. */
static bool ends_absence(const Tether__Event *event)
{
	if (event->order)
		return event->order->action == TETHER__HOST_ACTION__HOST_ATTACH ||
		       event->order->action == TETHER__HOST_ACTION__HOST_GIVE_BACK;
	return event->to_vm && event->step != TETHER__STEP__STEP_RECONNECT;
}

/* The end of one that was over before comes late, for who had missed it. */
static bool is_late_end(const struct vm_state *vm, const Tether__Event *event)
{
	return step_ends_migration(event->step) && vm->released &&
	       vm->released->migration != event->migration;
}

void relay_absence_note(struct relay *relay, const Tether__Event *event, uint64_t until_ms)
{
	struct vm_state *vm = relay_vm_find(relay, event->vm);
	bool begins = begins_absence(event);
	Tether__Event bare;

	if (vm && (begins || ends_absence(event)) && !is_late_end(vm, event))
		relay_absence_end(vm);
	if (!vm || !begins)
		return;
	bare_copy_fill(&bare, event);
	vm->released = message_copy(&bare.base);
	vm->released_until_ms = until_ms;
}

bool hello_takes_part(const Tether__Hello *hello, uint64_t migration)
{
	for (size_t i = 0; i < hello->n_open && i < OPEN_MOST; i++)
		if (hello->open[i] == migration)
			return true;
	return hello->migration == migration;
}

static Tether__Event *unknown_to(
        struct relay *relay, const struct child *child, const Tether__Hello *hello, uint64_t now_ms)
{
	struct vm_state *vm = child->vm ? relay_vm_find(relay, child->vm) : NULL;

	if (!vm || !vm->released || now_ms >= vm->released_until_ms ||
	        hello_takes_part(hello, vm->released->migration))
		return NULL;
	vm->released->overall_ms = (uint32_t)(vm->released_until_ms - now_ms);
	return vm->released;
}

void relay_absence_tell(
        struct relay *relay, const struct child *child, const Tether__Hello *hello, uint64_t now_ms)
{
	Tether__Frame frame = TETHER__FRAME__INIT;

	frame.body_case = TETHER__FRAME__BODY_EVENT;
	if (child_is_process(child))
		frame.event = unknown_to(relay, child, hello, now_ms);
	if (frame.event)
		relay_child_say(relay, child, &frame);
}

Tether__Event *relay_absence_unknown_to(
        struct relay *relay, const struct child *child, const Tether__Hello *hello, uint64_t now_ms)
{
	return child->is_guest ? unknown_to(relay, child, hello, now_ms) : NULL;
}

void relay_absence_learn(struct relay *relay, const Tether__Event *released, uint64_t now_ms)
{
	if (relay->settings.role != TETHER__ROLE__ROLE_GUEST || !released ||
	        !relay_vm_make(relay, released->vm))
		return;
	relay_absence_note(relay, released, now_ms + released->overall_ms);
}
