/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* What the directory knows after a restart, by the journal. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sm-side/journal/journal.h"
#include "tests/unit/smd_directory_hand.h"

static char folder[32], path[64];

static int take(void *context, const struct record *record)
{
	return directory_take(context, record);
}

static struct journal *journal_begin(void)
{
	struct journal *journal = NULL;

	assert_int_equal(journal_open(path, 100, take, directory, &journal, NULL, 0), 0);
	return journal;
}

static struct journal *journal_first(void)
{
	strcpy(folder, "/tmp/smd_directory.XXXXXX");
	assert_non_null(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/journal", folder);
	return journal_begin();
}

static size_t pay(struct journal *journal)
{
	struct record records[16];
	size_t count = directory_owed(directory, records, 16);

	assert_int_equal(journal_append(journal, records, count, false), 0);
	directory_paid(directory, count);
	return count;
}

static void journal_end(struct journal *journal)
{
	journal_close(journal);
	unlink(path);
	snprintf(path, sizeof(path), "%s/journal-wal", folder);
	unlink(path);
	snprintf(path, sizeof(path), "%s/journal-shm", folder);
	unlink(path);
	assert_int_equal(rmdir(folder), 0);
}

static struct journal *restart(struct journal *journal)
{
	pay(journal);
	journal_close(journal);
	directory_unmake(NULL);
	assert_int_equal(directory_make(NULL), 0);
	return journal_begin();
}

static void what_a_hosts_first_word_after_a_restart_has_not_is_not_its_own_any_more(void **state)
{
	struct journal *journal = journal_first();

	says("a", "vm1 vm2 vm3 vm4");
	journal = restart(journal);
	/* While tether-smd was away vm1 was moved by hand, and vm2 has ended. */
	says("b", "vm1");
	assert_string_equal(vms_of("b"), "");
	assert_int_equal(directory_move_begins(directory, "vm4", "a", "b"), 0);
	places();
	says("a", "vm3");
	assert_string_equal(vms_of("b"), "vm1");
	assert_string_equal(directory_host_of(directory, "vm2"), "");
	assert_string_equal(directory_host_of(directory, "vm3"), "a");
	assert_string_equal(directory_host_of(directory, "vm4"), "a");
	assert_string_equal(places(), "vm1@b+?0/0 vm2@+?0/0 ");
	pay(journal);
	assert_false(directory_place_of(directory, "vm2", &(struct directory_place){0}));
	journal = restart(journal);
	assert_string_equal(directory_host_of(directory, "vm1"), "b");
	assert_string_equal(directory_host_of(directory, "vm2"), "");
	journal_end(journal);
}

static void who_has_said_nothing_yet_after_a_restart_claims_nothing(void **state)
{
	struct journal *journal = journal_first();

	says("a", "vm1 vm2");
	journal = restart(journal);
	assert_int_equal(directory_move_begins(directory, "vm1", "a", "b"), 0);
	says("b", "vm1");
	directory_move_ends(directory, "vm1", "b");
	assert_string_equal(claims(), "");
	assert_string_equal(news(), "");
	/* It comes back, and does as before. */
	says("a", "vm1 vm2");
	assert_string_equal(claims(), "a:vm1>b ");
	assert_string_equal(vms_of("a"), "vm2");
	directory_host_here(directory, "a", false);
	assert_true(directory_forget(directory, "a"));
	assert_string_equal(claims(), "");
	journal_end(journal);
}

static void the_liar_who_comes_first_after_a_restart_is_not_believed(void **state)
{
	struct journal *journal = journal_first();
	const uint64_t place[] = {1, 2}, guid[] = {0x11, 0x12}, evil[] = {9, 8};
	const uint32_t lids[] = {7}, pkeys[] = {0xffff, 0x8001};
	const struct directory_place located = {.vm = "vm1",
	        .port = 0x11,
	        .located = true,
	        .lids = lids,
	        .lid_count = 1,
	        .pkeys = pkeys,
	        .pkey_count = 2};
	struct directory_place back;

	says_slots("a", "vm1 vm2", 2, place, guid);
	assert_int_equal(pay(journal), 4);
	assert_int_equal(pay(journal), 0);
	says_slots("a", "vm1", 1, place, guid);
	assert_int_equal(pay(journal), 2);
	assert_int_equal(directory_locate(directory, &located), 0);
	assert_int_equal(pay(journal), 1);
	journal = restart(journal);
	assert_string_equal(directory_host_of(directory, "vm1"), "a");
	assert_true(directory_place_of(directory, "vm1", &back));
	assert_true(back.located && back.port == 0x11 && back.lid_count == 1 && back.lids[0] == 7);
	assert_true(back.pkey_count == 2 && back.pkeys[1] == 0x8001);
	says_slots("evil", "vm1 vm2", 2, evil, guid);
	assert_string_equal(vms_of("evil"), "vm2");
	assert_int_equal(slots_of("evil"), 1);
	says_slots("a", "vm1", 1, place, guid);
	assert_string_equal(vms_of("a"), "vm1");
	assert_int_equal(slots_of("a"), 1);
	pay(journal);
	journal_end(journal);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        DIRECTORY_TEST(
	                what_a_hosts_first_word_after_a_restart_has_not_is_not_its_own_any_more),
	        DIRECTORY_TEST(who_has_said_nothing_yet_after_a_restart_claims_nothing),
	        DIRECTORY_TEST(the_liar_who_comes_first_after_a_restart_is_not_believed),
	};

	return cmocka_run_group_tests_name("smd_directory_journal", tests, NULL, NULL);
}
