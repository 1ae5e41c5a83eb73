/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "sm-side/migration/admission.h"
#include "sm-side/migration/admission_vfs.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "sm-side/vm_change/vm_changes.h"

struct admission admission_refuse(const char *reason, const char *format, ...)
{
	struct admission admission = {.reason = reason};
	va_list args;

	va_start(args, format);
	vsnprintf(admission.text, sizeof(admission.text), format, args);
	va_end(args);
	return admission;
}

bool admission_has_asked(const struct migration *m)
{
	return m->state != STATE_LOCATING && m->state != STATE_DROPPING && !m->waits_turn;
}

const struct migration *admission_sharing(const struct under_way *under_way,
        const struct migration_intent *intent, char *const *names, size_t count)
{
	for (size_t i = 0; under_way && i < under_way->count; i++) {
		const struct migration *m = under_way->migrations[i];

		if (m->intent.id == intent->id || !admission_has_asked(m))
			continue;
		if (testimony_count_of_vm(
		            m->testimony.processes, m->testimony.process_count, intent->vm) ||
		        testimony_count_of_vm(names, count, m->intent.vm))
			return m;
	}
	return NULL;
}

struct admission admission_vm_is_free(const struct under_way *under_way, const char *vm)
{
	const struct vm_change *change =
	        under_way ? vm_changes_of_vm(under_way->changes, vm) : NULL;

	for (size_t i = 0; under_way && i < under_way->count; i++) {
		const struct migration *other = under_way->migrations[i];

		if (!strcmp(other->intent.vm, vm))
			return admission_refuse("vm-already-moving",
			        "%s is moving already (migration %" PRIu64 "); see tether status",
			        vm, other->intent.id);
	}
	if (!change)
		return (struct admission){0};
	return admission_refuse("vm-changing", "%s is being %s; ask again when that has ended", vm,
	        change->intent.destroys ? "destroyed" : "created");
}

struct admission admission_beside_others(
        const struct under_way *under_way, const char *vm, bool may_wait)
{
	struct migration_intent intent = {0};
	struct admission admission = admission_vm_is_free(under_way, vm);
	const struct migration *other;

	if (admission.reason)
		return admission;
	if (under_way && under_way->count >= under_way->most)
		return admission_refuse("busy",
		        "%zu migrations are under way (one is %" PRIu64 " of %s) and %zu may be at "
		        "a time; ask again when one has ended",
		        under_way->count, under_way->migrations[0]->intent.id,
		        under_way->migrations[0]->intent.vm, under_way->most);
	snprintf(intent.vm, sizeof(intent.vm), "%s", vm);
	other = may_wait ? NULL : admission_sharing(under_way, &intent, NULL, 0);
	if (!other)
		return (struct admission){0};
	return admission_refuse("busy",
	        "migration %" PRIu64
	        " of %s is under way and shares connections with %s; ask again when it has ended",
	        other->intent.id, other->intent.vm, vm);
}

struct admission admission_has_one_vf(
        const struct inventory *inventory, const char *host, const char *vm, const char *slot)
{
	const Tether__Slot *other =
	        *slot ? inventory_other_slot_of_vm(inventory, host, vm, slot, NULL) : NULL;

	if (!other)
		return (struct admission){0};
	return admission_refuse("several-vfs",
	        "%s has a VF in slot %s of %s and another in %s: nobody has said which one it is "
	        "to "
	        "give up; end what uses one of them, take that one away from the VM, and ask again",
	        vm, slot, host, other->name);
}

static bool is_place(const struct place *place, const char *host, const char *slot)
{
	return !strcmp(place->host, host) && !strcmp(place->slot, slot);
}

static bool has_slot(const struct migration_intent *intent, const char *host, const char *slot)
{
	for (unsigned i = 0; i < migration_vf_count(intent); i++)
		if (is_place(&intent->vfs[i].source, host, slot) ||
		        is_place(&intent->vfs[i].destination, host, slot))
			return true;
	return false;
}

