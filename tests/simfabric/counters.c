/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "simfabric/counters.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "simfabric/net_file.h"
#include "simfabric/topology.h"

enum { GMP_ROWS = 1024, METHOD_GET = 1, METHOD_SET = 2 };

struct counter_table {
	uint64_t gmp_rows;
	struct gmp_counts gmps[GMP_ROWS];
	struct node_counts nodes[];
};

static const struct {
	uint16_t id;
	const char *name;
} attributes[SMP_ATTRIBUTE_COUNT] = {
#define ATTRIBUTE(number, key, title) [SMP_##key] = {number, title},
        SMP_ATTRIBUTES(ATTRIBUTE)
#undef ATTRIBUTE
                [SMP_other] = {0, "other"},
};

static struct counter_table *table(const struct fabric *fabric)
{
	return fabric_section(fabric, SECTION_COUNTERS);
}

size_t counters_size(const struct net *net)
{
	return sizeof(struct counter_table) + net->node_count * sizeof(struct node_counts);
}

size_t port_counters_size(const struct net *net)
{
	return net->port_count * sizeof(struct port_counts);
}

enum smp_attribute smp_attribute_of(uint16_t id)
{
	switch (id) {
#define ATTRIBUTE(number, key, title)                                                              \
	case number:                                                                               \
		return SMP_##key;
		SMP_ATTRIBUTES(ATTRIBUTE)
#undef ATTRIBUTE
	}
	return SMP_other;
}

uint16_t smp_attribute_id(enum smp_attribute attribute)
{
	return attributes[attribute].id;
}

const char *smp_attribute_name(enum smp_attribute attribute)
{
	return attributes[attribute].name;
}

int smp_attribute_parse(const char *text, uint16_t *id)
{
	unsigned long number;
	char *end;

	for (enum smp_attribute a = 0; a < SMP_other; a++) {
		if (!strcasecmp(attributes[a].name, text)) {
			*id = attributes[a].id;
			return 0;
		}
	}
	number = strtoul(text, &end, 0);
	if (end == text || *end || !number || number > UINT16_MAX)
		return -EINVAL;
	*id = number;
	return 0;
}

void counters_smp(struct fabric *fabric, uint32_t node, uint16_t attribute, uint8_t method,
        struct smp_effect effect)
{
	struct node_counts *counts = &table(fabric)->nodes[node];
	struct smp_counts *c = &counts->by_attribute[smp_attribute_of(attribute)];

	if (method == METHOD_GET)
		c->get++;
	else if (method == METHOD_SET)
		c->set++;
	else
		c->other++;
	c->changed += effect.is_changed;
	counts->lids_changed += effect.is_lid_changed;
}

void counters_smp_dropped(struct fabric *fabric, uint32_t node, uint16_t attribute)
{
	table(fabric)->nodes[node].by_attribute[smp_attribute_of(attribute)].dropped++;
}

const struct node_counts *counters_of_node(const struct fabric *fabric, uint32_t node)
{
	return &table(fabric)->nodes[node];
}

struct gmp_counts *counters_of_gmp(struct fabric *fabric, const uint8_t *mad)
{
	struct counter_table *t = table(fabric);
	uint16_t attribute = (uint16_t)(mad[16] << 8 | mad[17]);
	struct gmp_counts *row = t->gmps;

	for (; row < t->gmps + t->gmp_rows; row++) {
		if (row->mgmt_class == mad[1] && row->method == mad[3] &&
		        row->attribute == attribute)
			return row;
	}
	if (t->gmp_rows == GMP_ROWS)
		return NULL;
	*row = (struct gmp_counts){.mgmt_class = mad[1], .method = mad[3], .attribute = attribute};
	t->gmp_rows++;
	return row;
}

void counters_gmp(struct fabric *fabric, const uint8_t *mad, bool is_delivered)
{
	struct gmp_counts *row = counters_of_gmp(fabric, mad);

	if (!row)
		return;
	if (is_delivered)
		row->delivered++;
	else
		row->lost++;
}

const struct gmp_counts *counters_gmp_row(const struct fabric *fabric, uint32_t index)
{
	return index < table(fabric)->gmp_rows ? &table(fabric)->gmps[index] : NULL;
}

void counters_reset(struct fabric *fabric)
{
	struct counter_table *t = table(fabric);

	t->gmp_rows = 0;
	memset(t->nodes, 0, node_count(fabric) * sizeof(t->nodes[0]));
}

struct port_counts *counters_of_port(const struct fabric *fabric, uint32_t port)
{
	return (struct port_counts *)fabric_section(fabric, SECTION_PORT_COUNTERS) + port;
}

static void add(uint64_t *counter, uint64_t value)
{
	__atomic_add_fetch(counter, value, __ATOMIC_RELAXED);
}

void counters_port_data(struct fabric *fabric, uint32_t port, uint32_t packets, uint64_t bytes)
{
	uint32_t peer = fabric->ports[port].peer;
	struct port_counts *out = counters_of_port(fabric, port);

	add(&out->xmit_packets, packets);
	add(&out->xmit_words, bytes / 4);
	if (peer == NO_INDEX)
		return;
	add(&counters_of_port(fabric, peer)->rcv_packets, packets);
	add(&counters_of_port(fabric, peer)->rcv_words, bytes / 4);
}

void counters_port_discard(struct fabric *fabric, uint32_t port)
{
	add(&counters_of_port(fabric, port)->xmit_discards, 1);
}
