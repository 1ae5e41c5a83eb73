/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "simfabric/attach.h"

#include <errno.h>
#include <linux/futex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "simfabric/clients.h"
#include "simfabric/fault_points.h"
#include "simfabric/links.h"
#include "simfabric/net_file.h"

enum {
	HOLDS_PER_CLIENT = 8, /* a client sees one VF at a time; the others are dead contexts */
	REAP_EVERY_MS = 20,   /* nobody wakes a waiter when a holder is killed */
};

struct hold {
	uint32_t slot; /* index + 1; 0: free */
	uint32_t contexts;
	uint64_t generation;
};

struct attach_table {
	uint32_t vm_count;
	uint32_t changes; /* futex: woken whenever a VF leaves */
	struct hold holds[CLIENTS_MAX][HOLDS_PER_CLIENT];
	struct vm vms[VMS_MAX];
};

static struct attach_table *table(const struct fabric *fabric)
{
	return fabric_section(fabric, SECTION_ATTACH);
}

size_t attach_size(const struct net *net)
{
	return sizeof(struct attach_table);
}

const struct vm *vm_row(const struct fabric *fabric, uint32_t index)
{
	return index < table(fabric)->vm_count ? &table(fabric)->vms[index] : NULL;
}

uint32_t vm_find(const struct fabric *fabric, const char *name)
{
	const struct vm *vm;

	for (uint32_t i = 0; (vm = vm_row(fabric, i)); i++) {
		if (!strcmp(vm->name, name))
			return i;
	}
	return NO_INDEX;
}

static void set_place(
        const struct fabric *fabric, uint32_t node, uint32_t slot, struct hca_place *place)
{
	const struct node *n = &fabric->nodes[node];
	const struct slot *s = slot == NO_INDEX ? NULL : slot_row(fabric, slot);

	place->port = n->first_port;
	place->slot = slot;
	place->generation = s ? (uint32_t)s->generation : 0;
	place->attachments = 0;
	snprintf(place->device_name, sizeof(place->device_name), "%.63s", s ? s->name : n->name);
}

static int current_of_vm(const struct fabric *fabric, const char *name, struct hca_place *place)
{
	uint32_t vm = vm_find(fabric, name), slot;

	if (vm == NO_INDEX || !table(fabric)->vms[vm].slot)
		return -ENODEV;
	slot = (uint32_t)table(fabric)->vms[vm].slot - 1;
	if (slot_row(fabric, slot)->is_asked)
		return -ENODEV;
	set_place(fabric, slot_row(fabric, slot)->node, slot, place);
	place->attachments = (uint32_t)table(fabric)->vms[vm].attachments;
	return 0;
}

static unsigned places_of_vms(
        struct fabric *fabric, const char *names, struct hca_place places[ATTACH_PLACES_MAX])
{
	char name[NODE_NAME_BYTES];
	unsigned count = 0;

	fabric_lock(fabric);
	while (count < ATTACH_PLACES_MAX && *names) {
		size_t length = strcspn(names, " ");

		snprintf(name, sizeof(name), "%.*s", (int)length, names);
		count += !current_of_vm(fabric, name, &places[count]);
		names += length + strspn(names + length, " ");
	}
	fabric_unlock(fabric);
	return count;
}

unsigned attach_places(struct fabric *fabric, struct hca_place places[ATTACH_PLACES_MAX])
{
	const char *vms = getenv("SIMFABRIC_VM"), *name = getenv("SIMFABRIC_NODE");
	uint32_t node;

	if (vms)
		return places_of_vms(fabric, vms, places);
	node = name ? node_find(fabric, name) : NO_INDEX;
	if (node == NO_INDEX || node_is_switch(&fabric->nodes[node]))
		return 0;
	set_place(fabric, node, fabric->nodes[node].slot, places);
	return 1;
}

int attach_current(struct fabric *fabric, struct hca_place *place)
{
	struct hca_place places[ATTACH_PLACES_MAX];

	if (!attach_places(fabric, places))
		return -ENODEV;
	*place = places[0];
	return 0;
}

int attach_named(struct fabric *fabric, const char *device_name, struct hca_place *place)
{
	struct hca_place places[ATTACH_PLACES_MAX];
	unsigned count = attach_places(fabric, places);

	for (unsigned i = 0; i < count; i++)
		if (!strcmp(places[i].device_name, device_name)) {
			*place = places[i];
			return 0;
		}
	return -ENODEV;
}

uint64_t place_node_guid(const struct fabric *fabric, const struct hca_place *place)
{
	if (place->slot != NO_INDEX)
		return slot_node_guid(fabric, place->slot);
	return fabric->nodes[fabric->ports[place->port].node].guid;
}

uint64_t place_port_guid(const struct fabric *fabric, const struct hca_place *place)
{
	if (place->slot != NO_INDEX)
		return slot_port_guid(fabric, place->slot);
	return fabric->ports[place->port].guid;
}

