/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * TETHER_UNPLANNED=reconnect: a program polls an error that is not told yet while a migration
 * begins. What is known of it is the pollers', whichever of them comes first.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <stdlib.h>

#include "tests/unit/shim_unplanned_ends.h"

static bool has_polled;

/* That it has polled says nothing of what is in order: ThreadSanitizer sees whether steps look at
 * what it has written. */
static void *polls(void *unused)
{
	struct ibv_wc wc[2];

	assert_int_equal(ibv_poll_cq(h.vm.cq, 2, wc), 1);
	assert_int_equal(wc[0].status, IBV_WC_SUCCESS);
	__atomic_store_n(&has_polled, true, __ATOMIC_RELAXED);
	return NULL;
}

static void polls_beside(void (*step_begins)(void))
{
	pthread_t thread;

	__atomic_store_n(&has_polled, false, __ATOMIC_RELAXED);
	assert_int_equal(pthread_create(&thread, NULL, polls, NULL), 0);
	while (!__atomic_load_n(&has_polled, __ATOMIC_RELAXED))
		;
	step_begins();
	pthread_join(thread, NULL);
}

static void device_is_asked(void)
{
	for (unsigned i = 0; i < 21; i++, h.now_ms += 100)
		service_looks();
}

static void a_migration_begins(void)
{
	step(TETHER__STEP__STEP_PREPARE);
}

/* One poll finds what was done, and what is hidden. */
static void vm_has_done_one(void)
{
	assert_int_equal(write8(&h.vm, &h.peer, 1), 0);
	assert_int_equal(end_run(&h.vm, 1), 1);
}

static void a_receive_that_is_given_back_as_a_migration_begins_is_told(void **state)
{
	assert_int_equal(end_receive(&h.vm, 9, 256, 64), 0);
	vm_has_done_one();
	fake_flush_receives_first(real_of(h.vm.qp));
	polls_beside(a_migration_begins);
	device_is_asked();
	EXPECT(&h.vm, IBV_WC_WR_FLUSH_ERR);
	assert_int_equal(h.wc[0].wr_id, 9);
}

static void work_that_fails_as_a_migration_begins_is_told(void **state)
{
	vm_has_done_one();
	assert_int_equal(write8(&h.vm, &h.peer, 2), 0);
	fake_fail(real_of(h.vm.qp), IBV_WC_LOC_QP_OP_ERR);
	polls_beside(a_migration_begins);
	device_is_asked();
	EXPECT(&h.vm, IBV_WC_LOC_QP_OP_ERR);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TEST(a_receive_that_is_given_back_as_a_migration_begins_is_told),
	        TEST(work_that_fails_as_a_migration_begins_is_told),
	};

	setenv("TETHER_UNPLANNED", "reconnect", 1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
