/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "simfabric/sma.h"

#include <string.h>

#include "notifier/base/cleanup.h"
#include "simfabric/event_heap.h"
#include "simfabric/mkey.h"
#include "simfabric/traps.h"

enum { NODE_REVISION = 0xa1, SMP_DATA_BYTES = 64, CLASS_VERSION = 1 };

enum sma_methods { GETS = 1, GETS_AND_SETS = 2 };

static const struct {
	uint16_t id;
	enum sma_methods methods;
	bool is_switches_only;
	uint16_t (*handle)(struct smp *smp);
} handlers[] = {
        {0x10, GETS, false, sma_node_description},
        {0x11, GETS, false, sma_node_info},
        {0x12, GETS_AND_SETS, true, sma_switch_info},
        {0x14, GETS_AND_SETS, false, sma_guid_info},
        {0x15, GETS_AND_SETS, false, sma_port_info},
        {0x16, GETS_AND_SETS, false, sma_pkey_table},
        {0x17, GETS_AND_SETS, false, sma_sl_to_vl},
        {0x18, GETS_AND_SETS, false, sma_vl_arbitration},
        {0x19, GETS_AND_SETS, true, sma_linear_table},
        {0x1b, GETS_AND_SETS, true, sma_multicast_table},
};

enum { ATTRIBUTE_SM_INFO = 0x20 };

void smp_stage(struct smp *smp, void *at, const void *value, size_t bytes)
{
	if (memcmp(at, value, bytes))
		smp->effect.is_changed = true;
	redo_put(smp->fabric, at, value, bytes);
}

void port_stage_event(struct fabric *fabric, uint32_t port, enum port_event event)
{
	uint64_t *counter = &fabric->ports[port].events[event], more = *counter + 1;

	redo_put(fabric, counter, &more, sizeof(more));
}

uint16_t sma_node_description(struct smp *smp)
{
	memcpy(smp->data, smp->fabric->nodes[smp->node].description, SMP_DATA_BYTES);
	return STATUS_OK;
}

uint16_t sma_node_info(struct smp *smp)
{
	const struct node *node = &smp->fabric->nodes[smp->node];
	const struct port *arrival = &smp->fabric->ports[smp->arrival];
	bool is_switch = node_is_switch(node);
	uint8_t *info = smp->data;

	memset(info, 0, SMP_DATA_BYTES);
	info[0] = 1; /* BaseVersion */
	info[1] = 1; /* ClassVersion */
	info[2] = node->kind;
	info[3] = node->ports;
	mad_set64(info, 4, node->system_guid);
	mad_set64(info, 12, node->guid);
	mad_set64(info, 20, is_switch ? node->guid : arrival->guid);
	mad_set16(info, 28, is_switch ? PORT0_PKEY_TABLE_SIZE : PKEY_TABLE_SIZE);
	mad_set16(info, 30, node->device_id);
	mad_set32(info, 32, NODE_REVISION);
	mad_set32(info, 36, (uint32_t)arrival->number << 24 | node->vendor_id);
	return STATUS_OK;
}

static uint16_t dispatch(struct smp *smp, uint16_t attribute)
{
	bool is_switch = node_is_switch(&smp->fabric->nodes[smp->node]);

	for (size_t i = 0; i < ARRAY_SIZE(handlers); i++) {
		if (handlers[i].id != attribute)
			continue;
		if ((smp->is_set && handlers[i].methods == GETS) ||
		        (handlers[i].is_switches_only && !is_switch))
			return STATUS_BAD_METHOD_ATTRIBUTE;
		return handlers[i].handle(smp);
	}
	return STATUS_BAD_METHOD_ATTRIBUTE;
}

static void answer(uint8_t mad[256], uint16_t status)
{
	mad[MAD_METHOD] = METHOD_GET_RESPONSE;
	mad_set16(mad, MAD_STATUS, status);
}

static void get_or_set(struct fabric *fabric, struct smp *smp, uint8_t mad[256])
{
	uint16_t attribute = mad_get16(mad, MAD_ATTRIBUTE);
	uint8_t method = mad[MAD_METHOD];

	if (mad[0] != 1 || mad[MAD_CLASS_VERSION] != CLASS_VERSION)
		answer(mad, STATUS_BAD_VERSION);
	else
		answer(mad, dispatch(smp, attribute));
	counters_smp(fabric, smp->node, attribute, method, smp->effect);
}

static uint32_t end_port(const struct fabric *fabric, uint32_t arrival)
{
	const struct node *node = &fabric->nodes[fabric->ports[arrival].node];

	return node_is_switch(node) ? node->first_port : arrival;
}

enum sma_verdict sma_handle(
        struct fabric *fabric, uint32_t arrival, uint16_t slid, uint8_t mad[256])
{
	struct smp smp = {
	        .fabric = fabric,
	        .node = fabric->ports[arrival].node,
	        .arrival = arrival,
	        .end = end_port(fabric, arrival),
	        .is_set = mad[MAD_METHOD] == METHOD_SUBN_SET,
	        .modifier = mad_get32(mad, MAD_MODIFIER),
	        .data = mad + SMP_DATA,
	};
	bool is_get = mad[MAD_METHOD] == METHOD_SUBN_GET;
	enum mkey_verdict verdict;

	if (!mad_is_get_or_set(mad) && mad[MAD_METHOD] != METHOD_SUBN_TRAP_REPRESS)
		return SMA_NOT_MINE;
	/* SMInfo belongs to the subnet managers, which check the M_Key themselves. */
	if (mad_get16(mad, MAD_ATTRIBUTE) == ATTRIBUTE_SM_INFO &&
	        !node_is_switch(&fabric->nodes[smp.node]))
		return SMA_NOT_MINE;
	verdict = mkey_check(fabric, smp.end, is_get, mad_get64(mad, SMP_MKEY), now_ns());
	if (verdict == MKEY_REFUSE) {
		trap_bad_mkey(fabric, smp.end, mad, slid);
		return SMA_SILENT;
	}
	if (mad[MAD_METHOD] == METHOD_SUBN_TRAP_REPRESS) {
		/* Clients send traps too. */
		if (!trap_repress(fabric, smp.end, mad_get64(mad, MAD_TID)))
			return SMA_NOT_MINE;
		counters_smp(fabric, smp.node, mad_get16(mad, MAD_ATTRIBUTE), mad[MAD_METHOD],
		        smp.effect);
		return SMA_SILENT;
	}
	smp.is_mkey_hidden = verdict == MKEY_PASS_HIDDEN;
	get_or_set(fabric, &smp, mad);
	return SMA_ANSWERED;
}
