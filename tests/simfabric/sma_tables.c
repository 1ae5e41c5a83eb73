/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include <string.h>

#include "simfabric/sma.h"

enum { GUID_BLOCK = 8, SMP_DATA_BYTES = 64, SL_TO_VL_BYTES = 8 };

/* Tables are kept xor these, so that an untouched file holds the defaults (those of ibsim). */
static const uint64_t default_sl_to_vl = 0xe7cdab8967452301; /* 01 23 .. e7 in memory */

/*
 * The port that an attribute modifier names: on a switch any, on a CA its own, by number or 0.
 * NO_INDEX: none.
 */
static uint32_t port_named(const struct smp *smp, unsigned number)
{
	const struct node *node = &smp->fabric->nodes[smp->node];

	if (node_is_switch(node))
		return node_port(smp->fabric, smp->node, number);
	return !number || number == smp->fabric->ports[smp->arrival].number ? smp->arrival
	                                                                    : NO_INDEX;
}

static void get_guids(struct smp *smp, unsigned block, unsigned cap)
{
	const uint64_t *alias = port_alias_guids(smp->fabric, smp->end);

	memset(smp->data, 0, SMP_DATA_BYTES);
	for (unsigned i = 0; i < GUID_BLOCK && block * GUID_BLOCK + i < cap; i++)
		memcpy(smp->data + i * 8, &alias[block * GUID_BLOCK + i], 8);
	if (!block)
		mad_set64(smp->data, 0, smp->fabric->ports[smp->end].guid);
}

uint16_t sma_guid_info(struct smp *smp)
{
	unsigned cap = port_info_guid_cap(smp->fabric->ports[smp->end].info);
	uint64_t *alias = port_alias_guids(smp->fabric, smp->end), guids[GUID_BLOCK];
	unsigned count;

	if (smp->modifier >= (cap + GUID_BLOCK - 1) / GUID_BLOCK)
		return STATUS_BAD_FIELD;
	count = cap - smp->modifier * GUID_BLOCK;
	if (smp->is_set) {
		memcpy(guids, smp->data, sizeof(guids));
		if (!smp->modifier)
			guids[0] = alias[0]; /* the port GUID is read-only */
		smp_stage(smp, alias + smp->modifier * GUID_BLOCK, guids,
		        (count < GUID_BLOCK ? count : GUID_BLOCK) * sizeof(guids[0]));
		if (smp->effect.is_changed)
			port_stage_event(smp->fabric, smp->end, PORT_EVENT_GID_CHANGE);
		redo_commit(smp->fabric);
	}
	get_guids(smp, smp->modifier, cap);
	return STATUS_OK;
}

uint16_t sma_pkey_table(struct smp *smp)
{
	uint32_t index = port_named(smp, smp->modifier >> 16);
	unsigned block = smp->modifier & 0xffff, size, count;
	struct port *port;

	if (index == NO_INDEX)
		return STATUS_BAD_FIELD;
	port = &smp->fabric->ports[index];
	size = port->number ? PKEY_TABLE_SIZE : PORT0_PKEY_TABLE_SIZE;
	if (block * PKEY_BLOCK >= size)
		return STATUS_BAD_FIELD;
	count = size - block * PKEY_BLOCK < PKEY_BLOCK ? size - block * PKEY_BLOCK : PKEY_BLOCK;
	if (smp->is_set) {
		smp_stage(smp, port->pkeys + block * PKEY_BLOCK, smp->data, count * 2);
		if (smp->effect.is_changed && port_is_end(smp->fabric, port))
			port_stage_event(smp->fabric, index, PORT_EVENT_PKEY_CHANGE);
		redo_commit(smp->fabric);
	}
	memset(smp->data, 0, SMP_DATA_BYTES);
	memcpy(smp->data, port->pkeys + block * PKEY_BLOCK, count * 2);
	return STATUS_OK;
}

uint16_t sma_sl_to_vl(struct smp *smp)
{
	const struct node *node = &smp->fabric->nodes[smp->node];
	unsigned input = smp->modifier >> 8 & 0xff, output = smp->modifier & 0xff;
	uint32_t port = smp->arrival;
	uint64_t value, *at;

	if (node_is_switch(node)) {
		port = node_port(smp->fabric, smp->node, output);
		if (smp->modifier >> 16 || port == NO_INDEX || input > node->ports)
			return STATUS_BAD_FIELD;
	}
	at = (uint64_t *)(void *)port_sl_to_vl(smp->fabric, port, input);
	if (smp->is_set) {
		memcpy(&value, smp->data, sizeof(value));
		value ^= default_sl_to_vl;
		smp_stage(smp, at, &value, sizeof(value));
		redo_commit(smp->fabric);
	}
	value = *at ^ default_sl_to_vl;
	memset(smp->data, 0, SMP_DATA_BYTES);
	memcpy(smp->data, &value, SL_TO_VL_BYTES);
	return STATUS_OK;
}

/* Low priority: VL 0 weight 0, others 4; high priority: VL 0 weight 4, others 0. */
static uint16_t default_vl_arb(unsigned table, unsigned entry)
{
	unsigned weight = (entry == 0) == (table == 1) ? 4 : 0;

	return htobe16(entry << 8 | weight);
}

uint16_t sma_vl_arbitration(struct smp *smp)
{
	unsigned part = smp->modifier >> 16; /* 1: low, 3: high; 2 and 4 are their upper halves */
	uint32_t index = port_named(smp, smp->modifier & 0xffff);
	unsigned table = part == 3;
	uint16_t entries[VL_ARB_SIZE], *at;

	if (index == NO_INDEX || (part != 1 && part != 3))
		return STATUS_BAD_FIELD;
	at = smp->fabric->ports[index].vl_arb[table];
	if (smp->is_set) {
		memcpy(entries, smp->data, sizeof(entries));
		for (unsigned i = 0; i < VL_ARB_SIZE; i++)
			entries[i] ^= default_vl_arb(table, i);
		smp_stage(smp, at, entries, sizeof(entries));
		redo_commit(smp->fabric);
	}
	memset(smp->data, 0, SMP_DATA_BYTES);
	for (unsigned i = 0; i < VL_ARB_SIZE; i++)
		entries[i] = at[i] ^ default_vl_arb(table, i);
	memcpy(smp->data, entries, sizeof(entries));
	return STATUS_OK;
}
