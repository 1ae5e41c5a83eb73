/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "notifier/qmp/qmp_inventory.h"

#include <errno.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "notifier/driver/host_inventory.h"
#include "notifier/qmp/qmp_seen.h"
#include "notifier/qmp/qmp_settings.h"

int qmp_rows_make(struct qmp_rows *rows, const struct qmp_settings *settings)
{
	rows->settings = settings;
	rows->vm_is_here = calloc(settings->vms_count + 1, sizeof(*rows->vm_is_here));
	rows->slot_vm = calloc(settings->slots_count + 1, sizeof(*rows->slot_vm));
	if (rows->vm_is_here && rows->slot_vm)
		return 0;
	qmp_rows_clear(rows);
	return -ENOMEM;
}

void qmp_rows_clear(struct qmp_rows *rows)
{
	free(rows->vm_is_here);
	free(rows->slot_vm);
	*rows = (struct qmp_rows){0};
}

void qmp_rows_seen(struct qmp_rows *rows, size_t index, const struct qmp_seen *seen)
{
	const struct qmp_settings *settings = rows->settings;

	if (seen->state == QMP_VM_INCOMING || qmp_has_moved(seen))
		return;
	rows->vm_is_here[index] = true;
	for (size_t i = 0; i < settings->slots_count; i++)
		if (!rows->slot_vm[i] && qmp_seen_has(seen, settings->slots[i].id))
			rows->slot_vm[i] = settings->vms[index].name;
}

void qmp_rows_keep(struct qmp_rows *rows, size_t index, const struct host_inventory *known)
{
	const struct qmp_settings *settings = rows->settings;
	const char *vm = settings->vms[index].name;

	rows->vm_is_here[index] = host_inventory_vm(known, vm) != NULL;
	for (size_t i = 0; i < settings->slots_count; i++) {
		const Tether__Slot *slot = host_inventory_slot(known, settings->slots[i].name);

		if (rows->slot_vm[i] == vm)
			rows->slot_vm[i] = NULL;
		if (!rows->slot_vm[i] && rows->vm_is_here[index] && slot && !strcmp(slot->vm, vm))
			rows->slot_vm[i] = vm;
	}
}

/* Takes @value. */
static int member_add(struct json_object *object, const char *key, struct json_object *value)
{
	if (object && value && !json_object_object_add(object, key, value))
		return 0;
	json_object_put(value);
	return -ENOMEM;
}

static int text_add(struct json_object *object, const char *key, const char *text)
{
	return *text ? member_add(object, key, json_object_new_string(text)) : 0;
}

/* Takes @row. */
static int row_add(struct json_object *list, struct json_object *row, int err)
{
	if (!err && !json_object_array_add(list, row))
		return 0;
	json_object_put(row);
	return -ENOMEM;
}

/* "": none. */
static const char *first_slot(const struct qmp_rows *rows, const char *vm)
{
	for (size_t i = 0; i < rows->settings->slots_count; i++)
		if (rows->slot_vm[i] && !strcmp(rows->slot_vm[i], vm))
			return rows->settings->slots[i].name;
	return "";
}

static int vm_tell(const struct qmp_rows *rows, size_t index, struct json_object *list)
{
	const struct qmp_vm *vm = &rows->settings->vms[index];
	struct json_object *row = json_object_new_object();
	int err = text_add(row, "name", vm->name);

	if (!err)
		err = text_add(row, "slot", first_slot(rows, vm->name));
	if (!err)
		err = text_add(row, "guest", vm->guest);
	return row_add(list, row, err);
}

static int slot_tell(const struct qmp_rows *rows, size_t index, struct json_object *list)
{
	const struct qmp_slot *slot = &rows->settings->slots[index];
	struct json_object *row = json_object_new_object();
	int err = text_add(row, "name", slot->name);

	if (!err && rows->slot_vm[index])
		err = text_add(row, "vm", rows->slot_vm[index]);
	if (!err && slot->attributes)
		err = member_add(row, "attributes", json_object_get(slot->attributes));
	return row_add(list, row, err);
}

static int lists_tell(
        const struct qmp_rows *rows, struct json_object *vms, struct json_object *slots)
{
	int err = vms && slots ? 0 : -ENOMEM;

	for (size_t i = 0; i < rows->settings->vms_count && !err; i++)
		if (rows->vm_is_here[i])
			err = vm_tell(rows, i, vms);
	for (size_t i = 0; i < rows->settings->slots_count && !err; i++)
		err = slot_tell(rows, i, slots);
	return err;
}

int qmp_rows_tell(const struct qmp_rows *rows, struct host_inventory *inventory, char *error,
        size_t error_size)
{
	struct json_object *all = json_object_new_object();
	struct json_object *vms = json_object_new_array(), *slots = json_object_new_array();
	int err = lists_tell(rows, vms, slots), added = member_add(all, "vms", vms);

	if (!added)
		added = member_add(all, "slots", slots);
	else
		json_object_put(slots);
	if (!err)
		err = added;
	if (!err)
		err = host_inventory_decode(all, inventory, error, error_size);
	else
		snprintf(error, error_size, "no memory");
	json_object_put(all);
	return err;
}
