/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* Who says too much over a link, or over all links of a VM, is read later; nobody else is. */
#include <errno.h>
#include <unistd.h>

#include "notifier/base/monotonic.h"
#include "notifier/link/shared_rates.h"
#include "notifier/wire/frame.h"
#include "tests/unit/link_ends.h"

static void who_says_too_much_is_read_later_and_loses_nothing(void **state)
{
	struct connection_settings slow = link_quick;
	struct link_end a, b;

	slow.frames_per_s = 2000;
	slow.frames_at_once = 10;
	link_pair_open(&a, &b, &slow);
	for (uint32_t round = 1; round <= 5; round++) {
		for (uint32_t i = 1; i <= 50; i++)
			assert_int_equal(interest_send(&a, 50 * (round - 1) + i), 0);
		b.wanted_frames = 50 * round;
		link_run(b.base);
	}
	assert_int_equal(b.last, 250);
	assert_int_equal(b.closed, 0);
	link_ends_clear(&a, &b);
}

/* What it owes would take a quarter of an hour. */
static void who_says_too_much_holds_nobody_else_up(void **state)
{
	struct connection_settings slow = link_quick;
	struct link_end a, b, other_a, other_b;

	slow.frames_per_s = 1;
	slow.frames_at_once = 10;
	link_pair_open(&a, &b, &slow);
	link_pair_open_in(a.base, &other_a, &other_b, &link_quick);
	for (uint32_t i = 1; i <= 1000; i++)
		assert_int_equal(interest_send(&a, i), 0);
	b.wanted_frames = 1000;
	link_run(b.base);
	assert_int_equal(interest_send(&a, 1001), 0);
	b.wanted_frames = 0;
	for (uint32_t i = 1; i <= 10; i++) {
		assert_int_equal(interest_send(&other_a, i), 0);
		other_b.wanted_frames = i;
		link_run(b.base);
	}
	assert_int_equal(b.frames, 1000);
	assert_int_equal(b.closed, 0);
	connection_destroy(other_a.connection);
	connection_destroy(other_b.connection);
	link_ends_clear(&a, &b);
}

/* Another link of vm1 than the one that has said too much, be it there before or new, which would
 * take a quarter of an hour to pay: nothing is read of it. */
static void nothing_is_read_of(struct shared_rates *rates, struct event_base *base)
{
	struct shared_rate *rate = shared_rate_hold(rates, "vm1", monotonic_ms());
	struct link_end a, b;

	link_pair_open_in(base, &a, &b, &link_quick);
	connection_rate_share(b.connection, rates, rate);
	for (uint32_t i = 1; i <= 5; i++)
		assert_int_equal(interest_send(&a, i), 0);
	link_loop_goes_on(base);
	assert_int_equal(b.frames, 0);
	assert_int_equal(b.closed, 0);
	connection_destroy(a.connection);
	connection_destroy(b.connection);
	shared_rate_release(rate);
}

static void links_of_a_vm_have_one_rate_and_coming_anew_wins_nothing(void **state)
{
	struct shared_rates *rates = shared_rates_create(1, 10);
	struct shared_rate *rate = shared_rate_hold(rates, "vm1", monotonic_ms());
	struct event_base *base;
	struct link_end a, b;

	link_pair_open(&a, &b, &link_quick);
	base = b.base;
	connection_rate_share(b.connection, rates, rate);
	for (uint32_t i = 1; i <= 1000; i++)
		assert_int_equal(interest_send(&a, i), 0);
	b.wanted_frames = 1000;
	link_run(base);
	b.wanted_frames = 0;
	nothing_is_read_of(rates, base);
	connection_destroy(a.connection);
	connection_destroy(b.connection);
	shared_rate_release(rate);
	nothing_is_read_of(rates, base);
	event_base_free(base);
	shared_rates_destroy(rates);
}

/* Few frames, but as large as they may be. */
static void large_frames_count_by_their_size(void **state)
{
	struct connection_settings slow = link_quick;
	struct link_end a, b;

	slow.frames_per_s = 1;
	slow.frames_at_once = 10;
	slow.queue_max_bytes = 4 << 20;
	link_pair_open(&a, &b, &slow);
	assert_int_equal(large_send(&a, FRAME_MAX_BYTES / 2), 0);
	assert_int_equal(interest_send(&a, 1), 0);
	link_loop_goes_on(a.base);
	link_loop_goes_on(a.base);
	assert_in_range(b.frames, 0, 1);
	assert_int_equal(b.closed, 0);
	link_ends_clear(&a, &b);
}

/* It does not read its last word either, and no heartbeat misses it. */
static void who_says_too_much_is_not_waited_for_at_the_end(void **state)
{
	struct connection_settings slow = link_quick;
	struct link_end a;
	int other;

	slow.heartbeat_ms = 0;
	slow.frames_per_s = 1;
	slow.frames_at_once = 10;
	slow.queue_max_bytes = FRAME_MAX_BYTES;
	other = link_half_open(&a, &slow);
	for (unsigned i = 1; i <= 20; i++)
		interest_write(other);
	a.finish_at_frame = 15;
	a.wanted_closed = 1;
	link_run(a.base);
	assert_int_equal(a.frames, 15);
	assert_int_equal(a.reason, -ETIMEDOUT);
	close(other);
	link_ends_clear(&a, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(who_says_too_much_is_read_later_and_loses_nothing),
	        cmocka_unit_test(who_says_too_much_holds_nobody_else_up),
	        cmocka_unit_test(links_of_a_vm_have_one_rate_and_coming_anew_wins_nothing),
	        cmocka_unit_test(large_frames_count_by_their_size),
	        cmocka_unit_test(who_says_too_much_is_not_waited_for_at_the_end),
	};

	return cmocka_run_group_tests_name("notifier_link_rates", tests, NULL, NULL);
}
