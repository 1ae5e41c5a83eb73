/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "simfabric/slots.h"

#include <endian.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "simfabric/clients.h"
#include "simfabric/links.h"
#include "simfabric/net_file.h"

/* A VF's own GUIDs are its PF's with its number in the uppermost byte, which others leave 0. */
enum { ALIAS_SHIFT = 56 };

struct slot_table {
	uint32_t hypervisor_count;
	uint32_t slot_count;
	struct hypervisor hypervisors[]; /* then the slots */
};

static struct slot_table *table(const struct fabric *fabric)
{
	return fabric_section(fabric, SECTION_SLOTS);
}

static struct slot *slots(const struct fabric *fabric)
{
	struct slot_table *t = table(fabric);

	return (struct slot *)(t->hypervisors + t->hypervisor_count);
}

struct slot *slot_of_attach(const struct fabric *fabric, uint32_t index)
{
	return &slots(fabric)[index];
}

/* ---- at the beginning ---- */

/* The VF CAs behind a vSwitch: everything cabled to it that is a CA and not the PF. */
static unsigned list_vfs(
        const struct net *net, const struct net_hypervisor *h, uint32_t nodes[NET_MAX_PORTS])
{
	const struct net_node *sw = &net->nodes[h->vswitch];
	unsigned count = 0;

	for (unsigned i = 1; i <= sw->ports; i++) {
		uint32_t peer = net->ports[sw->first_port + i].peer;
		uint32_t low = 0, high = net->node_count;

		if (peer == NO_INDEX)
			continue;
		while (high - low > 1) {
			uint32_t middle = low + (high - low) / 2;

			if (net->nodes[middle].first_port <= peer)
				low = middle;
			else
				high = middle;
		}
		if (net->nodes[low].kind == NODE_CA && low != h->pf)
			nodes[count++] = low;
	}
	return count;
}

static unsigned count_vfs(const struct net *net, const struct net_hypervisor *h)
{
	uint32_t nodes[NET_MAX_PORTS];

	return h->vswitch == NO_INDEX ? h->shared_vfs : list_vfs(net, h, nodes);
}

size_t slots_size(const struct net *net)
{
	size_t bytes = sizeof(struct slot_table);

	for (uint32_t i = 0; i < net->hypervisor_count; i++)
		bytes += sizeof(struct hypervisor) +
		         count_vfs(net, &net->hypervisors[i]) * sizeof(struct slot);
	return bytes;
}

static struct slot *add_slot(struct fabric *fabric, uint32_t hypervisor, uint32_t node)
{
	struct slot *slot = &slots(fabric)[table(fabric)->slot_count++];

	slot->node = node;
	slot->hypervisor = hypervisor;
	return slot;
}

static void add_cas(struct fabric *fabric, const struct net *net, uint32_t hypervisor)
{
	uint32_t nodes[NET_MAX_PORTS];
	unsigned count = list_vfs(net, &net->hypervisors[hypervisor], nodes);

	for (unsigned i = 0; i < count; i++) {
		struct slot *slot;

		fabric->nodes[nodes[i]].slot = table(fabric)->slot_count;
		slot = add_slot(fabric, hypervisor, nodes[i]);
		if (net->hypervisors[hypervisor].is_dynamic)
			link_begin_unplugged(fabric, fabric->nodes[nodes[i]].first_port);
		memcpy(slot->name, net->nodes[nodes[i]].name, sizeof(slot->name));
	}
}

static void add_aliases(struct fabric *fabric, const struct net *net, uint32_t hypervisor)
{
	const struct net_hypervisor *h = &net->hypervisors[hypervisor];
	const struct node *pf = &fabric->nodes[h->pf];
	uint64_t port_guid = fabric->ports[pf->first_port].guid;

	for (unsigned i = 1; i <= h->shared_vfs; i++) {
		struct slot *slot = add_slot(fabric, hypervisor, h->pf);

		snprintf(slot->name, sizeof(slot->name), "%.60s_vf%u", h->name, i);
		slot->alias = i;
		slot->node_guid = pf->guid | (uint64_t)i << ALIAS_SHIFT;
		port_alias_guids(fabric, pf->first_port)[i] =
		        htobe64(port_guid | (uint64_t)i << ALIAS_SHIFT);
	}
}

void slots_init(struct fabric *fabric, const struct net *net)
{
	struct slot_table *t = table(fabric);

	t->hypervisor_count = net->hypervisor_count;
	for (uint32_t i = 0; i < net->hypervisor_count; i++) {
		const struct net_hypervisor *from = &net->hypervisors[i];

		memcpy(t->hypervisors[i].name, from->name, sizeof(from->name));
		t->hypervisors[i].vswitch = from->vswitch;
		t->hypervisors[i].pf = from->pf;
		t->hypervisors[i].is_dynamic = from->is_dynamic;
		if (from->vswitch == NO_INDEX)
			add_aliases(fabric, net, i);
		else
			add_cas(fabric, net, i);
	}
}

/* ---- what there is ---- */

