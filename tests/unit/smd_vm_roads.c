/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* VMs that get a VF or give it up, from start to end: the roads that matter, failures on the way,
 * and what a successor does. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "sm-side/vm_change/vm_change.h"

static struct vm_change begun(bool destroys, bool dynamic)
{
	struct vm_change_intent intent = {
	        .id = 1, .epoch = 7, .destroys = destroys, .dynamic = dynamic, .fabric = true};
	struct vm_change change;

	vm_change_init(&change, &intent, &deadlines_default);
	vm_change_start(&change, 1000);
	return change;
}

static void all_answer(struct vm_change *change)
{
	unsigned awaited = change->awaited;

	for (unsigned party = 1; party <= awaited; party <<= 1)
		if (awaited & party)
			vm_change_answered(change, party, true, 2000);
}

static void assert_road(
        struct vm_change *change, const enum change_state *road, size_t count, const char *outcome)
{
	for (size_t i = 0; i < count; i++) {
		assert_string_equal(change_state_name(change->state), change_state_name(road[i]));
		all_answer(change);
	}
	assert_true(vm_change_ended(change));
	assert_string_equal(vm_change_outcome(change), outcome);
}

#define ROAD(change, outcome, ...)                                                                 \
	do {                                                                                       \
		static const enum change_state road[] = {__VA_ARGS__};                             \
		assert_road(change, road, sizeof(road) / sizeof(*road), outcome);                  \
	} while (0)

static void with_dynamic_lids_routes_come_before_the_link(void **unused)
{
	struct vm_change change = begun(false, true);

	ROAD(&change, "done", CHANGE_CHECKING, CHANGE_NAMING, CHANGE_LEASING, CHANGE_PLANNING,
	        CHANGE_APPLYING, CHANGE_LINKING, CHANGE_UNLEASING, CHANGE_WAKING, CHANGE_ATTACHING);
	change = begun(true, true);
	ROAD(&change, "done", CHANGE_ASKING, CHANGE_DETACHING, CHANGE_END_LEASING, CHANGE_UNLINKING,
	        CHANGE_END_PLANNING, CHANGE_END_APPLYING, CHANGE_END_UNLEASING, CHANGE_FADING);
}

static void a_prepopulated_slot_is_the_hosts_alone(void **unused)
{
	struct vm_change change = begun(false, false);

	ROAD(&change, "done", CHANGE_CHECKING, CHANGE_ATTACHING);
	change = begun(true, false);
	ROAD(&change, "done", CHANGE_DETACHING);
}

/* @done answers are good, the next one is not. */
static struct vm_change failed_after(bool destroys, unsigned done)
{
	struct vm_change change = begun(destroys, true);

	while (done--)
		all_answer(&change);
	vm_change_event(&change, CHANGE_EVENT_TIMEOUT, 3000);
	return change;
}

static void one_that_does_not_come_leaves_nothing(void **unused)
{
	struct vm_change change = failed_after(false, 0);

	assert_string_equal(vm_change_outcome(&change), "refused");
	/* GUIDs alone: the SM has not heard of it. */
	change = failed_after(false, 1);
	ROAD(&change, "failed", CHANGE_UNLINKING);
	change = failed_after(false, 3);
	ROAD(&change, "failed", CHANGE_UNLINKING);
	for (unsigned done = 4; done <= 5; done++) {
		change = failed_after(false, done);
		ROAD(&change, "failed", CHANGE_END_LEASING, CHANGE_UNLINKING, CHANGE_END_PLANNING,
		        CHANGE_END_APPLYING, CHANGE_END_UNLEASING, CHANGE_FADING);
	}
	change = failed_after(false, 8);
	ROAD(&change, "failed", CHANGE_DROPPING, CHANGE_END_LEASING, CHANGE_UNLINKING,
	        CHANGE_END_PLANNING, CHANGE_END_APPLYING, CHANGE_END_UNLEASING, CHANGE_FADING);
}

/* A successor would know of nothing but that it was tried. */
static void what_cannot_be_announced_is_not_begun(void **unused)
{
	for (int kind = 0; kind < 4; kind++) {
		struct vm_change change = begun(kind & 1, kind & 2);

		while (change_phase(change.state) == CHANGE_TRYING)
			all_answer(&change);
		vm_change_event(&change, CHANGE_EVENT_JOURNAL_FAILED, 3000);
		assert_int_equal(change.state, CHANGE_REFUSED);
	}
}

/* Or it would be gone on with from there. */
static void what_has_begun_is_brought_to_an_end_without_the_journal(void **unused)
{
	for (int kind = 0; kind < 4; kind++) {
		for (unsigned states = 1; states < 10; states++) {
			struct vm_change change = begun(kind & 1, kind & 2);

			while (change_phase(change.state) == CHANGE_TRYING)
				all_answer(&change);
			for (unsigned i = 0; i < states; i++)
				all_answer(&change);
			vm_change_event(&change, CHANGE_EVENT_JOURNAL_FAILED, 3000);
			assert_int_not_equal(change.state, CHANGE_REFUSED);
		}
	}
}

