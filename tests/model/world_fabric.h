/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* The world's fabric: one vSwitch, its hypervisor's VF slots, and where each VM is. */
#ifndef TEST_MODEL_WORLD_FABRIC_H
#define TEST_MODEL_WORLD_FABRIC_H

#include <stdint.h>

/* SIMFABRIC names it then. */
void world_fabric_make(uint64_t seed);
void world_fabric_remove(void);
void world_fabric_set(const char *setting);

#endif
