/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "preload/datagram_counts.h"

#include <errno.h>
#include <sys/mman.h>

enum { LEAST_ENTRIES = 256 };

static struct datagram_count *place_of(
        const struct datagram_counts *counts, uint32_t own, uint64_t other)
{
	uint32_t i = (uint32_t)((other ^ other >> 32) * 0x9e3779b1u) >> 7;
	struct datagram_count *at;

	do
		at = &counts->entries[i++ & (counts->size - 1)];
	while (at->other && (at->other != other || at->own != own));
	return at;
}

/* At most half full, so that a search ends soon. */
static int grow(struct datagram_counts *counts)
{
	struct datagram_counts grown = {
	        .size = counts->size ? 2 * counts->size : LEAST_ENTRIES, .used = counts->used};

	grown.entries = mmap(NULL, grown.size * sizeof(*grown.entries), PROT_READ | PROT_WRITE,
	        MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (grown.entries == MAP_FAILED)
		return -ENOMEM;
	for (uint32_t i = 0; i < counts->size; i++) {
		if (counts->entries[i].other)
			*place_of(&grown, counts->entries[i].own, counts->entries[i].other) =
			        counts->entries[i];
	}
	datagram_counts_fini(counts);
	*counts = grown;
	return 0;
}

/* Whoever is counted already is found without saving registers for this. */
static __attribute__((noinline)) struct datagram_count *add(
        struct datagram_counts *counts, uint32_t own, uint64_t other)
{
	struct datagram_count *at;

	if (!(other >> 32))
		return NULL;
	if (2 * (counts->used + 1) > counts->size && grow(counts))
		return NULL;
	at = place_of(counts, own, other);
	counts->used++;
	at->other = other;
	at->own = own;
	return at;
}

struct datagram_count *datagram_counts_at(
        struct datagram_counts *counts, uint32_t own, uint64_t other)
{
	struct datagram_count *at = counts->size ? place_of(counts, own, other) : NULL;

	return at && at->other ? at : add(counts, own, other);
}

void datagram_counts_fini(struct datagram_counts *counts)
{
	if (counts->size)
		munmap(counts->entries, counts->size * sizeof(*counts->entries));
	*counts = (struct datagram_counts){0};
}
