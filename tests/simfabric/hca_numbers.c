/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "simfabric/hca_numbers.h"

enum { TWISTS = 3 };

bool hca_numbers_collide(const struct hca *hca)
{
	return hca->faults->colliding_numbers || hca->faults->swapped_numbers;
}

uint32_t hca_number_seed(const struct hca *hca)
{
	if (hca_numbers_collide(hca))
		return 1;
	return (hca->place.port * 0x9e3779b1u + hca->place.slot * 0xc2b2ae35u +
	               hca->place.generation * 0x85ebca6bu) >>
	       8;
}

uint32_t hca_number_twist(const struct hca *hca)
{
	/* A hypervisor's own device is never moved. */
	uint32_t attachments = hca->place.attachments;

	if (!hca->faults->swapped_numbers || attachments < 2)
		return 0;
	return 1 + (attachments - 2) % TWISTS;
}