const struct hypervisor *hypervisor_row(const struct fabric *fabric, uint32_t index)
{
	return index < table(fabric)->hypervisor_count ? &table(fabric)->hypervisors[index] : NULL;
}

const struct slot *slot_row(const struct fabric *fabric, uint32_t index)
{
	return index < table(fabric)->slot_count ? &slots(fabric)[index] : NULL;
}

uint32_t slot_find(const struct fabric *fabric, const char *name)
{
	const struct slot *slot;

	for (uint32_t i = 0; (slot = slot_row(fabric, i)); i++) {
		if (!strcmp(slot->name, name))
			return i;
	}
	return NO_INDEX;
}

bool slot_is_shared(const struct fabric *fabric, uint32_t slot)
{
	return slot != NO_INDEX && slots(fabric)[slot].alias;
}

int hypervisor_limit(struct fabric *fabric, const char *name, uint64_t max_qp)
{
	struct slot_table *t = table(fabric);

	for (uint32_t i = 0; i < t->hypervisor_count; i++) {
		if (strcmp(t->hypervisors[i].name, name))
			continue;
		__atomic_store_n(&t->hypervisors[i].max_qp, max_qp, __ATOMIC_RELEASE);
		return 0;
	}
	return -ENOENT;
}

uint32_t slot_max_qp(const struct fabric *fabric, uint32_t slot, uint32_t device)
{
	uint64_t limit = 0;

	if (slot != NO_INDEX)
		limit = __atomic_load_n(
		        &table(fabric)->hypervisors[slots(fabric)[slot].hypervisor].max_qp,
		        __ATOMIC_ACQUIRE);
	return limit && limit < device ? (uint32_t)limit : device;
}

/* ---- GUIDs ---- */

static uint64_t *alias_guid(const struct fabric *fabric, const struct slot *slot)
{
	return &port_alias_guids(fabric, fabric->nodes[slot->node].first_port)[slot->alias];
}

uint64_t slot_node_guid(const struct fabric *fabric, uint32_t index)
{
	const struct slot *slot = &slots(fabric)[index];

	return __atomic_load_n(
	        slot->alias ? &slot->node_guid : &fabric->nodes[slot->node].guid, __ATOMIC_RELAXED);
}

uint64_t slot_port_guid(const struct fabric *fabric, uint32_t index)
{
	const struct slot *slot = &slots(fabric)[index];

	if (slot->alias)
		return be64toh(__atomic_load_n(alias_guid(fabric, slot), __ATOMIC_RELAXED));
	return __atomic_load_n(
	        &fabric->ports[fabric->nodes[slot->node].first_port].guid, __ATOMIC_RELAXED);
}

static void stage_alias(
        struct fabric *fabric, struct slot *slot, uint64_t node_guid, uint64_t port_guid)
{
	uint64_t on_wire = htobe64(port_guid);

	redo_put(fabric, &slot->node_guid, &node_guid, sizeof(node_guid));
	redo_put(fabric, alias_guid(fabric, slot), &on_wire, sizeof(on_wire));
}

static void stage_ca(
        struct fabric *fabric, struct node *node, uint64_t node_guid, uint64_t port_guid)
{
	redo_put(fabric, &node->guid, &node_guid, sizeof(node_guid));
	redo_put(fabric, &fabric->ports[node->first_port].guid, &port_guid, sizeof(port_guid));
}

static bool is_pf(const struct fabric *fabric, uint32_t node)
{
	const struct hypervisor *h;

	for (uint32_t i = 0; (h = hypervisor_row(fabric, i)); i++)
		if (h->pf == node)
			return true;
	return false;
}

/* A CA of one port that belongs to no hypervisor. */
static bool is_plain_ca(const struct fabric *fabric, uint32_t node)
{
	const struct node *n = node == NO_INDEX ? NULL : &fabric->nodes[node];

	return n && !node_is_switch(n) && n->ports == 1 && !is_pf(fabric, node);
}

static bool is_in_use(const struct fabric *fabric, uint32_t slot, uint32_t node)
{
	return slot == NO_INDEX ? client_is_on_node(fabric, fabric->nodes[node].name)
	                        : slots(fabric)[slot].vm;
}

int ca_set_guids(struct fabric *fabric, const char *name, uint64_t node_guid, uint64_t port_guid)
{
	uint32_t slot = slot_find(fabric, name);
	uint32_t node = slot == NO_INDEX ? node_find(fabric, name) : slots(fabric)[slot].node;

	if (slot == NO_INDEX && !is_plain_ca(fabric, node))
		return -ENOENT;
	if (!node_guid || !port_guid)
		return -EINVAL;
	fabric_lock(fabric);
	clients_reap(fabric);
	if (is_in_use(fabric, slot, node)) {
		fabric_unlock(fabric);
		return -EBUSY;
	}
	if (slot_is_shared(fabric, slot))
		stage_alias(fabric, &slots(fabric)[slot], node_guid, port_guid);
	else
		stage_ca(fabric, &fabric->nodes[node], node_guid, port_guid);
	redo_commit(fabric);
	fabric_unlock(fabric);
	return 0;
}
