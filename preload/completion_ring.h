/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Completions that were taken from the device, or made up, before the application asked for them.
 * Belongs to a completion queue; inside its gate. Grows as needed: room is asked for before a
 * completion is taken from where it is safe.
 */
#ifndef TETHER_COMPLETION_RING_H
#define TETHER_COMPLETION_RING_H

#include <infiniband/verbs.h>
#include <stdbool.h>
#include <stdint.h>

/* When it was (completion_stamps.h). */
struct completion_stamp {
	uint64_t ticks; /* as shown_clock.h counts */
	uint64_t wall_ns;
};

struct completion_ring {
	struct ibv_wc *entries;
	uint32_t size; /* a power of two, or 0 */
	uint32_t head, tail;
	bool is_stamped; /* behind the entries stands a stamp for each */
};

static inline uint32_t completion_ring_count(const struct completion_ring *ring)
{
	return ring->head - ring->tail;
}

/* -ENOMEM: the ring is as it was. */
int completion_ring_reserve(struct completion_ring *ring, uint32_t count);
/* Into reserved room. */
void completion_ring_push(struct completion_ring *ring, const struct ibv_wc *wc);
int completion_ring_take(struct completion_ring *ring, int count, struct ibv_wc *wc);
/* A stamped ring's: of what was put there last; of what is taken next. */
struct completion_stamp *completion_ring_newest_stamp(const struct completion_ring *ring);
const struct completion_stamp *completion_ring_oldest_stamp(const struct completion_ring *ring);
/* What stands there, @index below completion_ring_count. */
struct ibv_wc *completion_ring_at(const struct completion_ring *ring, uint32_t index);
/* Drop what is of @qp_num. */
void completion_ring_purge(struct completion_ring *ring, uint32_t qp_num);
void completion_ring_fini(struct completion_ring *ring);

#endif
