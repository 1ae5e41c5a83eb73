/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "sm-side/directory/directory_state.h"

#include <errno.h>
#include <stdlib.h>

static struct record vm_record(const struct directory_vm *vm)
{
	const struct directory_vm_record row = {.vm = vm->name,
	        .host = vm->host ? vm->host->name : "",
	        .port = vm->port,
	        .located = vm->located,
	        .shared_port = vm->shared_port,
	        .lids = vm->lids_text ? vm->lids_text : "",
	        .pkeys = vm->pkeys_text ? vm->pkeys_text : ""};

	return (struct record){RECORD_directory_vm, {.directory_vm = row}};
}

static struct record slot_record(const struct directory_slot *slot)
{
	const struct directory_slot_record row = {.host = slot->host->name,
	        .slot = slot->name,
	        .switch_guid = slot->switch_guid,
	        .switch_port = slot->switch_port,
	        .port_guid = slot->port_guid,
	        .gone = !slot->known};

	return (struct record){RECORD_directory_slot, {.directory_slot = row}};
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

/* How many numbers of 16 bits; -EBADMSG. */
static int numbers_parse(const char *text, uint32_t *numbers, int most)
{
	int count = 0;

	while (*text && count < most) {
		char *end;
		unsigned long number = strtoul(text, &end, 0);

		if (end == text || number > UINT16_MAX || (*end && *end != ' '))
			return -EBADMSG;
		numbers[count++] = (uint32_t)number;
		text = *end ? end + 1 : end;
	}
	return *text ? -EBADMSG : count;
}

static int vm_locate(struct directory *directory, struct directory_vm *vm,
        const struct directory_vm_record *record)
{
	uint32_t lids[DIRECTORY_LIDS], pkeys[DIRECTORY_PKEYS];
	int lid_count = numbers_parse(record->lids, lids, DIRECTORY_LIDS);
	int pkey_count = numbers_parse(record->pkeys, pkeys, DIRECTORY_PKEYS);
	const struct directory_place place = {.port = record->port,
	        .located = record->located,
	        .shared_port = record->shared_port,
	        .lids = lids,
	        .lid_count = (size_t)lid_count,
	        .pkeys = pkeys,
	        .pkey_count = (size_t)pkey_count};

	if (lid_count < 0 || pkey_count < 0)
		return -EBADMSG;
	return directory_vm_locate(directory, vm, &place);
}

static int vm_take(struct directory *directory, const struct directory_vm_record *record)
{
	struct directory_host *host = directory_host_make(directory, record->host);
	struct directory_vm *vm = directory_vm_make(directory, record->vm);

	if (!host || !vm || directory_vm_put(directory, vm, host))
		return -ENOMEM;
	return vm_locate(directory, vm, record);
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
