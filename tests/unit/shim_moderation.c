/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* Moderated queues: moderated on each device, and no event is lost that a device holds back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "preload/objects.h"
#include "tests/unit/shim_channels.h"
#include "tests/unit/shim_fake_completions.h"
#include "tests/unit/shim_harness.h"

enum { COUNT = 8, PERIOD_US = 500 };

static struct harness h;

static int setup(void **state)
{
	harness_begin(&h, (struct harness){.with_channel = true});
	return 0;
}

static int teardown(void **state)
{
	harness_close(&h);
	assert_int_equal(fake_unread_events(), 0);
	return 0;
}

static int moderate(struct end *end, uint16_t count, uint16_t period_us)
{
	struct ibv_modify_cq_attr attr = {
	        .attr_mask = IBV_CQ_ATTR_MODERATE, .moderate = {count, period_us}};

	return ibv_modify_cq(end->cq, &attr);
}

static void is_moderated(const struct end *end, uint16_t count, uint16_t period_us)
{
	struct ibv_moderate_cq now = fake_moderation(completion_queue_of(end->cq)->real);

	assert_int_equal(now.cq_count, count);
	assert_int_equal(now.cq_period, period_us);
}

static void moderation_is_repeated_on_each_device(void **state)
{
	assert_int_equal(moderate(&h.vm, COUNT, PERIOD_US), 0);
	for (int moves = 0; moves < 3; moves++) {
		is_moderated(&h.vm, COUNT, PERIOD_US);
		harness_move(&h);
	}
	is_moderated(&h.vm, COUNT, PERIOD_US);
	is_moderated(&h.peer, 0, 0);
	assert_int_equal(moderate(&h.vm, 0, 0), 0);
	is_moderated(&h.vm, 0, 0);
	harness_move(&h);
	is_moderated(&h.vm, 0, 0);
}

static void a_device_that_cannot_does_without(void **state)
{
	assert_int_equal(moderate(&h.vm, COUNT, PERIOD_US), 0);
	fake.moderates_no_cqs = true;
	assert_int_equal(moderate(&h.vm, 2, PERIOD_US), ENOMEM);
	is_moderated(&h.vm, COUNT, PERIOD_US);
	harness_move(&h);
	is_moderated(&h.vm, 0, 0);
	end_arm(&h.vm, 0);
	end_message(&h.peer, &h.vm, 1, 0);
	end_expect_event(&h.vm);
	harness_expect_one(&h, &h.vm, 1);
	/* The next can. */
	fake.moderates_no_cqs = false;
	harness_move(&h);
	is_moderated(&h.vm, COUNT, PERIOD_US);
}

static void a_count_alone_is_refused(void **state)
{
	struct ibv_modify_cq_attr attr = {.attr_mask = IBV_CQ_ATTR_RESERVED};

	assert_int_equal(moderate(&h.vm, COUNT, 0), EOPNOTSUPP);
	is_moderated(&h.vm, 0, 0);
	assert_int_equal(moderate(&h.vm, 1, 0), 0);
	assert_int_equal(moderate(&h.vm, 0, PERIOD_US), 0);
	is_moderated(&h.vm, 0, PERIOD_US);
	assert_int_equal(ibv_modify_cq(h.vm.cq, &attr), EINVAL);
	attr.attr_mask = 0;
	assert_int_equal(ibv_modify_cq(h.vm.cq, &attr), EINVAL);
	is_moderated(&h.vm, 0, PERIOD_US);
}

/* Of either end, however it was armed. */
static void held_back(struct end *by, struct end *from, int solicited)
{
	uint64_t wr_id = (uint64_t)solicited + 1;

	assert_int_equal(moderate(by, COUNT, PERIOD_US), 0);
	end_arm(by, solicited);
	fake.delays_events = true;
	end_message(from, by, wr_id, solicited ? IBV_SEND_SOLICITED : 0);
	end_expect_silence(by);
	harness_move(&h);
	fake.delays_events = false;
	fake_delayed_events();
	end_expect_event(by);
	harness_expect_one(&h, by, wr_id);
	end_expect_silence(by);
	/* The next as well. */
	end_arm(by, solicited);
	end_message(from, by, wr_id, solicited ? IBV_SEND_SOLICITED : 0);
	end_expect_event(by);
	harness_expect_one(&h, by, wr_id);
}

static void an_event_that_is_held_back_moves(void **state)
{
	for (int solicited = 0; solicited < 2; solicited++)
		held_back(&h.vm, &h.peer, solicited);
}

static void an_event_that_is_held_back_stays_at_a_peer(void **state)
{
	for (int solicited = 0; solicited < 2; solicited++)
		held_back(&h.peer, &h.vm, solicited);
}

static void of_a_move_that_is_called_off_it_comes(void **state)
{
	assert_int_equal(moderate(&h.vm, COUNT, PERIOD_US), 0);
	end_arm(&h.vm, 1);
	fake.delays_events = true;
	end_message(&h.peer, &h.vm, 1, IBV_SEND_SOLICITED);
	harness_stop(&h);
	harness_step(&h, TETHER__STEP__STEP_ABORT);
	fake.delays_events = false;
	fake_delayed_events();
	end_expect_event(&h.vm);
	harness_expect_one(&h, &h.vm, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TEST(moderation_is_repeated_on_each_device),
	        TEST(a_device_that_cannot_does_without),
	        TEST(a_count_alone_is_refused),
	        TEST(an_event_that_is_held_back_moves),
	        TEST(an_event_that_is_held_back_stays_at_a_peer),
	        TEST(of_a_move_that_is_called_off_it_comes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
