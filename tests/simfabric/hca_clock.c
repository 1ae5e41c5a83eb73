/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "simfabric/hca_numbers.h"
#include "simfabric/hca_process.h"

enum {
	NS_PER_MS = 1000000,
	START_BITS = 30, /* starts of two devices are at least seconds apart */
};

/* The same in every process that opens this device. */
void hca_clock_begin(struct hca *hca)
{
	static const struct hca_clock strange[] = {
	        {.mask = (1ull << 40) - 1, .khz = 1000000},
	        {.mask = UINT64_MAX, .khz = 78125},
	        {.mask = (1ull << 48) - 1, .khz = 427000},
	};
	uint32_t attachments = hca->place.attachments;
	uint64_t seed = hca_number_seed(hca);

	hca->clock = (struct hca_clock){.mask = INT64_MAX, .khz = 156250};
	hca->clock.begin = seed << START_BITS;
	if (!hca->faults->strange_clocks || attachments < 2)
		return;
	hca->clock = strange[(attachments - 2) % (sizeof(strange) / sizeof(*strange))];
	/* Far from where the first is, which counts from there on. */
	hca->clock.begin = seed;
}

uint64_t hca_clock(const struct hca *hca, uint64_t at_ns)
{
	const struct hca_clock *clock = &hca->clock;
	/* Milliseconds apart from the rest: the product of all would not fit. */
	uint64_t ticks =
	        at_ns / NS_PER_MS * clock->khz + at_ns % NS_PER_MS * clock->khz / NS_PER_MS;

	return (ticks + clock->begin) & clock->mask;
}
