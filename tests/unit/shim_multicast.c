/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* Groups of a datagram queue pair go with it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>

#include "tests/unit/shim_fake_rarities.h"
#include "tests/unit/shim_harness.h"

enum { FIRST = 0xc001, SECOND = 0xc002 };

static const union ibv_gid group = {.raw = {0xff, 0x12}};

static void the_new_one_hears_what_the_old_one_heard(void **state)
{
	struct harness *h = *state;

	assert_int_equal(ibv_attach_mcast(h->vm.qp, &group, FIRST), 0);
	assert_int_equal(ibv_attach_mcast(h->vm.qp, &group, SECOND), 0);
	assert_int_equal(ibv_attach_mcast(h->vm.qp, &group, SECOND), 0);
	harness_move(h);
	assert_int_equal(fake_groups(real_of(h->vm.qp)), 2);
	assert_int_equal(ibv_detach_mcast(h->vm.qp, &group, FIRST), 0);
	assert_int_equal(ibv_detach_mcast(h->vm.qp, &group, FIRST), EINVAL);
	harness_move(h);
	assert_int_equal(fake_groups(real_of(h->vm.qp)), 1);
	assert_int_equal(ibv_detach_mcast(h->vm.qp, &group, SECOND), 0);
	assert_int_equal(fake_groups(real_of(h->vm.qp)), 0);
}

static void a_member_is_not_destroyed(void **state)
{
	struct harness *h = *state;

	assert_int_equal(ibv_attach_mcast(h->vm.qp, &group, FIRST), 0);
	assert_int_equal(ibv_destroy_qp(h->vm.qp), EBUSY);
	harness_stop(h);
	harness_expect(h, TETHER__STEP__STEP_RELEASE, DONE);
	assert_int_equal(ibv_destroy_qp(h->vm.qp), EBUSY);
	harness_arrive(h);
	assert_int_equal(ibv_detach_mcast(h->vm.qp, &group, FIRST), 0);
}

static void join_both(struct end *end)
{
	assert_int_equal(ibv_attach_mcast(end->qp, &group, FIRST), 0);
	assert_int_equal(ibv_attach_mcast(end->qp, &group, SECOND), 0);
}

static void leave_both(struct end *end)
{
	assert_int_equal(ibv_detach_mcast(end->qp, &group, FIRST), 0);
	assert_int_equal(ibv_detach_mcast(end->qp, &group, SECOND), 0);
}

static void come_to_where_the_second_is_not_joined(struct harness *h)
{
	harness_stop(h);
	harness_expect(h, TETHER__STEP__STEP_RELEASE, DONE);
	fake.slot++;
	fake.joins_no_group = SECOND;
}

/* In both groups, and nothing has been heard. */
static void goes_on_with(struct harness *h, unsigned receives)
{
	harness_arrive(h);
	assert_int_equal(fake_receives(real_of(h->vm.qp)), receives);
	assert_int_equal(fake_groups(real_of(h->vm.qp)), 2);
	assert_int_equal(harness_poll(h, &h->vm), 0);
}

static void an_attach_that_failed_may_be_tried_again(void **state)
{
	struct harness *h = *state;

	join_both(&h->vm);
	assert_int_equal(end_receive(&h->vm, 50, 0, 512), 0);
	assert_int_equal(end_receive(&h->vm, 51, 512, 512), 0);
	come_to_where_the_second_is_not_joined(h);
	harness_expect(h, TETHER__STEP__STEP_ATTACH, FAILED);
	assert_string_equal(harness_reason(h), "not-rebuilt");
	fake.joins_no_group = 0;
	goes_on_with(h, 2);
	leave_both(&h->vm);
}

/* Neither made nor gone: it is no queue pair to go on with. */
static void what_was_half_made_is_made_anew(void **state)
{
	struct harness *h = *state;

	join_both(&h->vm);
	assert_int_equal(end_receive(&h->vm, 50, 0, 512), 0);
	come_to_where_the_second_is_not_joined(h);
	fake.destroys_no_qps = true;
	for (int tries = 0; tries < 3; tries++) {
		harness_expect(h, TETHER__STEP__STEP_ATTACH, FAILED);
		assert_string_equal(harness_reason(h), "not-rebuilt");
		fake.joins_no_group = 0;
	}
	fake.destroys_no_qps = false;
	goes_on_with(h, 1);
	leave_both(&h->vm);
}

static void what_was_half_made_ends_with_its_context(void **state)
{
	struct harness *h = *state;

	join_both(&h->vm);
	assert_int_equal(end_receive(&h->vm, 50, 0, 512), 0);
	come_to_where_the_second_is_not_joined(h);
	fake.destroys_no_qps = true;
	harness_expect(h, TETHER__STEP__STEP_ATTACH, FAILED);
	fake.joins_no_group = 0;
	fake.destroys_no_qps = false;
	harness_expect(h, TETHER__STEP__STEP_ERROR, DONE);
	assert_int_equal(harness_poll(h, &h->vm), 1);
	assert_int_equal(h->wc[0].status, IBV_WC_WR_FLUSH_ERR);
	assert_null(real_of(h->vm.qp));
	leave_both(&h->vm);
}

static void who_is_not_released_is_still_in_its_groups(void **state)
{
	struct harness *h = *state;

	join_both(&h->vm);
	harness_stop(h);
	fake.destroys_no_qps = true;
	harness_expect(h, TETHER__STEP__STEP_RELEASE, FAILED);
	assert_string_equal(harness_reason(h), "not-released");
	fake.destroys_no_qps = false;
	harness_arrive(h);
	assert_int_equal(fake_groups(real_of(h->vm.qp)), 2);
	leave_both(&h->vm);
}

static void a_member_without_a_device_can_be_destroyed(void **state)
{
	struct harness *h = *state;

	join_both(&h->vm);
	harness_stop(h);
	harness_expect(h, TETHER__STEP__STEP_RELEASE, DONE);
	fake.slot = -1;
	harness_expect(h, TETHER__STEP__STEP_ERROR, DONE);
	assert_int_equal(ibv_attach_mcast(h->vm.qp, &group, FIRST), ENODEV);
	assert_int_equal(ibv_detach_mcast(h->vm.qp, &group, FIRST), 0);
	assert_int_equal(ibv_detach_mcast(h->vm.qp, &group, FIRST), EINVAL);
	assert_int_equal(ibv_destroy_qp(h->vm.qp), 0);
	h->vm.qp = NULL;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, harness_setup_datagrams, harness_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TEST(the_new_one_hears_what_the_old_one_heard),
	        TEST(a_member_is_not_destroyed),
	        TEST(an_attach_that_failed_may_be_tried_again),
	        TEST(what_was_half_made_is_made_anew),
	        TEST(what_was_half_made_ends_with_its_context),
	        TEST(who_is_not_released_is_still_in_its_groups),
	        TEST(a_member_without_a_device_can_be_destroyed),
	};

	return cmocka_run_group_tests_name("multicast", tests, NULL, NULL);
}
