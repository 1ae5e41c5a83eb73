/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* Groups of a datagram queue pair go with it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "tests/unit/shim_fake_rarities.h"
#include "tests/unit/shim_harness.h"

enum { FIRST = 0xc001, SECOND = 0xc002 };

static struct harness harness;
static const union ibv_gid group = {.raw = {0xff, 0x12}};

static int setup(void **state)
{
	memset(&harness, 0, sizeof(harness));
	harness.type = IBV_QPT_UD;
	harness_open(&harness);
	harness_connect(&harness);
	*state = &harness;
	return 0;
}

static int teardown(void **state)
{
	harness_close(*state);
	return 0;
}

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
	assert_int_equal(
	        harness_step(h, TETHER__STEP__STEP_RELEASE), TETHER__OUTCOME__OUTCOME_DONE);
	assert_int_equal(ibv_destroy_qp(h->vm.qp), EBUSY);
	assert_int_equal(harness_step(h, TETHER__STEP__STEP_ATTACH), TETHER__OUTCOME__OUTCOME_DONE);
	assert_int_equal(
	        harness_step(h, TETHER__STEP__STEP_RECONNECT), TETHER__OUTCOME__OUTCOME_DONE);
	assert_int_equal(harness_step(h, TETHER__STEP__STEP_RESUME), TETHER__OUTCOME__OUTCOME_DONE);
	assert_int_equal(ibv_detach_mcast(h->vm.qp, &group, FIRST), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test_setup_teardown(
	                the_new_one_hears_what_the_old_one_heard, setup, teardown),
	        cmocka_unit_test_setup_teardown(a_member_is_not_destroyed, setup, teardown),
	};

	return cmocka_run_group_tests_name("multicast", tests, NULL, NULL);
}
