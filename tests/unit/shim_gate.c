/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* The gate: nobody is in the section when it is closed, whoever comes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <sched.h>
#include <stdlib.h>

#include "preload/gate.h"
#include "tests/unit/shim_gate_race.h"

static void owner_enters_without_lock(void **state)
{
	struct gate gate;

	gate_init(&gate);
	gate_leave(&gate, gate_enter(&gate));
	pthread_mutex_lock(&gate.lock);
	assert_int_equal(gate_enter(&gate), GATE_OWNED);
	gate_leave(&gate, GATE_OWNED);
	pthread_mutex_unlock(&gate.lock);
	gate_fini(&gate);
}

static void entries_nest(void **state)
{
	struct gate gate;
	enum gate_pass outer, inner;

	gate_init(&gate);
	outer = gate_enter(&gate);
	inner = gate_enter(&gate);
	assert_int_equal(inner, GATE_NESTED);
	gate_leave(&gate, inner);
	assert_int_equal(gate.in, 1);
	gate_leave(&gate, outer);
	assert_int_equal(gate.in, 0);
	gate_fini(&gate);
}

static void *enter_once(void *at)
{
	struct gate *gate = at;

	gate_leave(gate, gate_enter(gate));
	return NULL;
}

static void two_threads_make_it_a_lock(void **state)
{
	struct gate gate;
	pthread_t other;

	gate_init(&gate);
	gate_leave(&gate, gate_enter(&gate));
	pthread_create(&other, NULL, enter_once, &gate);
	pthread_join(other, NULL);
	assert_int_equal(gate_enter(&gate), GATE_LOCKED);
	gate_leave(&gate, GATE_LOCKED);
	gate_fini(&gate);
}

static void a_pause_gives_the_gate_back_to_its_owner(void **state)
{
	struct gate gate;

	gate_init(&gate);
	gate_leave(&gate, gate_enter(&gate));
	gate_close(&gate);
	gate_open(&gate);
	assert_int_equal(gate.owner, gate_self());
	gate_fini(&gate);
}

static void a_held_gate_has_no_owner(void **state)
{
	struct gate gate;

	gate_init(&gate);
	gate_leave(&gate, gate_enter(&gate));
	gate_close(&gate);
	gate_hold(&gate);
	gate_open(&gate);
	assert_int_equal(gate_enter(&gate), GATE_LOCKED);
	gate_leave(&gate, GATE_LOCKED);
	gate_close(&gate);
	gate_let_go(&gate);
	gate_open(&gate);
	assert_int_equal(gate_enter(&gate), GATE_OWNED);
	gate_leave(&gate, GATE_OWNED);
	gate_fini(&gate);
}

static void nobody_slips_through_a_closing_gate(void **state)
{
	assert_int_equal(gate_race(GATE_RACE_PAUSES), 0);
}

static void nobody_slips_where_threads_share(void **state)
{
	assert_int_equal(gate_race_shared(GATE_RACE_PAUSES / 10), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(owner_enters_without_lock),
	        cmocka_unit_test(entries_nest),
	        cmocka_unit_test(two_threads_make_it_a_lock),
	        cmocka_unit_test(a_pause_gives_the_gate_back_to_its_owner),
	        cmocka_unit_test(a_held_gate_has_no_owner),
	        cmocka_unit_test(nobody_slips_through_a_closing_gate),
	        cmocka_unit_test(nobody_slips_where_threads_share),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
