/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* Who has which VM: by first word, until he drops it, we move it, or the operator says so. */
#include "tests/unit/smd_directory_hand.h"

static void the_first_who_says_so_has_it(void **state)
{
	says("a", "vm1 vm2");
	says("b", "vm3 vm1");
	assert_string_equal(vms_of("a"), "vm1 vm2");
	assert_string_equal(vms_of("b"), "vm3");
	assert_string_equal(news(), "b:vm1>a ");
	assert_string_equal(claims(), "b:vm1>a ");
	assert_int_equal(directory_refused(directory, DIRECTORY_VM), 1);
	/* Said again it is no news. */
	says("b", "vm3 vm1");
	assert_string_equal(news(), "");
	says("b", "vm3");
	assert_string_equal(claims(), "");
	says("b", "vm3 vm1");
	assert_string_equal(news(), "b:vm1>a ");
}

static void who_is_away_keeps_it(void **state)
{
	says("a", "vm1");
	directory_host_here(directory, "a", false);
	says("b", "vm1");
	assert_string_equal(vms_of("b"), "");
	assert_string_equal(vms_of("a"), "vm1");
}

static void who_drops_it_leaves_it_to_the_first_who_waits_and_is_here(void **state)
{
	says("a", "vm1");
	says("b", "vm1");
	says("c", "vm1");
	directory_host_here(directory, "b", false);
	while (directory_stale(directory))
		;
	says("a", "");
	assert_string_equal(directory_host_of(directory, "vm1"), "c");
	assert_string_equal(directory_stale(directory), "c");
	assert_null(directory_stale(directory));
	says("b", "vm1");
	assert_string_equal(vms_of("b"), "");
	says("c", "");
	assert_string_equal(vms_of("b"), "vm1");
	says("b", "");
	assert_string_equal(directory_host_of(directory, "vm1"), "");
	says("c", "vm1");
	assert_string_equal(vms_of("c"), "vm1");
}

static void while_it_moves_both_of_its_hosts_may_have_it_and_nobody_else(void **state)
{
	says("a", "vm1");
	says("b", "");
	assert_int_equal(directory_move_begins(directory, "vm1", "a", "b"), 0);
	assert_string_equal(directory_next_of(directory, "vm1"), "b");
	says("b", "vm1");
	says("c", "vm1");
	assert_string_equal(vms_of("a"), "vm1");
	assert_string_equal(vms_of("b"), "vm1");
	assert_string_equal(vms_of("c"), "");
	assert_string_equal(news(), "c:vm1>a ");
	/* Between the two it is nobody's by anybody's word. */
	says("a", "");
	says("b", "");
	says("c", "vm1");
	assert_string_equal(vms_of("c"), "");
	says("b", "vm1");
	directory_move_ends(directory, "vm1", "b");
	assert_string_equal(directory_host_of(directory, "vm1"), "b");
	assert_string_equal(directory_next_of(directory, "vm1"), "");
	assert_string_equal(vms_of("c"), "");
	assert_string_equal(claims(), "c:vm1>b ");
}

static void the_source_has_it_no_more_when_it_has_moved_whatever_it_says(void **state)
{
	says("a", "vm1");
	directory_move_begins(directory, "vm1", "a", "b");
	says("b", "vm1");
	news();
	directory_move_ends(directory, "vm1", "b");
	assert_string_equal(news(), "a:vm1>b ");
	assert_string_equal(vms_of("a"), "");
	assert_string_equal(directory_stale(directory) ? "some" : "none", "some");
}

static void a_move_that_failed_leaves_it_at_its_source(void **state)
{
	says("a", "vm1");
	directory_move_begins(directory, "vm1", "a", "b");
	says("b", "vm1");
	directory_move_ends(directory, "vm1", "a");
	assert_string_equal(vms_of("a"), "vm1");
	assert_string_equal(vms_of("b"), "");
	assert_string_equal(news(), "b:vm1>a ");
	/* Unless it has said meanwhile that it has it no more. */
	directory_move_begins(directory, "vm1", "a", "b");
	says("a", "");
	directory_move_ends(directory, "vm1", "a");
	assert_string_equal(directory_host_of(directory, "vm1"), "b");
}

