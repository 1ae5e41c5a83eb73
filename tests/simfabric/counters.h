/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * What the fabric counts: SMPs by node, attribute and method, GMPs by class, method and attribute,
 * and the traffic of each port (perf_agent.c shows that as PerfMgt counters). SMPs and GMPs are
 * counted where they arrive, under the fabric's lock; traffic may be counted without.
 */
#ifndef SIMFABRIC_COUNTERS_H
#define SIMFABRIC_COUNTERS_H

#include <stdbool.h>
#include <stdint.h>

#include "simfabric/shared_file.h"

/* ATTRIBUTE(id, name): all that the SMA knows, and what passes through to user agents. */
#define SMP_ATTRIBUTES(ATTRIBUTE)                                                                  \
	ATTRIBUTE(0x02, notice, "Notice")                                                          \
	ATTRIBUTE(0x10, node_description, "NodeDescription")                                       \
	ATTRIBUTE(0x11, node_info, "NodeInfo")                                                     \
	ATTRIBUTE(0x12, switch_info, "SwitchInfo")                                                 \
	ATTRIBUTE(0x14, guid_info, "GUIDInfo")                                                     \
	ATTRIBUTE(0x15, port_info, "PortInfo")                                                     \
	ATTRIBUTE(0x16, pkey_table, "P_KeyTable")                                                  \
	ATTRIBUTE(0x17, sl_to_vl, "SLtoVLMappingTable")                                            \
	ATTRIBUTE(0x18, vl_arbitration, "VLArbitrationTable")                                      \
	ATTRIBUTE(0x19, linear_table, "LinearForwardingTable")                                     \
	ATTRIBUTE(0x1b, multicast_table, "MulticastForwardingTable")                               \
	ATTRIBUTE(0x20, sm_info, "SMInfo")

enum smp_attribute {
#define ATTRIBUTE(id, name, title) SMP_##name,
	SMP_ATTRIBUTES(ATTRIBUTE)
#undef ATTRIBUTE
	        SMP_other,
	SMP_ATTRIBUTE_COUNT,
};

struct smp_counts {
	uint32_t get;
	uint32_t set;
	uint32_t changed; /* Sets that changed a byte */
	uint32_t other;   /* Trap, TrapRepress and so on */
	uint32_t dropped; /* by a fault rule, requests and responses */
};

struct node_counts {
	struct smp_counts by_attribute[SMP_ATTRIBUTE_COUNT];
	uint32_t lids_changed; /* PortInfo Sets that changed a LID */
};

struct gmp_counts {
	uint8_t mgmt_class;
	uint8_t method;
	uint16_t attribute;
	uint32_t delivered;
	uint32_t lost; /* no route, no taker, queue full or dropped by a rule */
	uint32_t dropped, delayed, duplicated; /* by a fault rule */
};

struct smp_effect {
	bool is_changed;
	bool is_lid_changed;
};

enum smp_attribute smp_attribute_of(uint16_t id);
uint16_t smp_attribute_id(enum smp_attribute attribute); /* SMP_other: 0 */
const char *smp_attribute_name(enum smp_attribute attribute);
/* By name without regard to case, or by number ("0x19"). -EINVAL: neither. */
int smp_attribute_parse(const char *text, uint16_t *id);

void counters_smp(struct fabric *fabric, uint32_t node, uint16_t attribute, uint8_t method,
        struct smp_effect effect);
void counters_smp_dropped(struct fabric *fabric, uint32_t node, uint16_t attribute);
void counters_gmp(struct fabric *fabric, const uint8_t *mad, bool is_delivered);
/* The row of @mad's kind; NULL: there are too many. */
struct gmp_counts *counters_of_gmp(struct fabric *fabric, const uint8_t *mad);
const struct node_counts *counters_of_node(const struct fabric *fabric, uint32_t node);
/* NULL behind the last row. */
const struct gmp_counts *counters_gmp_row(const struct fabric *fabric, uint32_t index);
/* Management only; the ports' traffic counters are PerfMgt's to reset. */
void counters_reset(struct fabric *fabric);

/* Traffic of one port, since the fabric was made. */
struct port_counts {
	uint64_t xmit_words, rcv_words; /* of 4 bytes, as PerfMgt counts */
	uint64_t xmit_packets, rcv_packets;
	uint64_t xmit_discards, rcv_errors, rcv_relay_errors;
	uint64_t link_downed;
};

/* @packets with @bytes in all leave @port and arrive at the other end of its cable. Any thread. */
void counters_port_data(struct fabric *fabric, uint32_t port, uint32_t packets, uint64_t bytes);
/* A packet is lost at @port: nothing that it could leave by. */
void counters_port_discard(struct fabric *fabric, uint32_t port);
struct port_counts *counters_of_port(const struct fabric *fabric, uint32_t port);

size_t counters_size(const struct net *net);
size_t port_counters_size(const struct net *net);

#endif
