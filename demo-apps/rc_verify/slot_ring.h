/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Finds WRITEs by polling memory. Message n lands at the end of slot n modulo slots, so that its
 * tail is the slot's last eight bytes. What was checked is cleared; a repeat then shows as an old
 * number in a clear slot, an absence as a clear slot before a full one. The sender may use a slot
 * again only once it was released, which happens half a ring later, after a look at whether
 * something came back. Pure, apart from the memory that the other side writes. One thread.
 */
#ifndef RC_VERIFY_SLOT_RING_H
#define RC_VERIFY_SLOT_RING_H

#include <stddef.h>
#include <stdint.h>

#include "demo-apps/verify/sequence_check.h"

enum {
	/* InfiniBand promises no order of bytes within a message: a tail that is there before its
	 * body gets this long. */
	SLOT_SETTLE_US = 100000,
};

struct slot_ring {
	unsigned char *base;
	uint32_t slots, slot_size;
	uint32_t stream;
	struct sequence_check sequence;
	uint64_t released;
	uint64_t unsettled_since_us; /* 0: the next slot holds nothing doubtful */
	uint32_t empty_polls;
};

void slot_ring_init(
        struct slot_ring *ring, void *base, uint32_t slots, uint32_t slot_size, uint32_t stream);
/* Take what has come. Returns how many messages. */
unsigned slot_ring_poll(struct slot_ring *ring, uint64_t now_us, struct findings *findings);
/* Nothing more will come: the sender wrote @total. Every slot must be clear. */
void slot_ring_finish(struct slot_ring *ring, uint64_t total, struct findings *findings);

#endif
