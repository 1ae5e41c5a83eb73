/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * TETHER_UNPLANNED=reconnect: a child whose parent keeps an error, to tell it later or never, is
 * told of it: it waits for nobody.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#include "preload/device.h"
#include "tests/unit/shim_child.h"
#include "tests/unit/shim_unplanned_ends.h"

static void work_of(struct end *end, struct end *other)
{
	assert_int_equal(write8(end, other, 1), 0);
	assert_int_equal(end_receive(end, 9, 256, 64), 0);
}

/* As in load.c. */
static void begin_as_a_child(void)
{
	contexts_forget();
	lost_devices_forget();
}

/* The next one of @end, of those that a child gets. */
static bool gets(struct end *end, enum ibv_wc_status status)
{
	struct ibv_wc wc;

	return ibv_poll_cq(end->cq, 1, &wc) == 1 && wc.status == status;
}

static int is_told_and_goes_on(struct end *end, struct end *other, enum ibv_wc_status first)
{
	struct ibv_wc wc;

	begin_as_a_child();
	if (!gets(end, first) || !gets(end, IBV_WC_WR_FLUSH_ERR))
		return 1;
	if (write8(end, other, 2) || !gets(end, IBV_WC_WR_FLUSH_ERR))
		return 2;
	if (end_receive(end, 10, 256, 64) || !gets(end, IBV_WC_WR_FLUSH_ERR))
		return 3;
	return ibv_poll_cq(end->cq, 1, &wc);
}

static int vm_is_told(struct harness *harness)
{
	return is_told_and_goes_on(&harness->vm, &harness->peer, IBV_WC_WR_FLUSH_ERR);
}

static int peer_is_told(struct harness *harness)
{
	return is_told_and_goes_on(&harness->peer, &harness->vm, IBV_WC_RETRY_EXC_ERR);
}

static void a_child_is_told_what_is_doubted(void **state)
{
	work_of(&h.vm, &h.peer);
	fake_fail(real_of(h.vm.qp), IBV_WC_WR_FLUSH_ERR);
	assert_int_equal(harness_poll(&h, &h.vm), 0);
	assert_int_equal(in_child(&h, vm_is_told), 0);
	assert_int_equal(harness_poll(&h, &h.vm), 0);
}

static void a_child_does_not_miss_its_parent_s_peer(void **state)
{
	work_of(&h.peer, &h.vm);
	fake_give_up(real_of(h.peer.qp));
	assert_int_equal(harness_poll(&h, &h.peer), 0);
	assert_int_equal(in_child(&h, peer_is_told), 0);
	assert_int_equal(harness_poll(&h, &h.peer), 0);
}

static void a_child_is_not_held_for_it(void **state)
{
	work_of(&h.peer, &h.vm);
	peer_gives_up();
	assert_int_equal(in_child(&h, peer_is_told), 0);
	assert_int_equal(harness_poll(&h, &h.peer), 0);
}

static void a_child_is_told_what_a_stop_would_have_mended(void **state)
{
	work_of(&h.vm, &h.peer);
	harness_expect(&h, TETHER__STEP__STEP_PREPARE, DONE);
	harness_expect(&h, TETHER__STEP__STEP_STOP, DONE);
	fake_fail(real_of(h.vm.qp), IBV_WC_WR_FLUSH_ERR);
	assert_int_equal(harness_poll(&h, &h.vm), 0);
	assert_int_equal(in_child(&h, vm_is_told), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TEST(a_child_is_told_what_is_doubted),
	        TEST(a_child_does_not_miss_its_parent_s_peer),
	        TEST(a_child_is_not_held_for_it),
	        TEST(a_child_is_told_what_a_stop_would_have_mended),
	};

	setenv("TETHER_UNPLANNED", "reconnect", 1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
