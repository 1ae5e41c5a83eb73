/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* How often a host may say something else of itself. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "sm-side/directory/directory.h"

enum { TRIES = 5000, MANY = 4096, FEW = 100, LONG_MS = 3600 * 1000 };

static struct directory *directory;

static void refused(void *owner, const struct directory_claim *claim)
{
}

static const struct directory_outputs outputs = {.refused = refused};

static int make(void **state)
{
	directory = directory_create(&outputs, NULL);
	return directory ? 0 : -1;
}

static int unmake(void **state)
{
	directory_destroy(directory);
	return 0;
}

/* @count VMs and @slot_count slots; false: it is to be heard later. */
static bool says_rows(const char *host, Tether__HostVm **vms, size_t count, Tether__Slot **slots,
        size_t slot_count, uint64_t now_ms)
{
	if (!directory_host_may_say(directory, host, vms, count, slots, slot_count, now_ms))
		return false;
	assert_int_equal(directory_host_says(directory, host, vms, count, slots, slot_count), 0);
	return true;
}

/* VMs that are called @name and a number; what else they say is @socket. */
static Tether__HostVm **vms_make(char name, char *socket, size_t count)
{
	static Tether__HostVm vm[MANY], *at[MANY];
	static char names[MANY][8];

	for (size_t i = 0; i < count; i++) {
		at[i] = &vm[i];
		tether__host_vm__init(&vm[i]);
		snprintf(names[i], sizeof(names[i]), "%c%zu", name, i);
		vm[i].name = names[i];
		vm[i].socket = socket;
	}
	return at;
}

static bool says(const char *host, char name, size_t count, uint64_t now_ms)
{
	return says_rows(host, vms_make(name, "", count), count, NULL, 0, now_ms);
}

/* In turn; how often it was another than before and heard all the same. */
static int alternates(const char *host, size_t count, int tries)
{
	int heard = 0;
	char last = 0;

	for (int i = 0; i < tries; i++) {
		char name = i % 2 ? 'x' : 'y';

		if (!says(host, name, count, 0) || name == last)
			continue;
		last = name;
		heard++;
	}
	return heard;
}

/* Nothing is left to pay with. */
static void words_spend(const char *host)
{
	for (int i = 0; i < FEW && says(host, i % 2 ? 'x' : 'y', MANY, 0); i++)
		;
}

static void a_word_that_alternates_is_put_off_and_that_of_others_is_not(void **state)
{
	int heard = alternates("a", 1, TRIES);

	assert_in_range(heard, 100, 2000);
	assert_true(directory_put_off(directory) >= (TRIES - (unsigned)heard) / 2);
	assert_true(says("b", 'z', 1, 0));
}

static void what_was_said_last_is_heard_at_any_time(void **state)
{
	char last = 0;

	for (int i = 0; i < TRIES; i++)
		if (says("a", i % 2 ? 'x' : 'y', 1, 0))
			last = i % 2 ? 'x' : 'y';
	for (int i = 0; i < TRIES; i++)
		assert_true(says("a", last, 1, 0));
	assert_string_equal(directory_host_of(directory, last == 'x' ? "x0" : "y0"), "a");
}

static void larger_words_are_put_off_sooner(void **state)
{
	assert_in_range(alternates("a", MANY, 100), 2, 5);
}

static void who_was_put_off_is_heard_later(void **state)
{
	words_spend("a");
	assert_true(says("a", 'u', 1, LONG_MS));
	assert_true(says("a", 'v', 1, LONG_MS));
}

static void one_row_more_costs_one_row_however_many_there_are(void **state)
{
	for (int i = 0; i < FEW; i++)
		assert_true(says("a", 'x', MANY - FEW + i, 0));
	assert_int_equal(directory_put_off(directory), 0);
}

static void one_row_less_costs_one_row(void **state)
{
	for (int i = 0; i < FEW; i++)
		assert_true(says("a", 'x', MANY - i, 0));
}

static void a_row_that_says_something_else_costs_no_other(void **state)
{
	Tether__HostVm **vms = vms_make('x', "", MANY);

	for (int i = 0; i < FEW; i++) {
		vms[i]->socket = "s";
		assert_true(says_rows("a", vms, MANY, NULL, 0, 0));
	}
}

static void rows_that_all_say_something_else_are_all_paid(void **state)
{
	int heard = 0;

	while (heard < FEW &&
	        says_rows("a", vms_make('x', heard % 2 ? "s" : "t", MANY), MANY, NULL, 0, 0))
		heard++;
	assert_in_range(heard, 2, 4);
}

/* VMs and slots of the same names. */
static void another_order_costs_nothing(void **state)
{
	enum { ROWS = 100 };
	Tether__HostVm **vms, *vms_back[ROWS];
	Tether__Slot slot[ROWS], *slots[ROWS], *slots_back[ROWS];

	words_spend("a");
	vms = vms_make('z', "", ROWS);
	for (int i = 0; i < ROWS; i++) {
		tether__slot__init(&slot[i]);
		slot[i].name = vms[i]->name;
		vms_back[ROWS - 1 - i] = vms[i];
		slots[i] = slots_back[ROWS - 1 - i] = &slot[i];
	}
	assert_int_equal(directory_host_says(directory, "a", vms, ROWS, slots, ROWS), 0);
	assert_true(says_rows("a", vms_back, ROWS, slots_back, ROWS, 0));
	assert_true(says_rows("a", vms, ROWS, slots_back, ROWS, 0));
	assert_false(says_rows("a", vms, ROWS, slots, ROWS - 1, 0));
}

static void of_rows_of_one_name_the_first_counts(void **state)
{
	enum { ROWS = 3 };
	Tether__HostVm **vms, *swapped[ROWS];

	words_spend("a");
	vms = vms_make('z', "", ROWS);
	vms[2]->name = vms[0]->name;
	vms[2]->socket = "s";
	assert_int_equal(directory_host_says(directory, "a", vms, ROWS, NULL, 0), 0);
	assert_true(says_rows("a", vms, ROWS, NULL, 0, 0));
	for (int i = 0; i < ROWS; i++)
		swapped[i] = vms[ROWS - 1 - i];
	assert_false(says_rows("a", swapped, ROWS, NULL, 0, 0));
}

int main(void)
{
#define RATE_TEST(f) cmocka_unit_test_setup_teardown(f, make, unmake)
	const struct CMUnitTest tests[] = {
	        RATE_TEST(a_word_that_alternates_is_put_off_and_that_of_others_is_not),
	        RATE_TEST(what_was_said_last_is_heard_at_any_time),
	        RATE_TEST(larger_words_are_put_off_sooner),
	        RATE_TEST(who_was_put_off_is_heard_later),
	        RATE_TEST(one_row_more_costs_one_row_however_many_there_are),
	        RATE_TEST(one_row_less_costs_one_row),
	        RATE_TEST(a_row_that_says_something_else_costs_no_other),
	        RATE_TEST(rows_that_all_say_something_else_are_all_paid),
	        RATE_TEST(another_order_costs_nothing),
	        RATE_TEST(of_rows_of_one_name_the_first_counts),
	};

	return cmocka_run_group_tests_name("smd_directory_rate", tests, NULL, NULL);
}
