/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include <errno.h>
#include <linux/futex.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "simfabric/fault_points.h"
#include "simfabric/packet_ring.h"

void packet_ring_init(struct packet_ring *ring)
{
	pthread_mutexattr_t attr;

	pthread_mutexattr_init(&attr);
	pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
	pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST);
	pthread_mutex_init(&ring->producers.lock, &attr);
	pthread_mutexattr_destroy(&attr);
}

/* What a dead producer had written is not published, so there is nothing to mend. */
static void lock(struct packet_ring *ring)
{
	if (pthread_mutex_lock(&ring->producers.lock) == EOWNERDEAD)
		pthread_mutex_consistent(&ring->producers.lock);
}

struct packet *packet_ring_reserve(struct packet_ring *ring)
{
	uint32_t tail, head;

	lock(ring);
	tail = ring->producers.tail;
	head = __atomic_load_n(&ring->consumer.head, __ATOMIC_ACQUIRE);
	if (tail - head < PACKET_RING_SLOTS)
		return &ring->slots[tail % PACKET_RING_SLOTS];
	pthread_mutex_unlock(&ring->producers.lock);
	return NULL;
}

uint32_t packet_ring_publish(struct packet_ring *ring)
{
	uint32_t tail = ring->producers.tail + 1;

	fault_point(packet_half_sent);
	/* Total order with the consumer's store of sleeping and load of tail: one of us sees the
	 * other. */
	__atomic_store_n(&ring->producers.tail, tail, __ATOMIC_SEQ_CST);
	pthread_mutex_unlock(&ring->producers.lock);
	fault_point(packet_sent);
	if (__atomic_load_n(&ring->sleeper.sleeping, __ATOMIC_SEQ_CST))
		packet_ring_wake(ring);
	return tail;
}

void packet_ring_abandon(struct packet_ring *ring)
{
	pthread_mutex_unlock(&ring->producers.lock);
}

bool packet_ring_has_answered(const struct packet_ring *ring, uint32_t number)
{
	uint32_t answered = __atomic_load_n(&ring->consumer.answered, __ATOMIC_ACQUIRE);

	return (int32_t)(answered - number) >= 0;
}

const struct packet *packet_ring_peek(struct packet_ring *ring)
{
	uint32_t head = ring->consumer.head;

	if (head == __atomic_load_n(&ring->producers.tail, __ATOMIC_ACQUIRE))
		return NULL;
	return &ring->slots[head % PACKET_RING_SLOTS];
}

void packet_ring_done(struct packet_ring *ring)
{
	__atomic_store_n(&ring->consumer.head, ring->consumer.head + 1, __ATOMIC_RELEASE);
}

void packet_ring_answered(struct packet_ring *ring)
{
	if (ring->consumer.answered != ring->consumer.head)
		__atomic_store_n(&ring->consumer.answered, ring->consumer.head, __ATOMIC_RELEASE);
}

void packet_ring_clear(struct packet_ring *ring)
{
	lock(ring);
	__atomic_store_n(&ring->consumer.head, ring->producers.tail, __ATOMIC_RELEASE);
	packet_ring_answered(ring);
	__atomic_store_n(&ring->sleeper.sleeping, 0, __ATOMIC_RELAXED);
	pthread_mutex_unlock(&ring->producers.lock);
}

bool packet_ring_ask_wake(struct packet_ring *ring, uint32_t *wakes)
{
	*wakes = __atomic_load_n(&ring->sleeper.wakes, __ATOMIC_RELAXED);
	__atomic_store_n(&ring->sleeper.sleeping, 1, __ATOMIC_SEQ_CST);
	return ring->consumer.head == __atomic_load_n(&ring->producers.tail, __ATOMIC_SEQ_CST);
}

void packet_ring_no_wake(struct packet_ring *ring)
{
	if (__atomic_load_n(&ring->sleeper.sleeping, __ATOMIC_RELAXED))
		__atomic_store_n(&ring->sleeper.sleeping, 0, __ATOMIC_RELAXED);
}

void packet_ring_sleep(struct packet_ring *ring, uint32_t wakes, uint64_t timeout_ns)
{
	struct timespec timeout = {
	        .tv_sec = (time_t)(timeout_ns / 1000000000),
	        .tv_nsec = (long)(timeout_ns % 1000000000),
	};

	syscall(SYS_futex, &ring->sleeper.wakes, FUTEX_WAIT, wakes,
	        timeout_ns == UINT64_MAX ? NULL : &timeout, NULL, 0);
}

void packet_ring_wake(struct packet_ring *ring)
{
	/* The first producer takes the flag back, so that a burst costs one wake-up. */
	__atomic_store_n(&ring->sleeper.sleeping, 0, __ATOMIC_RELAXED);
	__atomic_add_fetch(&ring->sleeper.wakes, 1, __ATOMIC_RELEASE);
	syscall(SYS_futex, &ring->sleeper.wakes, FUTEX_WAKE, 1, NULL, NULL, 0);
}
