/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "demo-apps/rc_verify/slot_ring.h"

#include <stdbool.h>
#include <string.h>

#include "demo-apps/verify/message.h"

enum { SCAN_EVERY = 64 /* empty polls; a scan touches every slot */ };

void slot_ring_init(
        struct slot_ring *ring, void *base, uint32_t slots, uint32_t slot_size, uint32_t stream)
{
	*ring = (struct slot_ring){
	        .base = base, .slots = slots, .slot_size = slot_size, .stream = stream};
}

static unsigned char *slot_end(const struct slot_ring *ring, uint64_t number)
{
	/* NOLINTNEXTLINE(clang-analyzer-core.DivideZero): a ring has slots */
	return ring->base + (number % ring->slots + 1) * ring->slot_size;
}

static uint64_t *slot_tail(const struct slot_ring *ring, uint64_t number)
{
	return (uint64_t *)(slot_end(ring, number) - 8);
}

static uint64_t tail_read(const struct slot_ring *ring, uint64_t number)
{
	return __atomic_load_n(slot_tail(ring, number), __ATOMIC_ACQUIRE);
}

/* The body first: once the tail is clear the slot counts as empty. */
static void slot_clear(const struct slot_ring *ring, uint64_t number, size_t length)
{
	if (length > ring->slot_size || length < 8)
		length = ring->slot_size;
	memset(slot_end(ring, number) - length, 0, length - 8);
	__atomic_store_n(slot_tail(ring, number), 0, __ATOMIC_RELEASE);
}

/* A slot that was checked and cleared has been written again. */
static void slot_expect_clear(struct slot_ring *ring, uint64_t number, struct findings *findings)
{
	uint64_t tail = tail_read(ring, number);

	if (!tail)
		return;
	findings->duplicated++;
	slot_clear(ring, number, message_tail_length(tail));
}

static void release(struct slot_ring *ring, struct findings *findings)
{
	while (ring->released + ring->slots / 2 < ring->sequence.next)
		slot_expect_clear(ring, ring->released++, findings);
}

/*
 * The expected slot is clear. Is a later one full? RC delivers in order, so what is before it is
 * missing. Does a later one hold an old number? It came again.
 */
static bool scan_ahead(struct slot_ring *ring, struct findings *findings)
{
	uint64_t next = ring->sequence.next;

	for (uint64_t number = next + 1; number < next + ring->slots; number++) {
		uint64_t tail = tail_read(ring, number);

		if (tail && message_tail_number(tail) == number && !tail_read(ring, next)) {
			sequence_check_missing(&ring->sequence, next + 1, findings);
			return true;
		}
		if (tail && message_tail_number(tail) < next)
			slot_expect_clear(ring, number, findings);
	}
	return false;
}

static bool slot_settled(struct slot_ring *ring, uint64_t now_us)
{
	if (!ring->unsettled_since_us)
		ring->unsettled_since_us = now_us;
	return now_us - ring->unsettled_since_us >= SLOT_SETTLE_US;
}

/* One slot: true when it was taken, or found missing. */
static bool slot_take(struct slot_ring *ring, uint64_t now_us, struct findings *findings)
{
	uint64_t next = ring->sequence.next, number = next, tail = tail_read(ring, next);
	size_t length = message_tail_length(tail);
	bool good;

	if (!tail)
		return ring->empty_polls++ % SCAN_EVERY == SCAN_EVERY - 1 &&
		       scan_ahead(ring, findings);
	good = length <= ring->slot_size && message_check(slot_end(ring, next) - length, length,
	                                            ring->stream, &number) == MESSAGE_GOOD;
	if (!good && !slot_settled(ring, now_us))
		return false;
	ring->unsettled_since_us = 0;
	ring->empty_polls = 0;
	slot_clear(ring, next, length);
	if (!good)
		findings->corrupted++;
	sequence_check_arrived(&ring->sequence, good ? number : next, findings);
	return !good || number >= next;
}

unsigned slot_ring_poll(struct slot_ring *ring, uint64_t now_us, struct findings *findings)
{
	unsigned taken = 0;

	if (!ring->slots)
		return 0;
	while (taken < ring->slots && slot_take(ring, now_us, findings))
		taken++;
	release(ring, findings);
	return taken;
}

void slot_ring_finish(struct slot_ring *ring, uint64_t total, struct findings *findings)
{
	sequence_check_finish(&ring->sequence, total, findings);
	for (uint32_t slot = 0; slot < ring->slots; slot++)
		slot_expect_clear(ring, slot, findings);
	ring->released = total;
}
