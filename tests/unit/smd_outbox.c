/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* Events that wait for hosts: their numbers, their time, and who is told again. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "sm-side/root/outbox.h"

enum { HINT_MS = 100 };

static struct outbox *outbox;
static struct outbox_host *h1, *h2;

static int make(void **state)
{
	outbox = outbox_create();
	h1 = outbox_host_add(outbox);
	h2 = outbox_host_add(outbox);
	return h1 && h2 ? 0 : -1;
}

static int unmake(void **state)
{
	outbox_destroy(outbox);
	return 0;
}

static uint64_t put(struct outbox_host *host, uint64_t migration, uint64_t now)
{
	Tether__Event event = TETHER__EVENT__INIT;
	uint64_t sequence = 0;

	event.migration = migration;
	event.deadline_ms = 1000;
	event.overall_ms = 3000;
	assert_int_equal(outbox_put(host, &event, now, now + HINT_MS, &sequence), 0);
	return sequence;
}

/* Its migration; 0: there is none. */
static uint64_t take(struct outbox_host *host, uint64_t now)
{
	Tether__Event *event = outbox_take(host, now);
	uint64_t migration = event ? event->migration : 0;

	if (event)
		tether__event__free_unpacked(event, NULL);
	return migration;
}

static void numbers_are_each_hosts_own_and_go_on(void **state)
{
	assert_int_equal(put(h1, 1, 0), 1);
	assert_int_equal(put(h1, 2, 0), 2);
	assert_int_equal(put(h2, 1, 0), 1);
	outbox_empty(h1);
	assert_int_equal(take(h1, 0), 0);
	assert_int_equal(outbox_sequence(h1), 2);
	assert_int_equal(put(h1, 3, 0), 3);
}

static void events_are_taken_in_their_order_and_once(void **state)
{
	put(h1, 1, 0);
	put(h1, 2, 0);
	assert_int_equal(take(h1, 0), 1);
	put(h1, 3, 0);
	assert_int_equal(take(h1, 0), 2);
	assert_int_equal(take(h1, 0), 3);
	assert_int_equal(take(h1, 0), 0);
	assert_int_equal(take(h2, 0), 0);
	assert_int_equal(outbox_next(outbox), UINT64_MAX);
}

static void a_deadline_goes_on_while_an_event_waits(void **state)
{
	Tether__Event *event;

	put(h1, 1, 50);
	event = outbox_take(h1, 350);
	assert_int_equal(event->deadline_ms, 700);
	assert_int_equal(event->overall_ms, 2700);
	tether__event__free_unpacked(event, NULL);
	put(h1, 1, 50);
	event = outbox_take(h1, 5000);
	assert_int_equal(event->deadline_ms, 1);
	assert_int_equal(event->overall_ms, 1);
	tether__event__free_unpacked(event, NULL);
}

static void who_does_not_fetch_is_told_again_until_it_is_too_late(void **state)
{
	put(h1, 1, 0);
	assert_int_equal(outbox_next(outbox), HINT_MS);
	assert_null(outbox_overdue(outbox, HINT_MS - 1, HINT_MS));
	assert_ptr_equal(outbox_overdue(outbox, HINT_MS, HINT_MS), h1);
	assert_null(outbox_overdue(outbox, HINT_MS, HINT_MS));
	assert_int_equal(outbox_next(outbox), 2 * HINT_MS);
	put(h1, 2, 500);
	assert_ptr_equal(outbox_overdue(outbox, 1000, HINT_MS), h1);
	assert_int_equal(take(h1, 1000), 2);
	put(h2, 1, 2000);
	assert_null(outbox_overdue(outbox, 3000, HINT_MS));
	assert_int_equal(outbox_next(outbox), UINT64_MAX);
	assert_int_equal(take(h2, 3000), 0);
}

static void a_host_that_fetches_nothing_holds_so_much_and_no_more(void **state)
{
	Tether__Event event = TETHER__EVENT__INIT;
	uint64_t sequence = 77;

	for (unsigned i = 0; i < OUTBOX_EVENTS_MAX; i++)
		put(h1, 1, 0);
	assert_int_equal(outbox_put(h1, &event, 0, 0, &sequence), -ENOSPC);
	assert_int_equal(sequence, 77);
	assert_int_equal(outbox_sequence(h1), OUTBOX_EVENTS_MAX);
	assert_int_equal(put(h2, 1, 0), 1);
}

#define on_outbox(test) cmocka_unit_test_setup_teardown(test, make, unmake)

int main(void)
{
	const struct CMUnitTest tests[] = {
	        on_outbox(numbers_are_each_hosts_own_and_go_on),
	        on_outbox(events_are_taken_in_their_order_and_once),
	        on_outbox(a_deadline_goes_on_while_an_event_waits),
	        on_outbox(who_does_not_fetch_is_told_again_until_it_is_too_late),
	        on_outbox(a_host_that_fetches_nothing_holds_so_much_and_no_more),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
