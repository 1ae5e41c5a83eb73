/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * The clock of a device as its application sees it: the first one's for ever, going on without a
 * device, and not offered where none can be read.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>

#include "tests/unit/shim_stamped_ends.h"

/* In the application's ticks, what @from_ns to @until_ns of the host's clock makes. */
static uint64_t ticks_of(const struct harness *h, uint64_t from_ns, uint64_t until_ns)
{
	unsigned __int128 passed = until_ns - from_ns;

	return (uint64_t)(passed * attr_of(&h->vm).hca_core_clock / 1000000);
}

static void the_clock_goes_on_while_there_is_no_device(void **state)
{
	enum { ROUNDED = 16 }; /* ticks, at a few places each move */
	struct harness *h = *state;
	uint64_t mask = attr_of(&h->vm).completion_timestamp_mask;
	uint64_t outer_ns, inner_ns, begin, away, end, least, most;
	int slot;

	for (int moves = 0; moves < MOVES; moves++) {
		outer_ns = host_ns(CLOCK_MONOTONIC_RAW);
		begin = clock_now(&h->vm);
		inner_ns = host_ns(CLOCK_MONOTONIC_RAW);
		harness_stop(h);
		harness_expect(h, TETHER__STEP__STEP_RELEASE, DONE);
		slot = (fake.slot + 1) % 4;
		fake.slot = -1;
		away = clock_now(&h->vm);
		FOLLOWS(&h->vm, begin, away);
		/* What lies between a reading of the device and one of the host counts twice. */
		most = 2 * ticks_of(h, outer_ns, host_ns(CLOCK_MONOTONIC_RAW)) + ROUNDED;
		assert_in_range((away - begin) & mask, 0, most);
		fake.slot = slot;
		harness_arrive(h);
		least = ticks_of(h, inner_ns, host_ns(CLOCK_MONOTONIC_RAW));
		end = clock_now(&h->vm);
		FOLLOWS(&h->vm, away, end);
		most = 2 * ticks_of(h, outer_ns, host_ns(CLOCK_MONOTONIC_RAW)) + ROUNDED;
		assert_in_range(((end - begin) & mask) + ROUNDED, least, most + ROUNDED);
	}
}

static void the_first_devices_rate_and_width_are_shown_for_ever(void **state)
{
	struct harness *h = *state;
	struct ibv_device_attr_ex first = attr_of(&h->vm), now;

	assert_int_equal(first.hca_core_clock, fake_clocks.of_slot[0].khz);
	assert_int_equal(first.completion_timestamp_mask, fake_clocks.of_slot[0].mask);
	for (int moves = 0; moves < MOVES; moves++) {
		harness_move(h);
		now = attr_of(&h->vm);
		assert_int_equal(now.hca_core_clock, first.hca_core_clock);
		assert_int_equal(now.completion_timestamp_mask, first.completion_timestamp_mask);
	}
}

static void a_failed_reading_is_none_of_the_hosts(void **state)
{
	struct ibv_values_ex values = {.comp_mask = IBV_VALUES_MASK_RAW_CLOCK};
	struct harness *h = *state;
	uint64_t before, after;

	clock_gains();
	before = clock_now(&h->vm);
	fake_clocks.cannot_be_read = true;
	assert_int_equal(ibv_query_rt_values_ex(h->vm.context, &values), EOPNOTSUPP);
	fake_clocks.cannot_be_read = false;
	after = clock_now(&h->vm);
	FOLLOWS(&h->vm, before, after);
}

static void lacks(struct end *end, uint64_t wc_flags)
{
	errno = 0;
	assert_null(make_cq_ex(end, wc_flags));
	assert_int_equal(errno, EOPNOTSUPP);
}

static void reopen(struct harness *h)
{
	end_close(&h->vm);
	h->vm.qp = NULL;
	end_open(&h->vm, FAKE_LID_VM, false);
}

