/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * The subnet management agent of every node: answers SubnGet and SubnSet, and takes TrapRepress.
 * Attributes stand in sma_port_info.c, sma_switch.c and sma_tables.c; the M_Key check in mkey.c.
 * Under the fabric's lock.
 */
#ifndef SIMFABRIC_SMA_H
#define SIMFABRIC_SMA_H

#include <stdbool.h>
#include <stdint.h>

#include "simfabric/counters.h"
#include "simfabric/mad_fields.h"
#include "simfabric/shared_file.h"
#include "simfabric/topology.h"

enum sma_verdict {
	SMA_ANSWERED, /* the MAD is the response now */
	SMA_SILENT,   /* no response: wrong M_Key, TrapRepress */
	SMA_NOT_MINE, /* for a user agent */
};

/*
 * An SMP has arrived by port @arrival; @slid is who sent it (LID_PERMISSIVE on a directed route).
 * The directed-route fields are the caller's.
 */
enum sma_verdict sma_handle(
        struct fabric *fabric, uint32_t arrival, uint16_t slid, uint8_t mad[256]);

/* What an attribute's handler works on. @data is both what is set and what is answered. */
struct smp {
	struct fabric *fabric;
	uint32_t node;
	uint32_t arrival; /* the port by which it came */
	uint32_t end;     /* the node's end port for it: the CA's arrival port, or port 0 */
	bool is_set;
	bool is_mkey_hidden;
	uint32_t modifier;
	uint8_t *data; /* 64 bytes */
	struct smp_effect effect;
};

/* Each returns the MAD's status; with an error nothing was changed. */
uint16_t sma_node_info(struct smp *smp);
uint16_t sma_node_description(struct smp *smp);
uint16_t sma_switch_info(struct smp *smp);
uint16_t sma_guid_info(struct smp *smp);
uint16_t sma_port_info(struct smp *smp);
uint16_t sma_pkey_table(struct smp *smp);
uint16_t sma_sl_to_vl(struct smp *smp);
uint16_t sma_vl_arbitration(struct smp *smp);
uint16_t sma_linear_table(struct smp *smp);
uint16_t sma_multicast_table(struct smp *smp);

/* For the handlers: stage @bytes at @at and note whether they change anything. */
void smp_stage(struct smp *smp, void *at, const void *value, size_t bytes);
/* Stage one more of @event at @port. */
void port_stage_event(struct fabric *fabric, uint32_t port, enum port_event event);

#endif
