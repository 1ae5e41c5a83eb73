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

enum { TRIES = 5000, MANY = 4096, LONG_MS = 3600 * 1000 };

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

/* @count VMs of such names; false: it is to be heard later. */
static bool says(const char *host, char name, size_t count, uint64_t now_ms)
{
	static Tether__HostVm vm[MANY], *at[MANY];
	static char names[MANY][8];

	for (size_t i = 0; i < count; i++) {
		at[i] = &vm[i];
		tether__host_vm__init(&vm[i]);
		snprintf(names[i], sizeof(names[i]), "%c%zu", name, i);
		vm[i].name = names[i];
	}
	if (!directory_host_may_say(directory, host, at, count, NULL, 0, now_ms))
		return false;
	assert_int_equal(directory_host_says(directory, host, at, count, NULL, 0), 0);
	return true;
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
	while (says("a", 'x', MANY, 0) && says("a", 'y', MANY, 0))
		;
	assert_true(says("a", 'u', 1, LONG_MS));
	assert_true(says("a", 'v', 1, LONG_MS));
}

int main(void)
{
#define RATE_TEST(f) cmocka_unit_test_setup_teardown(f, make, unmake)
	const struct CMUnitTest tests[] = {
	        RATE_TEST(a_word_that_alternates_is_put_off_and_that_of_others_is_not),
	        RATE_TEST(what_was_said_last_is_heard_at_any_time),
	        RATE_TEST(larger_words_are_put_off_sooner),
	        RATE_TEST(who_was_put_off_is_heard_later),
	};

	return cmocka_run_group_tests_name("smd_directory_rate", tests, NULL, NULL);
}