static void has_no_clock(struct harness *h)
{
	struct ibv_values_ex values = {.comp_mask = IBV_VALUES_MASK_RAW_CLOCK};
	struct ibv_device_attr_ex attr = attr_of(&h->vm);

	assert_int_equal(ibv_query_rt_values_ex(h->vm.context, &values), EOPNOTSUPP);
	assert_int_equal(attr.completion_timestamp_mask, 0);
	assert_int_equal(attr.hca_core_clock, 0);
	lacks(&h->vm, IBV_WC_EX_WITH_COMPLETION_TIMESTAMP);
}

static void what_the_device_lacks_is_not_offered(void **state)
{
	struct harness *h = *state;

	fake_clocks.are_there = false;
	reopen(h);
	has_no_clock(h);
	lacks(&h->vm, IBV_WC_EX_WITH_COMPLETION_TIMESTAMP_WALLCLOCK);
}

/* Nobody could say when something was made up. */
static void stamps_without_a_clock_to_read_are_not_offered(void **state)
{
	struct harness *h = *state;
	struct ibv_cq_ex *wall;

	fake_clocks.cannot_be_read = true;
	reopen(h);
	has_no_clock(h);
	/* The other needs none. */
	wall = make_cq_ex(&h->vm, IBV_WC_EX_WITH_COMPLETION_TIMESTAMP_WALLCLOCK);
	assert_non_null(wall);
	assert_int_equal(ibv_destroy_cq(ibv_cq_ex_to_cq(wall)), 0);
}

static void other_values_are_not_answered(void **state)
{
	struct harness *h = *state;
	struct ibv_values_ex values = {.comp_mask = IBV_VALUES_MASK_RESERVED};

	assert_int_equal(ibv_query_rt_values_ex(h->vm.context, &values), 0);
	assert_int_equal(values.comp_mask, 0);
}

static void does_not_do(struct harness *h, bool has_clock)
{
	uint64_t before = clock_now(&h->vm), after;
	int slot = fake.slot + 1;

	harness_stop(h);
	harness_expect(h, TETHER__STEP__STEP_RELEASE, DONE);
	fake.slot = slot;
	fake_clocks.are_there = has_clock;
	fake_clocks.cannot_be_read = true;
	harness_expect(h, TETHER__STEP__STEP_ATTACH, FAILED);
	assert_string_equal(harness_reason(h), "not-rebuilt");
	after = clock_now(&h->vm);
	FOLLOWS(&h->vm, before, after);
}

static void a_device_that_cannot_stamp_does_not_do(void **state)
{
	does_not_do(*state, false);
}

/* Though it would stamp. */
static void a_device_whose_clock_cannot_be_read_does_not_do(void **state)
{
	does_not_do(*state, true);
}

static void without_a_clock_no_queue_is_made_that_stamps(void **state)
{
	struct harness *h = *state;
	struct ibv_cq *plain = ibv_create_cq(h->vm.context, 1, NULL, NULL, 0);

	assert_int_equal(ibv_destroy_qp(h->vm.qp), 0);
	assert_int_equal(ibv_destroy_cq(h->vm.cq), 0);
	h->vm.cq = plain;
	h->vm.qp = NULL;
	fake_clocks.cannot_be_read = true;
	harness_move(h);
	lacks(&h->vm, IBV_WC_EX_WITH_COMPLETION_TIMESTAMP);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        OF_EACH(the_clock_goes_on_while_there_is_no_device),
	        TEST(the_first_devices_rate_and_width_are_shown_for_ever),
	        TEST(a_failed_reading_is_none_of_the_hosts),
	        TEST(what_the_device_lacks_is_not_offered),
	        TEST(stamps_without_a_clock_to_read_are_not_offered),
	        TEST(other_values_are_not_answered),
	        TEST(a_device_that_cannot_stamp_does_not_do),
	        TEST(a_device_whose_clock_cannot_be_read_does_not_do),
	        TEST(without_a_clock_no_queue_is_made_that_stamps),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
