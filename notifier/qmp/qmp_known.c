/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "notifier/qmp/qmp_known.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "notifier/qmp/qmp_settings.h"
#include "notifier/wire/message.h"

static int vms_copy(const struct host_inventory *from, struct host_inventory *to)
{
	to->vms = calloc(from->vms_count + 1, sizeof(*to->vms));
	for (size_t i = 0; to->vms && i < from->vms_count; i++) {
		to->vms[i] = message_copy(&from->vms[i]->base);
		if (!to->vms[i])
			return -ENOMEM;
		to->vms_count++;
	}
	return to->vms ? 0 : -ENOMEM;
}

static int slots_copy(const struct host_inventory *from, struct host_inventory *to)
{
	to->slots = calloc(from->slots_count + 1, sizeof(*to->slots));
	for (size_t i = 0; to->slots && i < from->slots_count; i++) {
		to->slots[i] = message_copy(&from->slots[i]->base);
		if (!to->slots[i])
			return -ENOMEM;
		to->slots_count++;
	}
	return to->slots ? 0 : -ENOMEM;
}

static int inventory_copy(const struct host_inventory *from, struct host_inventory *to)
{
	struct host_inventory copy = {0};

	if (vms_copy(from, &copy) || slots_copy(from, &copy)) {
		host_inventory_clear(&copy);
		return -ENOMEM;
	}
	*to = copy;
	return 0;
}

int qmp_known_tell(const struct qmp_known *known, struct host_inventory *told)
{
	return inventory_copy(&known->inventory, told);
}

int qmp_known_renew(
        struct qmp_known *known, struct host_inventory *fresh, struct host_inventory *told)
{
	int err = inventory_copy(fresh, told);

	if (err)
		return err;
	host_inventory_clear(&known->inventory);
	known->inventory = *fresh;
	*fresh = (struct host_inventory){0};
	known->is_whole = true;
	return 0;
}

bool qmp_gives_a_vf(const Tether__HostOrder *order)
{
	return order->action == TETHER__HOST_ACTION__HOST_ATTACH ||
	       order->action == TETHER__HOST_ACTION__HOST_GIVE_BACK;
}

/* A VM that has come, and how the agent in it is reached. */
static int vm_add(struct qmp_known *known, const struct qmp_vm *vm)
{
	Tether__HostVm *row;
	char *guest;

	if (host_inventory_vm(&known->inventory, vm->name))
		return 0;
	if (host_inventory_vm_add(&known->inventory, vm->name, ""))
		return -ENOMEM;
	if (!*vm->guest)
		return 0;
	row = host_inventory_vm(&known->inventory, vm->name);
	guest = strdup(vm->guest);
	if (guest)
		row->guest = guest;
	return guest ? 0 : -ENOMEM;
}

int qmp_known_change(struct qmp_known *known, const struct qmp_settings *settings,
        const Tether__HostOrder *order)
{
	int err;

	if (order->action == TETHER__HOST_ACTION__HOST_MOVE)
		host_inventory_vm_remove(&known->inventory, order->vm);
	if (order->action == TETHER__HOST_ACTION__HOST_DETACH)
		return host_inventory_detached(&known->inventory, order->vm, order->slot);
	if (!qmp_gives_a_vf(order))
		return 0;
	err = vm_add(known, qmp_settings_vm(settings, order->vm));
	return err ? err : host_inventory_attached(&known->inventory, order->vm, order->slot);
}

void qmp_known_clear(struct qmp_known *known)
{
	host_inventory_clear(&known->inventory);
	*known = (struct qmp_known){0};
}
