/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Traps of the SMAs: sent to the subnet manager's LID along the LFTs, repeated every SubnetTimeOut
 * until repressed. A new trap of the same port and number replaces the one that is being repeated.
 * Under the fabric's lock.
 */
#ifndef SIMFABRIC_TRAPS_H
#define SIMFABRIC_TRAPS_H

#include <stdbool.h>
#include <stdint.h>

#include "simfabric/shared_file.h"

enum trap_number {
	TRAP_LINK_STATE = 128,
	TRAP_CAPABILITY_MASK = 144,
	TRAP_BAD_MKEY = 256,
};

/* @port: the end port that reports. Nothing is sent while it knows no subnet manager. */
void trap_link_state(struct fabric *fabric, uint32_t port);
void trap_capability_mask(struct fabric *fabric, uint32_t port, uint32_t capabilities);
/* @mad: the SMP that was refused. */
void trap_bad_mkey(struct fabric *fabric, uint32_t port, const uint8_t mad[256], uint16_t slid);

/* TrapRepress arrived at end port @port. False: none of its traps is meant. */
bool trap_repress(struct fabric *fabric, uint32_t port, uint64_t tid);
/* An EVENT_TRAP_REPEAT is due. */
void trap_repeat(struct fabric *fabric, uint32_t row, uint32_t generation);
/* Traps that are being repeated. */
unsigned traps_outstanding(const struct fabric *fabric);

size_t traps_size(const struct net *net);

#endif
