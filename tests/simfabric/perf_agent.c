/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "simfabric/perf_agent.h"

#include <string.h>

#include "notifier/base/cleanup.h"
#include "simfabric/counters.h"
#include "simfabric/mad_fields.h"
#include "simfabric/net_file.h"
#include "simfabric/topology.h"

enum {
	ATTRIBUTE_CLASS_PORT_INFO = 0x01,
	ATTRIBUTE_PORT_COUNTERS = 0x12,
	ATTRIBUTE_PORT_COUNTERS_EXTENDED = 0x1d,
	ALL_PORTS = 0xff,
	CAPABILITY_ALL_PORTS = 1 << 8,
	CAPABILITY_EXTENDED = 1 << 9,
	RESPONSE_TIME = 18,
	DATA_BYTES = 192,
	PORT_SELECT = 1,
	COUNTER_SELECT = 2,
};

/* What a counter showed when it was last reset. */
struct perf_base {
	struct port_counts plain, extended;
};

/* A counter's place in the attribute: the bit that selects it, its offset and width in bits. */
struct counter_field {
	uint8_t select;
	uint8_t byte;
	uint8_t bits;
	uint16_t counter; /* offset in struct port_counts */
};

#define FIELD(select, byte, bits, name)                                                            \
	{                                                                                          \
		select, byte, bits, offsetof(struct port_counts, name)                             \
	}

static const struct counter_field port_counters[] = {
        FIELD(2, 7, 8, link_downed),
        FIELD(3, 8, 16, rcv_errors),
        FIELD(5, 12, 16, rcv_relay_errors),
        FIELD(6, 14, 16, xmit_discards),
        FIELD(12, 24, 32, xmit_words),
        FIELD(13, 28, 32, rcv_words),
        FIELD(14, 32, 32, xmit_packets),
        FIELD(15, 36, 32, rcv_packets),
};

/* All traffic here is unicast. */
static const struct counter_field port_counters_extended[] = {
        FIELD(0, 8, 64, xmit_words),
        FIELD(1, 16, 64, rcv_words),
        FIELD(2, 24, 64, xmit_packets),
        FIELD(3, 32, 64, rcv_packets),
        FIELD(4, 40, 64, xmit_packets),
        FIELD(5, 48, 64, rcv_packets),
};

struct counter_set {
	const struct counter_field *fields;
	size_t count;
	bool is_extended;
};

size_t perf_bases_size(const struct net *net)
{
	return net->port_count * sizeof(struct perf_base);
}

static uint64_t *counter_at(struct port_counts *counts, uint16_t offset)
{
	return (uint64_t *)(void *)((char *)counts + offset);
}

static uint64_t read_counter(struct fabric *fabric, uint32_t port, const struct counter_set *set,
        const struct counter_field *field, bool is_reset)
{
	struct perf_base *base =
	        (struct perf_base *)fabric_section(fabric, SECTION_PERF_BASES) + port;
	uint64_t now = __atomic_load_n(
	        counter_at(counters_of_port(fabric, port), field->counter), __ATOMIC_RELAXED);
	uint64_t *from =
	        counter_at(set->is_extended ? &base->extended : &base->plain, field->counter);
	uint64_t value = now - *from;

	if (is_reset)
		*from = now;
	return value;
}

/* Counters stick at their largest value. */
static void put_counter(uint8_t *data, const struct counter_field *field, uint64_t value)
{
	uint64_t most = field->bits == 64 ? UINT64_MAX : (1ull << field->bits) - 1;

	if (value > most)
		value = most;
	for (unsigned i = field->bits / 8; i-- > 0; value >>= 8)
		data[field->byte + i] = (uint8_t)value;
}

static void handle_ports(struct fabric *fabric, uint32_t first, unsigned count,
        const struct counter_set *set, uint16_t selected, bool is_set, uint8_t *data)
{
	for (size_t f = 0; f < set->count; f++) {
		bool is_reset = is_set && selected >> set->fields[f].select & 1;
		uint64_t sum = 0;

		for (unsigned i = 0; i < count; i++)
			sum += read_counter(fabric, first + i, set, &set->fields[f], is_reset);
		put_counter(data, &set->fields[f], is_reset ? 0 : sum);
	}
}

static uint16_t handle_counters(struct fabric *fabric, uint32_t port, bool is_set,
        const struct counter_set *set, uint8_t *data)
{
	const struct node *node = &fabric->nodes[fabric->ports[port].node];
	uint16_t selected = mad_get16(data, COUNTER_SELECT);
	uint8_t number = data[PORT_SELECT];
	uint32_t first = node_port(fabric, fabric->ports[port].node, number);
	unsigned count = 1;

	if (number == ALL_PORTS && node_is_switch(node)) {
		first = node->first_port + 1;
		count = node->ports;
	} else if (first == NO_INDEX || (!node_is_switch(node) && first != port)) {
		return STATUS_BAD_FIELD;
	}
	memset(data, 0, DATA_BYTES);
	data[PORT_SELECT] = number;
	mad_set16(data, COUNTER_SELECT, selected);
	handle_ports(fabric, first, count, set, selected, is_set, data);
	return STATUS_OK;
}

static void class_port_info(const struct fabric *fabric, uint32_t port, uint8_t *data)
{
	bool is_switch = node_is_switch(&fabric->nodes[fabric->ports[port].node]);

	memset(data, 0, DATA_BYTES);
	data[0] = 1; /* BaseVersion */
	data[1] = 1; /* ClassVersion */
	mad_set16(data, 2, CAPABILITY_EXTENDED | (is_switch ? CAPABILITY_ALL_PORTS : 0));
	data[7] = RESPONSE_TIME;
}

static uint16_t handle_attribute(struct fabric *fabric, uint32_t port, uint8_t mad[256])
{
	static const struct counter_set plain = {port_counters, ARRAY_SIZE(port_counters), false};
	static const struct counter_set extended = {
	        port_counters_extended, ARRAY_SIZE(port_counters_extended), true};
	bool is_set = mad[MAD_METHOD] == METHOD_SUBN_SET;
	uint8_t *data = mad + SMP_DATA;

	switch (mad_get16(mad, MAD_ATTRIBUTE)) {
	case ATTRIBUTE_CLASS_PORT_INFO:
		if (is_set)
			return STATUS_BAD_METHOD_ATTRIBUTE;
		class_port_info(fabric, port, data);
		return STATUS_OK;
	case ATTRIBUTE_PORT_COUNTERS:
		return handle_counters(fabric, port, is_set, &plain, data);
	case ATTRIBUTE_PORT_COUNTERS_EXTENDED:
		return handle_counters(fabric, port, is_set, &extended, data);
	}
	return STATUS_BAD_METHOD_ATTRIBUTE;
}

bool perf_agent_handle(struct fabric *fabric, uint32_t port, uint8_t mad[256])
{
	uint16_t status;

	if (!mad_is_get_or_set(mad))
		return false;
	status = mad[0] == 1 && mad[MAD_CLASS_VERSION] == 1 ? handle_attribute(fabric, port, mad)
	                                                    : STATUS_BAD_VERSION;
	mad[MAD_METHOD] = METHOD_GET_RESPONSE;
	mad_set16(mad, MAD_STATUS, status);
	return true;
}
