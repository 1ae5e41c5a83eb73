/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * What a driver says, and the inventory that comes of it, orders included. The first byte says what
 * it was asked: 'i' the inventory, anything else an order.
 */
#include "notifier/driver/driver_output.h"

#include <stdlib.h>
#include <string.h>

#include "notifier/base/name.h"
#include "notifier/driver/host_inventory.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void claim(bool is_so)
{
	if (!is_so)
		abort();
}

/* Every name leads to the one that has it. */
static void names_lead(const struct host_inventory *inventory)
{
	for (size_t i = 0; i < inventory->vms_count; i++) {
		claim(name_is_fit(inventory->vms[i]->name));
		claim(host_inventory_vm(inventory, inventory->vms[i]->name) == inventory->vms[i]);
	}
	for (size_t i = 0; i < inventory->slots_count; i++) {
		claim(*inventory->slots[i]->name);
		claim(host_inventory_slot(inventory, inventory->slots[i]->name) ==
		        inventory->slots[i]);
	}
}

/* What the host's agent does with it: HELLO. */
static void can_be_said(const struct host_inventory *inventory)
{
	Tether__Hello hello = TETHER__HELLO__INIT, *again;
	uint8_t *bytes;
	size_t size;

	hello.vms = inventory->vms;
	hello.n_vms = inventory->vms_count;
	hello.slots = inventory->slots;
	hello.n_slots = inventory->slots_count;
	size = tether__hello__get_packed_size(&hello);
	bytes = malloc(size + 1);
	tether__hello__pack(&hello, bytes);
	again = tether__hello__unpack(NULL, size, bytes);
	claim(again && again->n_vms == inventory->vms_count &&
	        again->n_slots == inventory->slots_count);
	tether__hello__free_unpacked(again, NULL);
	free(bytes);
}

/* Each VM goes and comes back, to the slot after its own, with another's GUIDs. */
static void orders(struct host_inventory *inventory)
{
	for (size_t i = 0; i < inventory->vms_count; i++) {
		const char *vm = inventory->vms[i]->name;
		const char *slot = inventory->slots_count
		                           ? inventory->slots[i % inventory->slots_count]->name
		                           : "none";

		claim(!host_inventory_detached(inventory, vm, ""));
		host_inventory_guids(inventory, slot, i, ~i);
		claim(!host_inventory_attached(inventory, vm, slot));
	}
	host_inventory_vm_add(inventory, "new", "/run/new.sock");
	host_inventory_vm_remove(inventory, "vm1");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct host_inventory inventory = {0};
	struct driver_output output;
	char error[64] = "";
	int err;

	if (!size)
		return 0;
	host_inventory_vm_add(&inventory, "before", "");
	err = driver_output_read((const char *)data + 1, size - 1, *data == 'i', &output,
	        &inventory, error, sizeof(error));
	/* An error is always said, nothing is said without one, and it changes nothing. */
	claim(!err == !*error);
	if (err || !output.has_inventory) {
		claim(inventory.vms_count == 1 && host_inventory_vm(&inventory, "before"));
	} else {
		names_lead(&inventory);
		can_be_said(&inventory);
		orders(&inventory);
		can_be_said(&inventory);
	}
	host_inventory_clear(&inventory);
	return 0;
}