static void who_was_recovered_has_begun(void **unused)
{
	struct vm_change change = begun(true, true);

	all_answer(&change);
	vm_change_recover(&change, 4000);
	vm_change_event(&change, CHANGE_EVENT_JOURNAL_FAILED, 5000);
	assert_int_equal(change.state, CHANGE_DETACHING);
}

static void setbacks_are_those_of_one_question(void **unused)
{
	struct vm_change change = begun(true, true);

	all_answer(&change);
	for (unsigned times = 0; times < 15; times++)
		vm_change_answered(&change, PARTY_HOST, false, 3000);
	all_answer(&change);
	assert_int_equal(change.state, CHANGE_END_LEASING);
	for (unsigned times = 0; times < 15; times++)
		vm_change_answered(&change, PARTY_SM, false, 3000);
	assert_int_equal(change.state, CHANGE_END_LEASING);
	all_answer(&change);
	assert_int_equal(change.state, CHANGE_UNLINKING);
}

static void a_vf_that_does_not_leave_stays(void **unused)
{
	struct vm_change change = failed_after(true, 1);

	ROAD(&change, "failed", CHANGE_KEEPING);
}

static void whoever_cannot_give_back_is_asked_often_and_then_named(void **unused)
{
	struct vm_change change = begun(true, true);
	unsigned times = 0;

	all_answer(&change);
	all_answer(&change);
	for (; !vm_change_ended(&change) && times < 1000; times++)
		vm_change_answered(&change, PARTY_SM, false, 3000);
	assert_in_range(times, 10, 100);
	assert_string_equal(vm_change_outcome(&change), "incomplete");
}

static void a_plan_that_is_stale_for_ever_comes_to_an_end(void **unused)
{
	struct vm_change change = begun(false, true);
	unsigned times = 0;

	while (change.state != CHANGE_APPLYING)
		all_answer(&change);
	for (; change.state == CHANGE_APPLYING && times < 1000; times++) {
		vm_change_event(&change, CHANGE_EVENT_STALE, 3000);
		if (change.state == CHANGE_PLANNING)
			all_answer(&change);
	}
	assert_int_equal(change.state, CHANGE_END_LEASING);
}

static void a_successor_takes_back_what_may_have_been_promised(void **unused)
{
	struct vm_change change = begun(false, true);

	while (change.state != CHANGE_LEASING)
		all_answer(&change);
	/* As if APPLYING's record had been lost with the machine. */
	vm_change_recover(&change, 4000);
	vm_change_event(&change, CHANGE_EVENT_TIMEOUT, 5000);
	assert_int_equal(change.state, CHANGE_END_LEASING);
}

static void a_hosts_no_stands_when_the_sm_comes_back(void **unused)
{
	struct vm_change change = begun(false, true);

	vm_change_event(&change, CHANGE_EVENT_SM_LOST, 2000);
	vm_change_answered(&change, PARTY_HOST, false, 2000);
	assert_int_equal(vm_change_event(&change, CHANGE_EVENT_SM_BACK, 2000).parties, PARTY_SM);
	vm_change_answered(&change, PARTY_SM, true, 2000);
	assert_int_equal(change.state, CHANGE_REFUSED);
}

static void who_waits_for_anothers_lease_has_time(void **unused)
{
	struct vm_change change = begun(false, true);

	while (change.state != CHANGE_LEASING)
		all_answer(&change);
	vm_change_time_stop(&change);
	assert_int_equal(vm_change_next_us(&change), change.phase_us);
	assert_false(vm_change_tick(&change, change.phase_us - 1).entered);
	vm_change_time_run(&change, 1000000);
	assert_true(change.timer_us > 1000000);
	assert_true(vm_change_tick(&change, UINT64_MAX).entered);
	assert_string_equal(change.reason, "timeout");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(with_dynamic_lids_routes_come_before_the_link),
	        cmocka_unit_test(a_prepopulated_slot_is_the_hosts_alone),
	        cmocka_unit_test(one_that_does_not_come_leaves_nothing),
	        cmocka_unit_test(what_cannot_be_announced_is_not_begun),
	        cmocka_unit_test(what_has_begun_is_brought_to_an_end_without_the_journal),
	        cmocka_unit_test(who_was_recovered_has_begun),
	        cmocka_unit_test(setbacks_are_those_of_one_question),
	        cmocka_unit_test(a_vf_that_does_not_leave_stays),
	        cmocka_unit_test(whoever_cannot_give_back_is_asked_often_and_then_named),
	        cmocka_unit_test(a_plan_that_is_stale_for_ever_comes_to_an_end),
	        cmocka_unit_test(a_successor_takes_back_what_may_have_been_promised),
	        cmocka_unit_test(a_hosts_no_stands_when_the_sm_comes_back),
	        cmocka_unit_test(who_waits_for_anothers_lease_has_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