static void a_creation_is_its_hosts_before_that_says_so(void **state)
{
	directory_move_begins(directory, "vm1", NULL, "b");
	says("a", "vm1");
	assert_string_equal(news(), "a:vm1>b ");
	says("b", "vm1");
	directory_move_ends(directory, "vm1", "b");
	assert_string_equal(vms_of("b"), "vm1");
	/* One that came to nothing leaves nothing. */
	directory_move_begins(directory, "vm2", NULL, "b");
	directory_move_ends(directory, "vm2", NULL);
	says("a", "vm2");
	assert_string_equal(vms_of("a"), "vm2");
}

static void the_operator_releases_it_to_who_waits(void **state)
{
	assert_int_equal(directory_release(directory, "vm1", false), RELEASE_UNKNOWN);
	says("a", "vm1");
	assert_int_equal(directory_release(directory, "vm1", false), RELEASE_HELD);
	directory_move_begins(directory, "vm1", "a", "b");
	assert_int_equal(directory_release(directory, "vm1", false), RELEASE_MOVING);
	directory_move_ends(directory, "vm1", "a");
	says("b", "vm1");
	assert_int_equal(directory_release(directory, "vm1", false), RELEASE_DONE);
	assert_string_equal(vms_of("b"), "vm1");
	assert_string_equal(vms_of("a"), "");
	/* The one before waits, as soon as he says it again. */
	says("a", "vm1");
	assert_string_equal(vms_of("a"), "");
	/* A host that is dead, and nobody says anything: it is nobody's. */
	says("c", "vm2");
	directory_host_here(directory, "c", false);
	assert_int_equal(directory_release(directory, "vm2", false), RELEASE_DONE);
	assert_string_equal(vms_of("c"), "");
	says("b", "vm1 vm2");
	assert_string_equal(vms_of("b"), "vm1 vm2");
}

/* It was there first, for a VM that was not there yet. */
static void by_force_the_operator_takes_it_from_who_is_here(void **state)
{
	says("evil", "vm1");
	assert_int_equal(directory_release(directory, "vm1", true), RELEASE_DONE);
	assert_string_equal(vms_of("evil"), "");
	assert_string_equal(news(), "evil:vm1> ");
	/* However often it says so. */
	says("evil", "vm1");
	says("evil", "");
	says("evil", "vm1");
	assert_string_equal(vms_of("evil"), "");
	says("a", "vm1");
	assert_string_equal(vms_of("a"), "vm1");
	says("a", "");
	assert_string_equal(vms_of("evil"), "");
	/* Our own changes count. */
	directory_move_begins(directory, "vm1", NULL, "evil");
	directory_move_ends(directory, "vm1", "evil");
	assert_string_equal(vms_of("evil"), "vm1");
	says("evil", "");
	says("evil", "vm1");
	assert_string_equal(vms_of("evil"), "vm1");
}

static void a_host_that_will_not_come_back_leaves_all_it_had(void **state)
{
	const uint64_t place[] = {1}, guid[] = {0x11};

	says_slots("a", "vm1 vm2", 1, place, guid);
	says_slots("b", "vm1", 1, place, guid);
	assert_false(directory_forget(directory, "a"));
	assert_false(directory_forget(directory, "c"));
	directory_host_here(directory, "a", false);
	directory_move_begins(directory, "vm2", "a", "b");
	assert_false(directory_forget(directory, "a"));
	directory_move_ends(directory, "vm2", "a");
	assert_true(directory_forget(directory, "a"));
	assert_string_equal(vms_of("b"), "vm1");
	assert_int_equal(slots_of("b"), 1);
	assert_string_equal(directory_host_of(directory, "vm2"), "");
	assert_string_equal(claims(), "");
	/* It has come all the same: as anybody who comes. */
	says_slots("a", "vm1 vm2", 1, place, guid);
	assert_string_equal(vms_of("a"), "vm2");
	assert_int_equal(slots_of("a"), 0);
}

