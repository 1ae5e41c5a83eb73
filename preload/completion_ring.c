/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "preload/completion_ring.h"

#include <errno.h>
#include <stdlib.h>

enum { LEAST_ENTRIES = 64 };

static struct ibv_wc *entry(const struct completion_ring *ring, uint32_t sequence)
{
	return &ring->entries[sequence & (ring->size - 1)];
}

static struct completion_stamp *stamp(const struct completion_ring *ring, uint32_t sequence)
{
	struct completion_stamp *stamps = (struct completion_stamp *)&ring->entries[ring->size];

	return &stamps[sequence & (ring->size - 1)];
}

static struct completion_ring ring_of_size(const struct completion_ring *like, uint32_t size)
{
	size_t stamp_bytes = like->is_stamped ? sizeof(struct completion_stamp) : 0;

	return (struct completion_ring){
	        .entries = malloc(size * (sizeof(struct ibv_wc) + stamp_bytes)),
	        .size = size,
	        .is_stamped = like->is_stamped};
}

static void move_entry(const struct completion_ring *to, uint32_t to_sequence,
        const struct completion_ring *from, uint32_t sequence)
{
	*entry(to, to_sequence) = *entry(from, sequence);
	if (to->is_stamped)
		*stamp(to, to_sequence) = *stamp(from, sequence);
}

int completion_ring_reserve(struct completion_ring *ring, uint32_t count)
{
	uint32_t used = completion_ring_count(ring), size = ring->size ? ring->size : LEAST_ENTRIES;
	struct completion_ring grown;

	if (used + count <= ring->size)
		return 0;
	while (size < used + count)
		size *= 2;
	grown = ring_of_size(ring, size);
	if (!grown.entries)
		return -ENOMEM;
	while (grown.head < used) {
		move_entry(&grown, grown.head, ring, ring->tail + grown.head);
		grown.head++;
	}
	free(ring->entries);
	*ring = grown;
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

struct completion_stamp *completion_ring_newest_stamp(const struct completion_ring *ring)
{
	return stamp(ring, ring->head - 1);
}

const struct completion_stamp *completion_ring_oldest_stamp(const struct completion_ring *ring)
{
	return stamp(ring, ring->tail);
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
		move_entry(ring, kept++, ring, i);
	}
	ring->head = kept;
}

void completion_ring_fini(struct completion_ring *ring)
{
	free(ring->entries);
	*ring = (struct completion_ring){0};
}
