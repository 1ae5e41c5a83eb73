/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* What all links of a VM may hold in memory, unread and unsent. */
#include <errno.h>
#include <malloc.h>
#include <sys/socket.h>
#include <unistd.h>

#include "notifier/base/monotonic.h"
#include "notifier/link/shared_rates.h"
#include "notifier/wire/frame.h"
#include "tests/unit/link_ends.h"

enum { HELD_MOST = 4 << 20, HALF_SAID = 64 };

static size_t heap_bytes(void)
{
	struct mallinfo2 heap = mallinfo2();

	return heap.uordblks + heap.hblkhd;
}

/* The links of @rate's VM, and the other ends. */
static void half_links_open(struct event_base *base, struct shared_rates *rates,
        struct shared_rate *rate, struct link_end *ends, int *others)
{
	struct connection_settings settings = link_quick;
	int fds[2];

	settings.frame_ms = 60000;
	settings.heartbeat_ms = 0;
	for (size_t i = 0; i < HALF_SAID; i++) {
		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
		link_end_open(&ends[i], base, fds[0], &settings);
		connection_rate_share(ends[i].connection, rates, rate);
		others[i] = fds[1];
	}
}

/* Each says that a frame as large as one may be comes, and its first byte. */
static void memory_for_all_links_of_a_vm_is_limited(void **state)
{
	static const uint8_t said[] = {0, 0x0f, 0xff, 0xff, 0};
	static struct link_end ends[HALF_SAID];
	struct shared_rates *rates = shared_rates_create(0, 0);
	struct shared_rate *rate = shared_rate_hold(rates, "vm1", monotonic_ms());
	struct event_base *base = event_base_new();
	int others[HALF_SAID];
	unsigned closed = 0;
	size_t before;

	rates->held_most = HELD_MOST;
	half_links_open(base, rates, rate, ends, others);
	link_loop_goes_on(base);
	before = heap_bytes();
	for (size_t i = 0; i < HALF_SAID; i++) {
		assert_int_equal(write(others[i], said, 4), 4);
		link_loop_goes_on(base);
		assert_int_equal(write(others[i], said + 4, 1), 1);
		link_loop_goes_on(base);
		assert_in_range(heap_bytes(), 0, before + HELD_MOST + FRAME_MAX_BYTES);
		assert_int_equal(rates->held, rate->held);
		closed += ends[i].closed;
		assert_true(!ends[i].closed || ends[i].reason == -EDQUOT);
	}
	print_message("# %zd bytes of the heap, %u of %d links have ended\n",
	        (ssize_t)(heap_bytes() - before), closed, HALF_SAID);
	assert_in_range(closed, HALF_SAID - HELD_MOST / FRAME_MAX_BYTES, HALF_SAID - 1);
	for (size_t i = 0; i < HALF_SAID; i++) {
		connection_destroy(ends[i].connection);
		close(others[i]);
	}
	assert_int_equal(rate->held, 0);
	assert_int_equal(rates->held, 0);
	assert_int_equal(rate->unread, 0);
	shared_rate_release(rate);
	shared_rates_destroy(rates);
	event_base_free(base);
}

/* Else whoever asks and takes no answer would fill the queue with them. */
static void who_takes_nothing_is_not_listened_to(void **state)
{
	struct shared_rates *rates = shared_rates_create(0, 0);
	struct shared_rate *rate = shared_rate_hold(rates, "vm1", monotonic_ms());
	struct connection_settings settings = link_quick;
	struct link_end end;
	int other;

	settings.queue_max_bytes = 4 << 20;
	settings.heartbeat_ms = 0;
	rates->unread_most = 1000;
	other = link_half_open(&end, &settings);
	connection_rate_share(end.connection, rates, rate);
	interest_write(other);
	end.wanted_frames = 1;
	link_run(end.base);
	assert_int_equal(large_send(&end, FRAME_MAX_BYTES / 2), 0);
	link_loop_goes_on(end.base);
	interest_write(other);
	link_loop_goes_on(end.base);
	assert_int_equal(end.frames, 1);
	for (size_t taken = 0; taken < FRAME_MAX_BYTES / 2;) {
		uint8_t bytes[4096];
		ssize_t count = read(other, bytes, sizeof(bytes));

		assert_true(count > 0);
		taken += count;
		event_base_loop(end.base, EVLOOP_NONBLOCK);
	}
	end.wanted_frames = 2;
	link_run(end.base);
	assert_int_equal(end.closed, 0);
	link_ends_clear(&end, NULL);
	close(other);
	shared_rate_release(rate);
	shared_rates_destroy(rates);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(memory_for_all_links_of_a_vm_is_limited),
	        cmocka_unit_test(who_takes_nothing_is_not_listened_to),
	};

	return cmocka_run_group_tests_name("notifier_link_memory", tests, NULL, NULL);
}