const struct migration *admission_slot_holder(
        const struct under_way *under_way, const char *host, const char *slot)
{
	for (size_t i = 0; under_way && i < under_way->count; i++)
		if (has_slot(&under_way->migrations[i]->intent, host, slot))
			return under_way->migrations[i];
	return NULL;
}

bool admission_slot_is_held(const struct under_way *under_way, const char *host, const char *slot)
{
	return admission_slot_holder(under_way, host, slot) ||
	       (under_way && vm_changes_of_slot(under_way->changes, host, slot));
}

bool admission_slot_fits(const Tether__Slot *slot, const Tether__Slot *left)
{
	return !left || (slot->shared_port == left->shared_port && slot->dynamic == left->dynamic);
}

/* Its link may be up and the SM route to it for a VM that did not go to its end. */
static bool is_left_over(const struct inventory *inventory, const struct under_way *under_way,
        const char *host, const Tether__Slot *slot)
{
	const struct inventory_host *at;
	const struct vm_change *left = under_way ? vm_changes_left_in(under_way->changes, host,
	                                                   slot->name, slot->port_guid)
	                                         : NULL;
	const Tether__HostVm *vm = left ? inventory_vm(inventory, left->intent.vm, &at) : NULL;

	return left && (!vm || !*vm->slot);
}

const Tether__Slot *admission_free_slot(const struct inventory *inventory,
        const struct under_way *under_way, const char *host, const Tether__Slot *slot)
{
	do {
		slot = inventory_free_slot(inventory, host, slot);
	} while (slot && (admission_slot_is_held(under_way, host, slot->name) ||
	                         is_left_over(inventory, under_way, host, slot)));
	return slot;
}

struct admission admission_host(const struct inventory *inventory, const char *host)
{
	if (!inventory_find(inventory, host))
		return admission_refuse("unknown-host",
		        "no agent has ever called itself %s; see tether hosts", host);
	if (!inventory_is_connected(inventory, host))
		return admission_refuse("host-not-connected",
		        "the agent of %s is not connected; start it first", host);
	return (struct admission){0};
}

static struct admission hosts_check(const struct inventory *inventory,
        const struct inventory_host *source, const char *vm, const char *to)
{
	if (!inventory_find(inventory, to))
		return admission_refuse(
		        "unknown-host", "no agent has ever called itself %s; see tether hosts", to);
	if (!strcmp(source->name, to))
		return admission_refuse("same-host", "%s is on %s already", vm, to);
	if (!source->connected)
		return admission_refuse("host-not-connected",
		        "the agent of %s, where %s is, is not connected; start it first",
		        source->name, vm);
	if (!inventory_is_connected(inventory, to))
		return admission_refuse("host-not-connected",
		        "the agent of %s is not connected; start it first", to);
	return (struct admission){0};
}

struct admission admission_check(const struct inventory *inventory,
        const struct under_way *under_way, const char *vm, const char *to,
        struct migration_intent *intent)
{
	const struct inventory_host *source = NULL;
	const Tether__HostVm *found = inventory_vm(inventory, vm, &source);
	struct admission admission;

	if (!found)
		return admission_refuse(
		        "unknown-vm", "no host has a VM named %s; see tether vms", vm);
	admission = hosts_check(inventory, source, vm, to);
	if (!admission.reason)
		admission = admission_beside_others(under_way, vm, !intent->evacuation);
	if (!admission.reason)
		admission =
		        admission_vfs_fill(inventory, under_way, source->name, found, to, intent);
	return admission;
}

bool admission_is_reattach(const struct inventory *inventory, const char *vm, const char *to)
{
	const struct inventory_host *host = NULL;
	const Tether__HostVm *found = inventory_vm(inventory, vm, &host);

	return found && !*found->slot && !strcmp(host->name, to);
}

const Tether__Attributes *admission_attributes(
        const struct inventory *inventory, const struct migration_intent *intent, unsigned vf)
{
	const struct place *source = &intent->vfs[vf].source;
	const Tether__Slot *slot = inventory_slot(inventory, source->host, source->slot);

	return slot ? slot->attributes : NULL;
}
