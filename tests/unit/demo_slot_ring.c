/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "demo-apps/verify/message.h"
#include "demo-apps/rc_verify/slot_ring.h"

enum { SLOTS = 8, SLOT_SIZE = 256, LENGTH = 100, STREAM = 2, POLLS = 200 };

static unsigned char memory[SLOTS * SLOT_SIZE] __attribute__((aligned(64)));
static struct slot_ring ring;
static struct findings found;

static int fresh(void **state)
{
	memset(memory, 0, sizeof(memory));
	memset(&found, 0, sizeof(found));
	slot_ring_init(&ring, memory, SLOTS, SLOT_SIZE, STREAM);
	return 0;
}

static unsigned char *message_at(uint64_t number)
{
	return memory + (number % SLOTS + 1) * SLOT_SIZE - LENGTH;
}

static void arrive(uint64_t number)
{
	message_fill(message_at(number), LENGTH, STREAM, number);
}

static void poll_often(uint64_t now_us)
{
	for (int i = 0; i < POLLS; i++)
		slot_ring_poll(&ring, now_us, &found);
}

static void taken_message_leaves_clear_memory(void **state)
{
	arrive(0);
	assert_int_equal(slot_ring_poll(&ring, 1, &found), 1);
	for (size_t i = 0; i < sizeof(memory); i++)
		assert_int_equal(memory[i], 0);
	assert_true(findings_none(&found));
}

static void full_slot_behind_a_clear_one_is_a_gap(void **state)
{
	arrive(1);
	poll_often(1);
	assert_int_equal(found.lost, 1);
	assert_int_equal(ring.sequence.next, 2);
}

static void several_missing_in_a_row_are_all_counted(void **state)
{
	arrive(0);
	arrive(4);
	poll_often(1);
	assert_int_equal(found.lost, 3);
	assert_int_equal(ring.sequence.next, 5);
}

static void repeat_into_a_cleared_slot_is_seen_before_its_release(void **state)
{
	for (uint64_t n = 0; n < 3; n++)
		arrive(n);
	poll_often(1);
	arrive(1);
	for (uint64_t n = 3; n < SLOTS; n++)
		arrive(n);
	poll_often(1);
	assert_int_equal(ring.released, SLOTS / 2);
	assert_int_equal(found.duplicated, 1);
	assert_int_equal(found.lost, 0);
}

static void repeat_into_a_released_slot_is_seen_before_its_next_use(void **state)
{
	for (uint64_t n = 0; n < SLOTS; n++)
		arrive(n);
	poll_often(1);
	assert_int_equal(ring.released, SLOTS / 2);
	arrive(1);
	poll_often(1);
	assert_int_equal(found.duplicated, 1);
	assert_int_equal(ring.sequence.next, SLOTS);
}

static void repeat_at_the_end_is_seen(void **state)
{
	arrive(0);
	poll_often(1);
	arrive(0);
	slot_ring_finish(&ring, 1, &found);
	assert_int_equal(found.duplicated, 1);
}

static void slot_is_not_released_before_half_a_ring(void **state)
{
	for (uint64_t n = 0; n < SLOTS / 2; n++)
		arrive(n);
	poll_often(1);
	assert_int_equal(ring.sequence.next, SLOTS / 2);
	assert_int_equal(ring.released, 0);
}

static void tail_before_its_body_gets_time(void **state)
{
	unsigned char late = message_at(0)[0];

	arrive(0);
	late = message_at(0)[0];
	message_at(0)[0] ^= 1;
	poll_often(1000);
	assert_int_equal(ring.sequence.next, 0);
	message_at(0)[0] = late;
	poll_often(1000 + SLOT_SETTLE_US / 2);
	assert_int_equal(ring.sequence.next, 1);
	assert_true(findings_none(&found));
}

static void body_that_never_fits_is_corrupt(void **state)
{
	arrive(0);
	message_at(0)[0] ^= 1;
	poll_often(1000);
	poll_often(1000 + SLOT_SETTLE_US);
	assert_int_equal(found.corrupted, 1);
	assert_int_equal(found.lost, 0);
	assert_int_equal(ring.sequence.next, 1);
}

static void tail_of_absurd_length_stays_inside_the_slot(void **state)
{
	uint64_t tail = message_tail(0, 60000);

	memcpy(memory + SLOT_SIZE - 8, &tail, 8);
	poll_often(1000);
	poll_often(1000 + SLOT_SETTLE_US);
	assert_int_equal(found.corrupted, 1);
}

#define FRESH(test) cmocka_unit_test_setup(test, fresh)

int main(void)
{
	const struct CMUnitTest tests[] = {
	        FRESH(taken_message_leaves_clear_memory),
	        FRESH(full_slot_behind_a_clear_one_is_a_gap),
	        FRESH(several_missing_in_a_row_are_all_counted),
	        FRESH(repeat_into_a_cleared_slot_is_seen_before_its_release),
	        FRESH(repeat_into_a_released_slot_is_seen_before_its_next_use),
	        FRESH(repeat_at_the_end_is_seen),
	        FRESH(slot_is_not_released_before_half_a_ring),
	        FRESH(tail_before_its_body_gets_time),
	        FRESH(body_that_never_fits_is_corrupt),
	        FRESH(tail_of_absurd_length_stays_inside_the_slot),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
