/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* The world's fabric: one vSwitch, its hypervisor's VF slots, and where each VM is. */
#ifndef TEST_MODEL_WORLD_FABRIC_H
#define TEST_MODEL_WORLD_FABRIC_H

#include <stdint.h>

/* SIMFABRIC names it then. */
void world_fabric_make(uint64_t seed);
/* Once everybody has it mapped: its files have no names any more, so nothing is left of them
 * however the process ends. What has no fabric yet is ended so, too. */
void world_fabric_unname(void);
void world_fabric_close(void);
void world_fabric_set(const char *setting);

#endif
