/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "sm-side/directory_state.h"

#include <errno.h>

static struct record vm_record(const struct directory_vm *vm)
{
	return (struct record){
	        RECORD_directory_vm, {.directory_vm = {vm->name, vm->host ? vm->host->name : ""}}};
}

static struct record slot_record(const struct directory_slot *slot)
{
	return (struct record){RECORD_directory_slot, {.directory_slot = {.host = slot->host->name,
	                                                       .slot = slot->name,
	                                                       .switch_guid = slot->switch_guid,
	                                                       .switch_port = slot->switch_port,
	                                                       .port_guid = slot->port_guid,
	                                                       .gone = !slot->known}}};
}

size_t directory_owed(const struct directory *directory, struct record *records, size_t most)
{
	size_t count = 0;

	for (const struct directory_vm *vm = directory->owed_vms; vm && count < most;
	        vm = vm->next_owed)
		records[count++] = vm_record(vm);
	for (const struct directory_slot *slot = directory->owed_slots; slot && count < most;
	        slot = slot->next_owed)
		records[count++] = slot_record(slot);
	return count;
}

static void vm_paid(struct directory *directory)
{
	struct directory_vm *vm = directory->owed_vms;

	directory->owed_vms = vm->next_owed;
	if (!directory->owed_vms)
		directory->owed_vms_end = &directory->owed_vms;
	vm->is_owed = false;
	directory_vm_tidy(directory, vm);
}

static void slot_paid(struct directory *directory)
{
	struct directory_slot *slot = directory->owed_slots;

	directory->owed_slots = slot->next_owed;
	if (!directory->owed_slots)
		directory->owed_slots_end = &directory->owed_slots;
	slot->is_owed = false;
	directory_slot_tidy(directory, slot);
}

void directory_paid(struct directory *directory, size_t count)
{
	for (; count && directory->owed_vms; count--)
		vm_paid(directory);
	for (; count && directory->owed_slots; count--)
		slot_paid(directory);
}

static int vm_take(struct directory *directory, const struct directory_vm_record *record)
{
	struct directory_host *host = directory_host_make(directory, record->host);
	struct directory_vm *vm = directory_vm_make(directory, record->vm);

	if (!host || !vm)
		return -ENOMEM;
	directory_vm_put(directory, vm, host);
	return 0;
}

static int slot_take(struct directory *directory, const struct directory_slot_record *record)
{
	struct directory_host *host = directory_host_make(directory, record->host);
	struct directory_slot *slot =
	        host ? directory_slot_make(directory, host, record->slot) : NULL;

	if (!slot)
		return -ENOMEM;
	return directory_slot_put(
	        directory, slot, record->switch_guid, record->switch_port, record->port_guid);
}

int directory_take(struct directory *directory, const struct record *record)
{
	const union record_value *value = &record->value;

	if (record->kind == RECORD_directory_vm && *value->directory_vm.host)
		return vm_take(directory, &value->directory_vm);
	if (record->kind == RECORD_directory_slot && !value->directory_slot.gone)
		return slot_take(directory, &value->directory_slot);
	return -EBADMSG;
}
