/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "unit/simfabric_smps.h"

struct fabric *fabric;
uint8_t data[64];

int open_fabric(void **state)
{
	fabric = fixture_open();
	if (!fabric)
		return -1;
	fixture_bring_up(fabric);
	memset(data, 0, sizeof(data));
	return 0;
}

int close_fabric(void **state)
{
	fixture_close(fabric);
	return 0;
}

int smp_with_key(const char *node, unsigned number, uint8_t method, uint16_t attribute,
        uint32_t modifier, uint64_t mkey)
{
	uint8_t mad[256] = {1, CLASS_SUBN_DR, 1, method};
	enum sma_verdict verdict;

	mad_set16(mad, MAD_ATTRIBUTE, attribute);
	mad_set32(mad, MAD_MODIFIER, modifier);
	mad_set64(mad, SMP_MKEY, mkey);
	memcpy(mad + SMP_DATA, data, sizeof(data));
	fabric_lock(fabric);
	verdict = sma_handle(fabric, fixture_port(fabric, node, number), 0xffff, mad);
	fabric_unlock(fabric);
	if (verdict != SMA_ANSWERED)
		return NO_ANSWER;
	assert_int_equal(mad[MAD_METHOD], METHOD_GET_RESPONSE);
	memcpy(data, mad + SMP_DATA, sizeof(data));
	return mad_get16(mad, MAD_STATUS);
}

int smp(const char *node, unsigned number, uint8_t method, uint16_t attribute, uint32_t modifier)
{
	return smp_with_key(node, number, method, attribute, modifier, 0);
}

struct port *port(const char *node, unsigned number)
{
	return &fabric->ports[fixture_port(fabric, node, number)];
}

uint8_t *switch_info(const char *node)
{
	return fabric->switches[fabric->nodes[node_find(fabric, node)].switch_index].info;
}

const struct smp_counts *counts(const char *node, enum smp_attribute attribute)
{
	return &counters_of_node(fabric, node_find(fabric, node))->by_attribute[attribute];
}
