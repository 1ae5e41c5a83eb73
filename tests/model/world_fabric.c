/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "tests/model/world_fabric.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "simfabric/attach.h"
#include "simfabric/data_faults.h"
#include "simfabric/net_file.h"
#include "simfabric/port_info.h"
#include "simfabric/slots.h"
#include "simfabric/switch_info.h"
#include "simfabric/topology.h"
#include "tests/model/world.h"

enum { LID_SWITCH = 1, LID_PF = 2, LID_VM = 10, LID_FREE = 40, GUID_VM = 0x100, GUID_FREE = 0x200 };

static struct fabric *fabric;
static char folder[64];

/* What a place has that moves with a VM. */
struct identity {
	uint16_t lid;
	uint64_t guid;
};

static struct identity identity_of_vm(unsigned vm)
{
	return (struct identity){(uint16_t)(LID_VM + vm), GUID_VM + vm};
}

static struct identity identity_of_free(unsigned slot)
{
	return (struct identity){(uint16_t)(LID_FREE + slot), GUID_FREE + slot};
}

void world_fabric_unname(void)
{
	char path[96];

	snprintf(path, sizeof(path), "%s/fabric", folder);
	fabric_destroy(path);
	rmdir(folder);
}

static _Noreturn void die(const char *what, int err)
{
	fprintf(stderr, "world: %s: %s\n", what, strerror(err < 0 ? -err : err));
	world_fabric_unname();
	_exit(2);
}

static void check(const char *what, int err)
{
	if (err)
		die(what, err);
}

static const char *slot_name(unsigned slot)
{
	static char name[16];

	snprintf(name, sizeof(name), "slot%u", slot);
	return name;
}

static const char *vm_name(unsigned vm)
{
	static char name[16];

	snprintf(name, sizeof(name), "vm%u", vm);
	return name;
}

static void write_net(char *text, size_t size)
{
	int at = snprintf(text, size,
	        "#mtu 1024\n#hypervisor \"hyp\" vswitch \"V\" pf \"P\"\nSwitch %d \"V\"\n[1] "
	        "\"P\"[1]\n",
	        WORLD_SLOTS + 1);

	for (unsigned slot = 0; slot < WORLD_SLOTS; slot++)
		at += snprintf(text + at, size - (size_t)at, "[%u] \"%s\"[1]\n", slot + 2,
		        slot_name(slot));
	at += snprintf(text + at, size - (size_t)at, "\nCa 1 \"P\"\n[1] \"V\"[1]\n");
	for (unsigned slot = 0; slot < WORLD_SLOTS; slot++)
		at += snprintf(text + at, size - (size_t)at, "\nCa 1 \"%s\"\n[1] \"V\"[%u]\n",
		        slot_name(slot), slot + 2);
}

static void set_route(uint16_t lid, unsigned out)
{
	uint32_t sw = fabric->nodes[node_find(fabric, "V")].switch_index;

	((uint8_t *)switch_lft(fabric, sw))[lid] = (uint8_t)~out;
	if (switch_info_linear_top(fabric->switches[sw].info) < lid)
		switch_info_set_linear_top(fabric->switches[sw].info, lid);
}

static void give_identity(unsigned slot, struct identity identity)
{
	uint32_t node = node_find(fabric, slot_name(slot));

	check("GUIDs of a slot",
	        ca_set_guids(fabric, slot_name(slot), identity.guid, identity.guid));
	port_info_set_lid(fabric->ports[node_port(fabric, node, 1)].info, identity.lid);
	set_route(identity.lid, slot + 2);
}

static void bring_up(void)
{
	port_info_set_lid(
	        fabric->ports[node_port(fabric, node_find(fabric, "V"), 0)].info, LID_SWITCH);
	port_info_set_lid(fabric->ports[node_port(fabric, node_find(fabric, "P"), 1)].info, LID_PF);
	set_route(LID_SWITCH, 0);
	set_route(LID_PF, 1);
	for (unsigned slot = 0; slot < WORLD_SLOTS; slot++)
		give_identity(slot, identity_of_free(slot));
	for (uint32_t i = 0; i < port_count(fabric); i++) {
		if (fabric->ports[i].peer != NO_INDEX)
			port_info_set_state(fabric->ports[i].info, PORT_ACTIVE);
	}
}

void world_fabric_make(uint64_t seed)
{
	char path[96], text[4096], error[256], dice[32];
	struct net *net;

	snprintf(folder, sizeof(folder), "/dev/shm/simfabric-world.XXXXXX");
	if (!mkdtemp(folder))
		die(folder, 1);
	snprintf(path, sizeof(path), "%s/fabric", folder);
	write_net(text, sizeof(text));
	if (net_parse("world", text, strlen(text), &net, error, sizeof(error)))
		die(error, 1);
	check("fabric", fabric_create(path, net));
	check("fabric", fabric_open(path, &fabric));
	net_destroy(net);
	bring_up();
	for (unsigned vm = 0; vm < WORLD_VMS; vm++)
		check("VM", vm_add(fabric, vm_name(vm)));
	snprintf(dice, sizeof(dice), "seed=%llu", (unsigned long long)seed % 1000000007);
	world_fabric_set(dice);
	setenv("SIMFABRIC", path, 1);
}

void world_fabric_close(void)
{
	fabric_close(fabric);
}

void world_fabric_set(const char *setting)
{
	fabric_lock(fabric);
	check(setting, data_faults_set(data_faults_of(fabric), setting));
	fabric_unlock(fabric);
}

/* ---- VMs ---- */

uint16_t world_lid_of(unsigned vm)
{
	return identity_of_vm(vm).lid;
}

int world_slot_of(unsigned vm)
{
	const struct vm *row;
	int slot;

	fabric_lock(fabric);
	row = vm_row(fabric, vm_find(fabric, vm_name(vm)));
	slot = (int)row->slot - 1;
	fabric_unlock(fabric);
	return slot < 0 ? -1 : atoi(slot_row(fabric, (uint32_t)slot)->name + strlen("slot"));
}

unsigned world_free_slot(void)
{
	unsigned slot;

	do {
		slot = world_draw(WORLD_SLOTS);
	} while (slot_row(fabric, slot_find(fabric, slot_name(slot)))->vm);
	return slot;
}

bool world_detach(unsigned vm)
{
	int slot = world_slot_of(vm);

	if (detach_vm(fabric, vm_name(vm), DETACH_ASK, 0))
		return false;
	give_identity((unsigned)slot, identity_of_free((unsigned)slot));
	return true;
}

void world_attach(unsigned vm, unsigned slot)
{
	give_identity(slot, identity_of_vm(vm));
	check("attach", attach_vm(fabric, vm_name(vm), slot_name(slot)));
}

void world_surprise(unsigned vm)
{
	int slot = world_slot_of(vm);

	check("detach", detach_vm(fabric, vm_name(vm), DETACH_SURPRISE, 0));
	give_identity((unsigned)slot, identity_of_free((unsigned)slot));
}
