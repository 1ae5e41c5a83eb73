/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* SMPs to the nodes of the fixture's fabric, handed to the SMA where they come in. */
#ifndef UNIT_SIMFABRIC_SMPS_H
#define UNIT_SIMFABRIC_SMPS_H

#include "simfabric/sma.h"
#include "unit/simfabric_fixture.h"

enum {
	GET = METHOD_SUBN_GET,
	SET = METHOD_SUBN_SET,
	NODE_DESCRIPTION = 0x10,
	NODE_INFO = 0x11,
	SWITCH_INFO = 0x12,
	GUID_INFO = 0x14,
	PORT_INFO = 0x15,
	PKEYS = 0x16,
	SL_TO_VL = 0x17,
	VL_ARB = 0x18,
	LFT = 0x19,
	MFT = 0x1b,
	NO_ANSWER = -1,
	OK = STATUS_OK,
	BAD_FIELD = STATUS_BAD_FIELD,
	BAD_ATTRIBUTE = STATUS_BAD_METHOD_ATTRIBUTE,
};

extern struct fabric *fabric;
extern uint8_t data[64]; /* of the last SMP: what was asked, then what was answered */

int open_fabric(void **state);
int close_fabric(void **state);

/* An SMP with @data comes into @node by port @number; the status of the answer, or NO_ANSWER. */
int smp(const char *node, unsigned number, uint8_t method, uint16_t attribute, uint32_t modifier);
int smp_with_key(const char *node, unsigned number, uint8_t method, uint16_t attribute,
        uint32_t modifier, uint64_t mkey);

struct port *port(const char *node, unsigned number);
uint8_t *switch_info(const char *node);
const struct smp_counts *counts(const char *node, enum smp_attribute attribute);

#endif
