/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "demo-apps/mpi_verify/sizes.h"

#include "demo-apps/mpi_verify/content.h"

static void size_add(struct sizes *sizes, size_t length, size_t most)
{
	if (length > most || (sizes->count && sizes->length[sizes->count - 1] >= length))
		return;
	sizes->length[sizes->count++] = length;
}

void sizes_all(struct sizes *sizes, size_t most)
{
	sizes->count = 0;
	size_add(sizes, 0, most + 1);
	for (size_t power = 1; power <= most; power *= 2) {
		size_add(sizes, power - 1, most + 1);
		size_add(sizes, power, most + 1);
		size_add(sizes, power + 1, most + 1);
	}
}

void sizes_of_round(struct sizes *sizes, size_t most, uint64_t round)
{
	struct sizes all;
	unsigned longs = 0;

	sizes_all(&all, most);
	sizes->count = 0;
	for (unsigned i = 0; i < all.count; i++)
		if (all.length[i] <= SIZES_SHORT || longs++ % SIZES_CYCLE == round % SIZES_CYCLE)
			sizes->length[sizes->count++] = all.length[i];
}

size_t sizes_draw(uint64_t *random, size_t most)
{
	struct sizes all;

	sizes_all(&all, most > 0 ? most - 1 : 0);
	return all.length[random_next(random) % all.count];
}
