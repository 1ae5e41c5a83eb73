/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "preload/completion_ring.h"

#include <errno.h>
#include <stdlib.h>

enum { LEAST_ENTRIES = 64 };

static struct ibv_wc *entry(const struct completion_ring *ring, uint32_t sequence)
{
	return &ring->entries[sequence & (ring->size - 1)];
}

int completion_ring_reserve(struct completion_ring *ring, uint32_t count)
{
	uint32_t used = completion_ring_count(ring), size = ring->size ? ring->size : LEAST_ENTRIES;
	struct ibv_wc *grown;

	if (used + count <= ring->size)
		return 0;
	while (size < used + count)
		size *= 2;
	grown = malloc(size * sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	for (uint32_t i = 0; i < used; i++)
		grown[i] = *entry(ring, ring->tail + i);
	free(ring->entries);
	*ring = (struct completion_ring){.entries = grown, .size = size, .head = used};
	return 0;
}

void completion_ring_push(struct completion_ring *ring, const struct ibv_wc *wc)
{
	*entry(ring, ring->head++) = *wc;
}

int completion_ring_take(struct completion_ring *ring, int count, struct ibv_wc *wc)
{
	int taken = 0;

	while (taken < count && ring->tail != ring->head)
		wc[taken++] = *entry(ring, ring->tail++);
	return taken;
}

struct ibv_wc *completion_ring_at(const struct completion_ring *ring, uint32_t index)
{
	return entry(ring, ring->tail + index);
}

void completion_ring_purge(struct completion_ring *ring, uint32_t qp_num)
{
	uint32_t kept = ring->tail;

	for (uint32_t i = ring->tail; i != ring->head; i++) {
		if (entry(ring, i)->qp_num == qp_num)
			continue;
		*entry(ring, kept++) = *entry(ring, i);
	}
	ring->head = kept;
}

void completion_ring_fini(struct completion_ring *ring)
{
	free(ring->entries);
	*ring = (struct completion_ring){0};
}