static void what_no_vm_may_be_called_is_nobodys(void **state)
{
	says("a", "vm1 vm\n2 ../vm3");
	assert_string_equal(vms_of("a"), "vm1");
	assert_int_equal(directory_refused(directory, DIRECTORY_VM), 2);
	assert_string_equal(claims(), "");
	says("a", "vm1 vm\n2");
	assert_string_equal(vms_of("a"), "vm1");
}

static void each_change_of_a_place_is_told_once(void **state)
{
	const uint32_t lids[] = {7}, pkeys[] = {0xffff, 0x8001};
	const struct directory_place place = {.vm = "vm1",
	        .located = true,
	        .lids = lids,
	        .lid_count = 1,
	        .pkeys = pkeys,
	        .pkey_count = 2};

	says("a", "vm1");
	assert_string_equal(places(), "vm1@a+?0/0 ");
	says("a", "vm1");
	assert_string_equal(places(), "");
	assert_int_equal(directory_locate(directory, &place), 0);
	assert_string_equal(places(), "vm1@a+!1/2 ");
	assert_int_equal(directory_locate(directory, &place), 0);
	assert_string_equal(places(), "");
	directory_move_begins(directory, "vm1", "a", "b");
	assert_string_equal(places(), "vm1@a+b!1/2 ");
	says("b", "vm1");
	directory_move_ends(directory, "vm1", "b");
	assert_string_equal(places(), "vm1@b+!1/2 ");
	says("a", "");
	says("b", "");
	assert_string_equal(places(), "vm1@+!1/2 ");
}

/* Also where the two hosts are one, or there is only one: at rest it is when the change has ended.
 */
static void what_a_change_of_ours_has_in_hand_is_not_at_rest(void **state)
{
	const char *const from[] = {"a", "b", NULL};
	struct directory_place place;

	says("a", "vm1");
	says("b", "");
	for (size_t i = 0; i < sizeof(from) / sizeof(from[0]); i++) {
		assert_true(directory_place_of(directory, "vm1", &place));
		assert_false(place.moves);
		directory_move_begins(directory, "vm1", from[i], "a");
		assert_true(directory_place_of(directory, "vm1", &place));
		assert_true(place.moves);
		directory_move_ends(directory, "vm1", "a");
	}
	assert_true(directory_place_of(directory, "vm1", &place));
	assert_false(place.moves);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        DIRECTORY_TEST(the_first_who_says_so_has_it),
	        DIRECTORY_TEST(who_is_away_keeps_it),
	        DIRECTORY_TEST(who_drops_it_leaves_it_to_the_first_who_waits_and_is_here),
	        DIRECTORY_TEST(while_it_moves_both_of_its_hosts_may_have_it_and_nobody_else),
	        DIRECTORY_TEST(the_source_has_it_no_more_when_it_has_moved_whatever_it_says),
	        DIRECTORY_TEST(a_move_that_failed_leaves_it_at_its_source),
	        DIRECTORY_TEST(a_creation_is_its_hosts_before_that_says_so),
	        DIRECTORY_TEST(the_operator_releases_it_to_who_waits),
	        DIRECTORY_TEST(by_force_the_operator_takes_it_from_who_is_here),
	        DIRECTORY_TEST(a_host_that_will_not_come_back_leaves_all_it_had),
	        DIRECTORY_TEST(what_no_vm_may_be_called_is_nobodys),
	        DIRECTORY_TEST(each_change_of_a_place_is_told_once),
	        DIRECTORY_TEST(what_a_change_of_ours_has_in_hand_is_not_at_rest),
	};

	return cmocka_run_group_tests_name("smd_directory", tests, NULL, NULL);
}