static bool is_held(const struct fabric *fabric, uint32_t slot)
{
	const struct attach_table *t = table(fabric);

	for (uint32_t client = 0; client_row(fabric, client); client++) {
		for (unsigned i = 0; i < HOLDS_PER_CLIENT; i++) {
			const struct hold *hold = &t->holds[client][i];

			if (hold->slot == slot + 1 &&
			        hold->generation == slot_of_attach(fabric, slot)->generation)
				return true;
		}
	}
	return false;
}

/* Tie @vm and @slot, or part them where @vm is NO_INDEX, in one change. */
static void change_slot(struct fabric *fabric, uint32_t slot, uint32_t vm)
{
	struct attach_table *t = table(fabric);
	struct slot *s = slot_of_attach(fabric, slot);
	uint64_t none = 0, generation = s->generation + 1, vm_value, slot_value = slot + 1;
	uint64_t attachments;

	if (vm == NO_INDEX) {
		redo_put(fabric, &t->vms[s->vm - 1].slot, &none, sizeof(none));
		redo_put(fabric, &s->vm, &none, sizeof(none));
	} else {
		vm_value = vm + 1;
		attachments = t->vms[vm].attachments + 1;
		redo_put(fabric, &t->vms[vm].attachments, &attachments, sizeof(attachments));
		redo_put(fabric, &t->vms[vm].slot, &slot_value, sizeof(slot_value));
		redo_put(fabric, &s->vm, &vm_value, sizeof(vm_value));
	}
	redo_put(fabric, &s->is_asked, &none, sizeof(none));
	redo_put(fabric, &s->generation, &generation, sizeof(generation));
	redo_commit(fabric);
}

/* With dynamic LIDs the port comes up with its VM, and goes down with it: its switch says so. */
static void follow_with_link(struct fabric *fabric, uint32_t slot)
{
	const struct slot *s = slot_row(fabric, slot);

	if (hypervisor_row(fabric, s->hypervisor)->is_dynamic)
		link_plug(fabric, fabric->nodes[s->node].first_port, s->vm);
}

