/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Ends of migrations that somebody has missed: an agent in a VM that was still looking for its host
 * when the move was over, a process that had been told of RELEASE and lost its link. Neither takes
 * part, so nobody has waited for it. The last end of each VM's migrations is kept here, and given
 * to whom HELLO names that migration as open, and to each agent that comes from the VM itself: it
 * may have been started again, and have processes that wait for the end. Where a host has itself
 * been started again, and knows of no end, the root's word that the VM is at rest ends it in the
 * guest.
 */
#include "notifier/relay/relay_state.h"

#include <string.h>

#include "notifier/wire/message.h"

void relay_missed_forget(struct vm_state *vm)
{
	if (vm->end)
		tether__event__free_unpacked(vm->end, NULL);
	vm->end = NULL;
}

/* Agents between and the root have no such children. */
static bool keeps_ends(const struct relay *relay)
{
	return relay->settings.role == TETHER__ROLE__ROLE_HOST ||
	       relay->settings.role == TETHER__ROLE__ROLE_GUEST;
}

static void end_keep(struct vm_state *vm, const Tether__Event *event)
{
	Tether__Event bare = *event;

	bare.expected = NULL;
	bare.n_expected = 0;
	relay_missed_forget(vm);
	vm->end = message_copy(&bare.base);
}

void relay_missed_note(struct relay *relay, const Tether__Event *event)
{
	struct vm_state *vm = relay_vm_find(relay, event->vm);

	if (vm && keeps_ends(relay) && (!vm->end || vm->end->epoch <= event->epoch))
		end_keep(vm, event);
}

bool relay_missed_is(const struct relay *relay, const struct event_key *key)
{
	for (const struct vm_state *vm = relay->vms; vm; vm = vm->next)
		if (vm->end && event_key_equal(event_key(vm->end), *key))
			return true;
	return false;
}

static void end_say(struct relay *relay, const struct child *child, const struct vm_state *vm)
{
	Tether__Event event = *vm->end;
	Tether__Frame frame = TETHER__FRAME__INIT;

	event.to_vm = child_has_vm(child, vm->name);
	event.to_peers = !event.to_vm;
	frame.body_case = TETHER__FRAME__BODY_EVENT;
	frame.event = &event;
	relay_child_say(relay, child, &frame);
}

/* Nothing of a later migration has come. */
static bool is_at_end(const struct vm_state *vm)
{
	return vm->end->epoch == vm->epoch &&
	       (!vm->migration || vm->end->migration == vm->migration);
}

static bool is_missed_by(
        const struct vm_state *vm, const struct child *child, const Tether__Hello *hello)
{
	if (!vm->end)
		return false;
	return hello_takes_part(hello, vm->end->migration) ||
	       (child->is_guest && child_has_vm(child, vm->name) && is_at_end(vm));
}

void relay_missed_tell(struct relay *relay, const struct child *child, const Tether__Hello *hello)
{
	for (const struct vm_state *vm = relay->vms; child->vm && vm; vm = vm->next)
		if (is_missed_by(vm, child, hello))
			end_say(relay, child, vm);
}

/* What the root says of a migration that is done to who has missed it (its last step has a lower
 * number): who has not been told to attach ends with errors, who waits for the device goes on. */
static void resume_make(const struct relay *relay, struct vm_state *vm)
{
	Tether__Event resume = *vm->released;

	resume.step = TETHER__STEP__STEP_RESUME;
	if (resume.epoch < vm->epoch)
		resume.epoch = vm->epoch;
	if (resume.migration == relay->last.migration && resume.sequence < relay->last.sequence)
		resume.sequence = relay->last.sequence;
	resume.sequence++;
	end_keep(vm, &resume);
}

static void released_end(struct relay *relay, struct vm_state *vm)
{
	resume_make(relay, vm);
	relay_absence_end(vm);
	for (struct child *child = relay->children.first; vm->end && child; child = child->next)
		if (child->connected && child->name && child_is_process(child))
			end_say(relay, child, vm);
}

static bool is_begun(const struct relay *relay, uint64_t migration)
{
	for (size_t i = 0; i < relay->begun_count; i++)
		if (relay->begun[i] == migration)
			return true;
	return false;
}

void relay_missed_look(struct relay *relay, const Tether__VmPlace *place)
{
	struct vm_state *vm = relay_vm_find(relay, place->vm);

	if (relay->settings.role != TETHER__ROLE__ROLE_GUEST || !place->at_rest || !vm)
		return;
	if (vm->released)
		released_end(relay, vm);
	if (!is_begun(relay, vm->migration))
		return;
	relay_migration_ends(relay, vm->migration);
	relay_barrier_lift(relay, vm->migration);
}
