/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "simfabric/packet_ring.h"

static int open_ring(void **state)
{
	struct packet_ring *ring = mmap(
	        NULL, sizeof(*ring), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (ring == MAP_FAILED)
		return -1;
	packet_ring_init(ring);
	*state = ring;
	return 0;
}

static int close_ring(void **state)
{
	return munmap(*state, sizeof(struct packet_ring));
}

static uint32_t put(struct packet_ring *ring, uint32_t psn)
{
	struct packet *packet = packet_ring_reserve(ring);

	assert_non_null(packet);
	packet->psn = psn;
	return packet_ring_publish(ring);
}

static void packets_come_out_in_order(void **state)
{
	struct packet_ring *ring = *state;

	assert_null(packet_ring_peek(ring));
	for (uint32_t i = 0; i < 3 * PACKET_RING_SLOTS; i++) {
		put(ring, 2 * i);
		put(ring, 2 * i + 1);
		for (uint32_t j = 0; j < 2; j++) {
			assert_int_equal(packet_ring_peek(ring)->psn, 2 * i + j);
			packet_ring_done(ring);
		}
	}
	assert_null(packet_ring_peek(ring));
}

static void full_ring_takes_no_more_until_one_is_done(void **state)
{
	struct packet_ring *ring = *state;

	for (uint32_t i = 0; i < PACKET_RING_SLOTS; i++)
		put(ring, i);
	assert_null(packet_ring_reserve(ring));
	/* Read but not done with: the slot is still in use. */
	assert_int_equal(packet_ring_peek(ring)->psn, 0);
	assert_null(packet_ring_reserve(ring));
	packet_ring_done(ring);
	put(ring, 999);
}

static void abandoned_packet_never_was(void **state)
{
	struct packet_ring *ring = *state;

	packet_ring_reserve(ring)->psn = 1;
	packet_ring_abandon(ring);
	assert_null(packet_ring_peek(ring));
	put(ring, 2);
	assert_int_equal(packet_ring_peek(ring)->psn, 2);
}

static void packet_counts_as_answered_when_the_consumer_says_so(void **state)
{
	struct packet_ring *ring = *state;
	uint32_t number = put(ring, 1);

	packet_ring_peek(ring);
	packet_ring_done(ring);
	assert_false(packet_ring_has_answered(ring, number));
	packet_ring_answered(ring);
	assert_true(packet_ring_has_answered(ring, number));
	assert_false(packet_ring_has_answered(ring, put(ring, 2)));
}

/* A producer dies with the lock in its hands and half a packet in the slot. */
static void killed_producer_loses_its_own_packet_only(void **state)
{
	struct packet_ring *ring = *state;
	int status;
	pid_t child;

	put(ring, 1);
	child = fork();
	if (!child) {
		packet_ring_reserve(ring)->psn = 666;
		raise(SIGKILL);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status));
	put(ring, 2);
	assert_int_equal(packet_ring_peek(ring)->psn, 1);
	packet_ring_done(ring);
	assert_int_equal(packet_ring_peek(ring)->psn, 2);
	packet_ring_done(ring);
	assert_null(packet_ring_peek(ring));
}

static void consumer_that_asked_is_woken_by_a_packet(void **state)
{
	struct packet_ring *ring = *state;
	uint32_t wakes;
	int status;
	pid_t child;

	assert_true(packet_ring_ask_wake(ring, &wakes));
	child = fork();
	if (!child) {
		put(ring, 1);
		_exit(0);
	}
	alarm(20); /* not woken, this would last for ever */
	while (!packet_ring_peek(ring))
		packet_ring_sleep(ring, wakes, UINT64_MAX);
	alarm(0);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

static void consumer_does_not_sleep_over_a_packet_that_is_there(void **state)
{
	struct packet_ring *ring = *state;
	uint32_t wakes;

	put(ring, 1);
	assert_false(packet_ring_ask_wake(ring, &wakes));
}

static void producer_does_not_wake_who_did_not_ask(void **state)
{
	struct packet_ring *ring = *state;
	uint32_t wakes = ring->sleeper.wakes;

	put(ring, 1);
	assert_int_equal(ring->sleeper.wakes, wakes);
	packet_ring_ask_wake(ring, &wakes);
	packet_ring_no_wake(ring);
	put(ring, 2);
	assert_int_equal(ring->sleeper.wakes, wakes);
}

static void next_owner_finds_an_empty_ring(void **state)
{
	struct packet_ring *ring = *state;

	put(ring, 1);
	packet_ring_clear(ring);
	assert_null(packet_ring_peek(ring));
	put(ring, 2);
	assert_int_equal(packet_ring_peek(ring)->psn, 2);
}

enum { PRODUCERS = 3, PACKETS = 20000 };

static void produce(struct packet_ring *ring, uint32_t me)
{
	for (uint32_t i = 0; i < PACKETS;) {
		struct packet *packet = packet_ring_reserve(ring);

		if (!packet)
			continue;
		packet->src_qpn = me;
		packet->psn = i++;
		packet_ring_publish(ring);
	}
	_exit(0);
}

static void many_producers_lose_and_mix_nothing(void **state)
{
	struct packet_ring *ring = *state;
	uint32_t next[PRODUCERS] = {0}, taken = 0;
	const struct packet *packet;

	for (uint32_t i = 0; i < PRODUCERS; i++) {
		if (!fork())
			produce(ring, i);
	}
	while (taken < PRODUCERS * PACKETS) {
		packet = packet_ring_peek(ring);
		if (!packet)
			continue;
		assert_int_equal(packet->psn, next[packet->src_qpn]++);
		packet_ring_done(ring);
		taken++;
	}
	for (int i = 0; i < PRODUCERS; i++)
		wait(NULL);
	assert_null(packet_ring_peek(ring));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, open_ring, close_ring)
	const struct CMUnitTest tests[] = {
	        TEST(packets_come_out_in_order),
	        TEST(full_ring_takes_no_more_until_one_is_done),
	        TEST(abandoned_packet_never_was),
	        TEST(packet_counts_as_answered_when_the_consumer_says_so),
	        TEST(killed_producer_loses_its_own_packet_only),
	        TEST(consumer_that_asked_is_woken_by_a_packet),
	        TEST(consumer_does_not_sleep_over_a_packet_that_is_there),
	        TEST(producer_does_not_wake_who_did_not_ask),
	        TEST(next_owner_finds_an_empty_ring),
	        TEST(many_producers_lose_and_mix_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
