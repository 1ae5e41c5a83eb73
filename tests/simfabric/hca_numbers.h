/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Which numbers a device gives to queue pairs, shared queues and keys. By itself each slot has
 * others, so that what a VM takes along nowhere means something by chance. data_faults.h makes them
 * alike everywhere, or the worst: once a VM has moved, its device gives each object the number by
 * which the VM's peers know another one.
 */
#ifndef SIMFABRIC_HCA_NUMBERS_H
#define SIMFABRIC_HCA_NUMBERS_H

#include "simfabric/hca.h"

/* The lowest free number of one range for all. */
bool hca_numbers_collide(const struct hca *hca);
/* Where counting begins. */
uint32_t hca_number_seed(const struct hca *hca);
/* The clock by which the device stamps. */
void hca_clock_begin(struct hca *hca);
/*
 * What the n-th object of a kind is exclusive-ored with: 0 at a VM's first place, then 1, 2, 3, 1
 * and so on, which exchanges neighbours: within four, everything has another's number at each
 * place.
 */
uint32_t hca_number_twist(const struct hca *hca);

#endif
