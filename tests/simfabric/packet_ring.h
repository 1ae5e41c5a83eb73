/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * The packets on their way to one process: a ring of fixed slots in shared memory with many
 * producers and one consumer. A producer holds the ring's lock from reserve to publish; the tail
 * advances last, so that one killed at any instruction loses at most its own packet. A full ring
 * loses nothing: the producer comes again (credits of a real link).
 *
 * The consumer sleeps on a futex in the ring. It says so in `sleeping`, and only then do producers
 * pay for a wake-up.
 */
#ifndef SIMFABRIC_PACKET_RING_H
#define SIMFABRIC_PACKET_RING_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "simfabric/packet.h"

enum {
	PACKET_RING_SLOTS = 256,
};

struct packet_ring {
	struct {
		pthread_mutex_t lock; /* process-shared, robust */
		uint32_t tail;        /* packets published */
	} producers __attribute__((aligned(64)));
	struct {
		uint32_t head;     /* packets done with: their slots may be used again */
		uint32_t answered; /* packets whose answers are out as well */
	} consumer __attribute__((aligned(64)));
	struct {
		uint32_t sleeping;
		uint32_t wakes; /* the futex */
	} sleeper __attribute__((aligned(64)));
	struct packet slots[PACKET_RING_SLOTS];
};

void packet_ring_init(struct packet_ring *ring);

/* ---- producers; any process ---- */

/*
 * The next free slot, with the ring locked; NULL: full, and not locked. Its contents are what the
 * slot held before. End with publish or abandon.
 */
struct packet *packet_ring_reserve(struct packet_ring *ring);
/* Returns the packet's number, for packet_ring_has_answered. */
uint32_t packet_ring_publish(struct packet_ring *ring);
void packet_ring_abandon(struct packet_ring *ring);
bool packet_ring_has_answered(const struct packet_ring *ring, uint32_t number);

/* ---- the consumer; one thread at a time ---- */

/* The oldest packet, NULL: none. It stays in its slot until done. */
const struct packet *packet_ring_peek(struct packet_ring *ring);
void packet_ring_done(struct packet_ring *ring);
/* All that is done with has been answered, too. */
void packet_ring_answered(struct packet_ring *ring);
/* Forget what is in the ring: for its next owner. */
void packet_ring_clear(struct packet_ring *ring);

/*
 * From now on producers wake. False: a packet is there already, do not sleep. The number of wakes
 * to pass to packet_ring_sleep is in *@wakes.
 */
bool packet_ring_ask_wake(struct packet_ring *ring, uint32_t *wakes);
void packet_ring_no_wake(struct packet_ring *ring);
/* Until woken after *@wakes was read, or @timeout_ns (UINT64_MAX: for ever). */
void packet_ring_sleep(struct packet_ring *ring, uint32_t wakes, uint64_t timeout_ns);
/* Wake the consumer for another reason than a packet. */
void packet_ring_wake(struct packet_ring *ring);

#endif
