/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* An inventory that was looked for while orders were under way. */
#include "notifier/driver/host_inventory.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

int host_inventory_room(struct host_inventory *fresh, const struct host_inventory *known)
{
	Tether__HostVm **grown =
	        reallocarray(fresh->vms, fresh->vms_count + known->vms_count + 1, sizeof(*grown));

	if (!grown)
		return -ENOMEM;
	fresh->vms = grown;
	return 0;
}

static Tether__HostVm **vm_find(const struct host_inventory *inventory, const char *name)
{
	for (size_t i = 0; i < inventory->vms_count; i++)
		if (!strcmp(inventory->vms[i]->name, name))
			return &inventory->vms[i];
	return NULL;
}

static void vm_keep(struct host_inventory *fresh, struct host_inventory *known, const char *name)
{
	Tether__HostVm **has = vm_find(fresh, name), **had = vm_find(known, name), *row;

	if (has && had) {
		row = *has;
		*has = *had;
		*had = row;
	} else if (has) {
		host_inventory_vm_remove(fresh, name);
	} else if (had) {
		fresh->vms[fresh->vms_count++] = *had;
		*had = known->vms[--known->vms_count];
	}
}

static bool is_of(const Tether__Slot *row, const char *vm)
{
	return *vm && !strcmp(row->vm, vm);
}

void host_inventory_keep(struct host_inventory *fresh, struct host_inventory *known, const char *vm,
        const char *slot)
{
	vm_keep(fresh, known, vm);
	for (size_t i = 0; i < known->slots_count; i++) {
		Tether__Slot **had = &known->slots[i], **has = fresh->slots, *row;
		size_t left = fresh->slots_count;

		while (left && strcmp((*has)->name, (*had)->name)) {
			has++;
			left--;
		}
		if (!left || (strcmp((*had)->name, slot) && !is_of(*had, vm) && !is_of(*has, vm)))
			continue;
		row = *has;
		*has = *had;
		*had = row;
	}
}
