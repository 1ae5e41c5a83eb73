/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Rules that make management packets slow, lose or double them, by attribute, node and chance. The
 * chance is drawn from each rule's own seeded sequence, so that a run can be repeated. Under the
 * fabric's lock.
 */
#ifndef SIMFABRIC_MAD_FAULTS_H
#define SIMFABRIC_MAD_FAULTS_H

#include <stdbool.h>
#include <stdint.h>

#include "simfabric/shared_file.h"

enum { MAD_FAULTS_MAX = 64, MAD_FAULT_CERTAIN = 1000000 };

enum mad_fault_kind {
	MAD_FAULT_DROP = 1,
	MAD_FAULT_DELAY,
	MAD_FAULT_DUPLICATE, /* GMPs only: a copy arrives as well, so much later */
};

enum mad_direction { MAD_REQUEST = 1, MAD_RESPONSE = 2 };

struct mad_fault {
	uint32_t kind;
	uint32_t directions;     /* of enum mad_direction, or-ed */
	uint32_t node;           /* where it goes to or is answered; NO_INDEX: any */
	uint16_t attribute;      /* 0: any */
	uint8_t mgmt_class;      /* 0: all SMPs */
	uint8_t method;          /* of the request; 0: any */
	uint32_t chance;         /* in a million */
	uint32_t is_per_message; /* a MAD that is sent again, by its TID, meets the fate that it met
	                          */
	uint32_t left;           /* how many more times; UINT32_MAX: without end */
	uint64_t state;          /* of the sequence; begins with the seed */
	uint64_t delay_ns;       /* until arrival: this and */
	uint64_t per_hop_ns;     /* this for each link */
	uint64_t hits;
};

struct mad_fault_case {
	enum mad_direction direction;
	uint32_t node;
	uint16_t attribute;
	uint8_t mgmt_class;
	uint8_t method;
	uint64_t tid;
};

/* Returns the rule's row. -ENOSPC. */
int mad_fault_add(struct fabric *fabric, const struct mad_fault *rule);
void mad_faults_clear(struct fabric *fabric);
/* It strikes no more; the other rows stay where they are. -ENOENT. */
int mad_fault_end(struct fabric *fabric, uint32_t row);
/* NULL behind the last row. */
const struct mad_fault *mad_fault_row(const struct fabric *fabric, uint32_t row);

/* Is this packet lost? Counts the hit. */
bool mad_fault_drops(struct fabric *fabric, const struct mad_fault_case *packet);
/* How much later it arrives, over @hops links. */
uint64_t mad_fault_delay_ns(
        struct fabric *fabric, const struct mad_fault_case *packet, unsigned hops);
/* Does it arrive a second time? *@delay_ns: how much later. */
bool mad_fault_duplicates(struct fabric *fabric, const struct mad_fault_case *packet, unsigned hops,
        uint64_t *delay_ns);

size_t mad_faults_size(const struct net *net);

#endif
