/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "simfabric/hca_numbers.h"
#include "simfabric/hca_process.h"

enum {
	NS_PER_MS = 1000000,
	START_BITS = 30, /* starts of two devices are at least seconds apart */
};

uint64_t hca_clock(const struct hca *hca, uint64_t at_ns)
{
	/* Milliseconds apart from the rest: the product of all would not fit. */
	uint64_t ticks =
	        at_ns / NS_PER_MS * HCA_CLOCK_KHZ + at_ns % NS_PER_MS * HCA_CLOCK_KHZ / NS_PER_MS;

	return (ticks + ((uint64_t)hca_number_seed(hca) << START_BITS)) & HCA_CLOCK_MASK;
}
