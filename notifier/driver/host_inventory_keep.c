/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* An inventory that was looked for while orders were under way. */
#include "notifier/driver/host_inventory.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "notifier/wire/message.h"

static Tether__HostVm **vm_find(const struct host_inventory *inventory, const char *name)
{
	for (size_t i = 0; i < inventory->vms_count; i++)
		if (!strcmp(inventory->vms[i]->name, name))
			return &inventory->vms[i];
	return NULL;
}

/* Takes @row. */
static int vm_append(struct host_inventory *inventory, Tether__HostVm *row)
{
	Tether__HostVm **grown =
	        reallocarray(inventory->vms, inventory->vms_count + 1, sizeof(*grown));

	if (!grown) {
		tether__host_vm__free_unpacked(row, NULL);
		return -ENOMEM;
	}
	inventory->vms = grown;
	inventory->vms[inventory->vms_count++] = row;
	return 0;
}

static int vm_keep(
        struct host_inventory *fresh, const struct host_inventory *known, const char *name)
{
	const Tether__HostVm *had = host_inventory_vm(known, name);
	Tether__HostVm **has = vm_find(fresh, name), *row;

	if (!had) {
		host_inventory_vm_remove(fresh, name);
		return 0;
	}
	row = message_copy(&had->base);
	if (!row)
		return -ENOMEM;
	if (!has)
		return vm_append(fresh, row);
	tether__host_vm__free_unpacked(*has, NULL);
	*has = row;
	return 0;
}

static bool is_of(const Tether__Slot *row, const char *vm)
{
	return *vm && !strcmp(row->vm, vm);
}

int host_inventory_keep(struct host_inventory *fresh, const struct host_inventory *known,
        const char *vm, const char *slot)
{
	int err = vm_keep(fresh, known, vm);

	for (size_t i = 0; i < fresh->slots_count && !err; i++) {
		Tether__Slot **has = &fresh->slots[i], *row;
		const Tether__Slot *had = host_inventory_slot(known, (*has)->name);

		if (!had || (strcmp(had->name, slot) && !is_of(had, vm) && !is_of(*has, vm)))
			continue;
		row = message_copy(&had->base);
		if (!row)
			return -ENOMEM;
		tether__slot__free_unpacked(*has, NULL);
		*has = row;
	}
	return err;
}
