/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * TETHER_UNPLANNED=reconnect: a device that is there after all has refused to be armed. The program
 * was told that it is: what comes wakes it, once.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#include "tests/unit/shim_channels.h"
#include "tests/unit/shim_unplanned_ends.h"

static void device_is_there_after_all(void)
{
	fake.refuses_work = false;
	for (int i = 0; i < 21; i++, h.now_ms += 100)
		service_looks();
	assert_int_equal(context_of(h.vm.context)->phase, PHASE_RUNNING);
}

static void does_one(void)
{
	assert_int_equal(end_run(&h.vm, 1), 1);
}

static void wakes_once(void)
{
	end_expect_event(&h.vm);
	end_expect_silence(&h.vm);
	EXPECT(&h.vm, DONE_WELL);
}

/* As if nothing had been: it is woken when it has armed. */
static void goes_on(void)
{
	assert_int_equal(write8(&h.vm, &h.peer, 2), 0);
	does_one();
	end_expect_silence(&h.vm);
	EXPECT(&h.vm, DONE_WELL);
	end_arm(&h.vm, 0);
	assert_int_equal(write8(&h.vm, &h.peer, 3), 0);
	end_expect_silence(&h.vm);
	does_one();
	wakes_once();
}

static void one_is_done_while_it_refuses(void)
{
	assert_int_equal(write8(&h.vm, &h.peer, 1), 0);
	fake.refuses_work = true;
	end_arm(&h.vm, 0);
	does_one();
}

static void what_comes_later_wakes(void **state)
{
	fake.refuses_work = true;
	end_arm(&h.vm, 0);
	device_is_there_after_all();
	end_expect_silence(&h.vm);
	assert_int_equal(write8(&h.vm, &h.peer, 1), 0);
	does_one();
	wakes_once();
	goes_on();
}

static void what_comes_meanwhile_wakes(void **state)
{
	one_is_done_while_it_refuses();
	end_expect_silence(&h.vm);
	device_is_there_after_all();
	wakes_once();
	goes_on();
}

static void what_somebody_has_polled_meanwhile_wakes(void **state)
{
	one_is_done_while_it_refuses();
	EXPECT(&h.vm, DONE_WELL);
	end_expect_event(&h.vm);
	device_is_there_after_all();
	end_expect_silence(&h.vm);
	goes_on();
}

/* Whether it was only the device could tell. */
static void what_may_have_been_solicited_meanwhile_wakes(void **state)
{
	assert_int_equal(write8(&h.vm, &h.peer, 1), 0);
	assert_int_equal(end_receive(&h.vm, 9, 256, 64), 0);
	assert_int_equal(end_send(&h.peer, 2, 0, 8, IBV_SEND_SOLICITED), 0);
	fake.refuses_work = true;
	end_arm(&h.vm, 1);
	does_one();
	EXPECT(&h.vm, DONE_WELL);
	end_expect_silence(&h.vm);
	assert_int_equal(end_run(&h.peer, 1), 1);
	device_is_there_after_all();
	wakes_once();
	goes_on();
}

/* The event is of what the program does not see, and the device does not want to be armed again. */
static void it_is_not_forgotten_behind_an_event_that_wakes_nobody(void **state)
{
	struct ibv_cq *cq;
	void *context;

	end_arm(&h.vm, 0);
	assert_int_equal(end_fetch_add_flagged(&h.vm, &h.peer, 0, 0, 0, 0), 0);
	does_one();
	fake.refuses_work = true;
	set_nonblocking(h.vm.channel->fd);
	assert_int_equal(ibv_get_cq_event(h.vm.channel, &cq, &context), -1);
	device_is_there_after_all();
	end_expect_silence(&h.vm);
	assert_int_equal(write8(&h.vm, &h.peer, 1), 0);
	does_one();
	wakes_once();
	goes_on();
}

static void it_may_refuse_for_long(void **state)
{
	fake.refuses_work = true;
	end_arm(&h.vm, 0);
	for (int i = 0; i < 60; i++, h.now_ms += 100)
		service_looks();
	device_is_there_after_all();
	assert_int_equal(write8(&h.vm, &h.peer, 1), 0);
	does_one();
	wakes_once();
}

static void the_next_device_is_armed(void **state)
{
	fake.gone = 1;
	fake.gone_refuses = true;
	end_arm(&h.vm, 0);
	for (int i = 0; i < 20; i++, h.now_ms += 100)
		service_looks();
	assert_int_equal(context_of(h.vm.context)->phase, PHASE_AWAY);
	recover();
	assert_int_equal(write8(&h.vm, &h.peer, 1), 0);
	does_one();
	wakes_once();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        CHANNEL(what_comes_later_wakes),
	        CHANNEL(what_comes_meanwhile_wakes),
	        CHANNEL(what_somebody_has_polled_meanwhile_wakes),
	        CHANNEL(what_may_have_been_solicited_meanwhile_wakes),
	        CHANNEL(it_is_not_forgotten_behind_an_event_that_wakes_nobody),
	        CHANNEL(it_may_refuse_for_long),
	        CHANNEL(the_next_device_is_armed),
	};

	setenv("TETHER_UNPLANNED", "reconnect", 1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
