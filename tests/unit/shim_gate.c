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

/* ---- several ---- */

enum { SEVERAL = 3, ROUNDS = 2000 };

static struct {
	struct gate gates[SEVERAL];
	unsigned inside;
	bool end;
} several;

static void be_inside(struct gate *gate, void (*meanwhile)(struct gate *), struct gate *next)
{
	enum gate_pass pass = gate_enter(gate);

	__atomic_add_fetch(&several.inside, 1, __ATOMIC_SEQ_CST);
	if (meanwhile)
		meanwhile(next);
	__atomic_sub_fetch(&several.inside, 1, __ATOMIC_SEQ_CST);
	gate_leave(gate, pass);
}

static void be_inside_too(struct gate *gate)
{
	be_inside(gate, NULL, NULL);
}

/* As a handler does: inside the last of them into the first, against the order of locks. */
static void *nest(void *unused)
{
	while (!__atomic_load_n(&several.end, __ATOMIC_RELAXED))
		be_inside(&several.gates[SEVERAL - 1], be_inside_too, &several.gates[0]);
	return NULL;
}

static void *enter_each(void *unused)
{
	while (!__atomic_load_n(&several.end, __ATOMIC_RELAXED)) {
		for (int i = 0; i < SEVERAL - 1; i++)
			be_inside(&several.gates[i], NULL, NULL);
	}
	return NULL;
}

static void whoever_is_inside_one_gets_into_another(void **state)
{
	struct gate *all[SEVERAL];
	pthread_t nesting, entering;

	for (int i = 0; i < SEVERAL; i++) {
		gate_init(&several.gates[i]);
		all[i] = &several.gates[i];
	}
	pthread_create(&nesting, NULL, nest, NULL);
	pthread_create(&entering, NULL, enter_each, NULL);
	for (int round = 0; round < ROUNDS; round++) {
		gates_close(all, SEVERAL);
		assert_int_equal(__atomic_load_n(&several.inside, __ATOMIC_SEQ_CST), 0);
		gates_open(all, SEVERAL);
	}
	__atomic_store_n(&several.end, true, __ATOMIC_RELAXED);
	pthread_join(nesting, NULL);
	pthread_join(entering, NULL);
	for (int i = 0; i < SEVERAL; i++)
		gate_fini(&several.gates[i]);
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
	        cmocka_unit_test(whoever_is_inside_one_gets_into_another),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