static void wake_waiters(struct fabric *fabric)
{
	__atomic_add_fetch(&table(fabric)->changes, 1, __ATOMIC_RELEASE);
	syscall(SYS_futex, &table(fabric)->changes, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

/* A VF that was asked for leaves once nobody holds it. */
static void leave_if_unheld(struct fabric *fabric, uint32_t slot)
{
	if (!slot_of_attach(fabric, slot)->is_asked || is_held(fabric, slot))
		return;
	change_slot(fabric, slot, NO_INDEX);
	if (!slot_of_attach(fabric, slot)->keeps_link)
		follow_with_link(fabric, slot);
	wake_waiters(fabric);
}

static struct hold *find_hold(struct fabric *fabric, uint32_t slot, uint64_t generation)
{
	struct hold *holds = table(fabric)->holds[fabric->client], *free_one = NULL;

	for (unsigned i = 0; i < HOLDS_PER_CLIENT; i++) {
		if (holds[i].slot == slot + 1 && holds[i].generation == generation)
			return &holds[i];
		if (!holds[i].slot && !free_one)
			free_one = &holds[i];
	}
	return free_one;
}

static int take_hold(struct fabric *fabric, uint32_t slot, const struct hca_place *place)
{
	struct hold *hold;

	if (slot_of_attach(fabric, slot)->generation != place->generation ||
	        slot_of_attach(fabric, slot)->is_asked)
		return -ENODEV;
	hold = find_hold(fabric, slot, place->generation);
	if (!hold)
		return -ENOSPC;
	hold->generation = place->generation;
	hold->contexts++;
	__atomic_store_n(&hold->slot, slot + 1, __ATOMIC_RELEASE);
	return 0;
}

int attach_hold(struct fabric *fabric, const struct hca_place *place)
{
	uint32_t slot = place->slot;
	int r = slot == NO_INDEX ? 0 : client_join(fabric);

	if (r || slot == NO_INDEX)
		return r;
	fabric_lock(fabric);
	r = take_hold(fabric, slot, place);
	fabric_unlock(fabric);
	return r;
}

void attach_let_go(struct fabric *fabric, const struct hca_place *place)
{
	uint32_t slot = place->slot;
	struct hold *hold;

	if (slot == NO_INDEX || fabric->client == NO_INDEX)
		return;
	fabric_lock(fabric);
	hold = find_hold(fabric, slot, place->generation);
	if (hold && hold->slot && !--hold->contexts) {
		hold->slot = 0;
		leave_if_unheld(fabric, slot);
	}
	fabric_unlock(fabric);
}

void attach_client_gone(struct fabric *fabric, uint32_t client)
{
	struct hold *holds = table(fabric)->holds[client];

	for (unsigned i = 0; i < HOLDS_PER_CLIENT; i++) {
		uint32_t slot = holds[i].slot;

		holds[i].contexts = 0;
		if (!slot)
			continue;
		holds[i].slot = 0;
		leave_if_unheld(fabric, slot - 1);
	}
}

enum attach_state attach_state(struct fabric *fabric, const struct hca_place *place)
{
	uint32_t slot = place->slot;
	const struct slot *s;

	if (slot == NO_INDEX)
		return ATTACH_HELD;
	s = slot_of_attach(fabric, slot);
	if (__atomic_load_n(&s->generation, __ATOMIC_ACQUIRE) != place->generation)
		return ATTACH_GONE;
	return __atomic_load_n(&s->is_asked, __ATOMIC_ACQUIRE) ? ATTACH_ASKED : ATTACH_HELD;
}

int vm_add(struct fabric *fabric, const char *name)
{
	struct attach_table *t = table(fabric);
	int r = 0;

	if (!*name || strlen(name) >= NODE_NAME_BYTES)
		return -EINVAL;
	fabric_lock(fabric);
	if (vm_find(fabric, name) != NO_INDEX)
		r = -EEXIST;
	else if (t->vm_count == VMS_MAX)
		r = -ENOSPC;
	if (!r) {
		memset(&t->vms[t->vm_count], 0, sizeof(t->vms[0]));
		memcpy(t->vms[t->vm_count].name, name, strlen(name) + 1);
		__atomic_store_n(&t->vm_count, t->vm_count + 1, __ATOMIC_RELEASE);
	}
	fabric_unlock(fabric);
	return r;
}

static int attach_locked(struct fabric *fabric, uint32_t vm, uint32_t slot)
{
	struct slot *s;
	uint64_t has;

	if (vm == NO_INDEX || slot == NO_INDEX)
		return -ENOENT;
	s = slot_of_attach(fabric, slot);
	has = table(fabric)->vms[vm].slot;
	if (has == slot + 1) {
		__atomic_store_n(&s->is_asked, 0, __ATOMIC_RELEASE);
		follow_with_link(fabric, slot);
		return 0;
	}
	if (s->vm || has)
		return -EBUSY;
	change_slot(fabric, slot, vm);
	follow_with_link(fabric, slot);
	return 0;
}

int attach_vm(struct fabric *fabric, const char *vm, const char *slot)
{
	int r;

	fabric_lock(fabric);
	clients_reap(fabric);
	r = attach_locked(fabric, vm_find(fabric, vm), slot_find(fabric, slot));
	fabric_unlock(fabric);
	return r;
}

/* Ask for the VF of @vm or take it. *@slot is where it was, *@generation what it was then. */
static int ask(struct fabric *fabric, const char *name, enum detach_kind kind, uint32_t *slot,
        uint64_t *generation)
{
	uint32_t vm = vm_find(fabric, name);
	struct slot *s;

	if (vm == NO_INDEX)
		return -ENOENT;
	if (!table(fabric)->vms[vm].slot)
		return -ENODEV;
	*slot = (uint32_t)table(fabric)->vms[vm].slot - 1;
	s = slot_of_attach(fabric, *slot);
	*generation = s->generation;
	if (kind == DETACH_SURPRISE) {
		change_slot(fabric, *slot, NO_INDEX);
		follow_with_link(fabric, *slot);
		wake_waiters(fabric);
		return 0;
	}
	s->keeps_link = kind == DETACH_KEEP_LINK;
	__atomic_store_n(&s->is_asked, 1, __ATOMIC_RELEASE);
	clients_reap(fabric);
	leave_if_unheld(fabric, *slot);
	return 0;
}

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000ll + now.tv_nsec / 1000000;
}

static void wait_for_change(struct fabric *fabric, uint32_t seen, int64_t most_ms)
{
	struct timespec wait = {
	        .tv_nsec = (most_ms < REAP_EVERY_MS ? most_ms : REAP_EVERY_MS) * 1000000};

	syscall(SYS_futex, &table(fabric)->changes, FUTEX_WAIT, seen, &wait, NULL, 0);
	fabric_lock(fabric);
	clients_reap(fabric);
	fabric_unlock(fabric);
}

int detach_vm(struct fabric *fabric, const char *vm, enum detach_kind kind, int timeout_ms)
{
	int64_t end = now_ms() + timeout_ms;
	uint64_t generation;
	uint32_t slot;
	int r;

	fabric_lock(fabric);
	r = ask(fabric, vm, kind, &slot, &generation);
	fabric_unlock(fabric);
	while (!r) {
		uint32_t seen = __atomic_load_n(&table(fabric)->changes, __ATOMIC_ACQUIRE);
		int64_t left = end - now_ms();

		if (__atomic_load_n(&slot_of_attach(fabric, slot)->generation, __ATOMIC_ACQUIRE) !=
		        generation)
			break;
		if (left <= 0)
			return -ETIMEDOUT;
		wait_for_change(fabric, seen, left);
	}
	return r;
}
