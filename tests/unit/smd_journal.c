/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* What tether-smd has written down is there after whatever death. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <sqlite3.h>
#include <cmocka.h>

#include "notifier/base/cleanup.h"
#include "notifier/base/log.h"
#include "sm-side/journal/journal.h"
#include "sm-side/journal/journal_file.h"
#include "sm-side/journal/ledger.h"
#include "unit/smd_journal_hand.h"

static unsigned syncs;

/* SQLite's, too. */
__attribute__((visibility("default"))) int fdatasync(int fd)
{
	syncs++;
	return (int)syscall(SYS_fdatasync, fd);
}

__attribute__((visibility("default"))) int fsync(int fd)
{
	syncs++;
	return (int)syscall(SYS_fsync, fd);
}

/* ---- what is kept ---- */

static void what_was_written_is_read_in_order_even_by_the_successor_of_one_killed(void **unused)
{
	struct record expected[] = {epoch_of(1), intent_of(1), intent_of(2),
	        state_of(1, STATE_LOCATING), state_of(1, STATE_STOPPING), state_of(1, STATE_DONE),
	        state_of(2, STATE_LOCATING), state_of(2, STATE_STOPPING),
	        state_of(2, STATE_SETTLING), said_of(1, "what was said"),
	        said_of(2, "what was said"), ending_of(1), finding_of(1)};
	struct heard heard = heard_new();
	struct journal *journal;

	forget_file();
	written_by_somebody_killed(write_two);
	for (int times = 0; times < 2; times++) {
		assert_int_equal(open_and_hear(&heard, &journal), 0);
		assert_int_equal(heard.count, ARRAY_SIZE(expected));
		for (size_t i = 0; i < ARRAY_SIZE(expected); i++) {
			char line[LINE_BYTES];

			line_of(&expected[i], line);
			assert_string_equal(heard.lines[i], line);
		}
		journal_close(journal);
	}
	free(heard.lines);
}

static struct record change_of(uint64_t id, const char *vm, uint64_t own)
{
	struct record record = {RECORD_change,
	        {.change = {.id = id, .dynamic = true, .own = {own, own}, .asked_wall_us = 7}}};

	snprintf(record.value.change.vm, sizeof(record.value.change.vm), "%s", vm);
	return record;
}

static struct record write_change(
        struct journal *journal, uint64_t id, const char *vm, uint64_t own, const char *end)
{
	struct record intent = change_of(id, vm, own);
	struct record state = {RECORD_change_state,
	        {.change_state = {
	                 .change = id, .ended = true, .who = "", .reason = "", .text = ""}}};

	snprintf(state.value.change_state.state, sizeof(state.value.change_state.state), "%s", end);
	assert_int_equal(write_one(journal, intent, false), 0);
	assert_int_equal(write_one(journal, state, false), 0);
	return intent;
}

/* @keep of so many @others are in the file. */
static void what_vms_owe_is_kept(unsigned keep, uint64_t others)
{
	struct heard heard = heard_new();
	struct record owed, left, plain, given_back;
	struct journal *journal;

	forget_file();
	assert_int_equal(open_keeping(keep, &heard, &journal), 0);
	owed = write_change(journal, 1, "owes", 5, "present");
	left = write_change(journal, 2, "left", 0, "left");
	plain = write_change(journal, 3, "plain", 0, "present");
	given_back = write_change(journal, 4, "gone", 6, "present");
	write_change(journal, 5, "gone", 6, "absent");
	write_change(journal, 6, "owes", 6, "refused");
	for (uint64_t id = 7; id < 7 + others; id++)
		write_change(journal, id, "others", 0, "absent");
	journal_close(journal);
	assert_int_equal(open_keeping(keep, &heard, &journal), 0);
	assert_true(has(&heard, &owed));
	assert_true(has(&heard, &left));
	assert_false(has(&heard, &plain));
	assert_false(has(&heard, &given_back));
	journal_close(journal);
	free(heard.lines);
}

static void what_vms_owe_is_kept_however_many_have_come_and_gone_since(void **unused)
{
	what_vms_owe_is_kept(20, 40);
	what_vms_owe_is_kept(KEEP, 1010);
}

static void later_testimony_takes_the_place_of_earlier(void **unused)
{
	struct record first = said_of(1, "first"), second = said_of(1, "second");
	struct heard heard = heard_new();
	struct journal *journal;

	forget_file();
	assert_int_equal(open_and_hear(&heard, &journal), 0);
	write_migration(journal, 1, false);
	assert_int_equal(journal_append(journal, &first, 1, false), 0);
	assert_int_equal(journal_append(journal, &second, 1, false), 0);
	journal_close(journal);
	assert_int_equal(open_and_hear(&heard, &journal), 0);
	assert_true(has(&heard, &second));
	assert_false(has(&heard, &first));
	journal_close(journal);
	free(heard.lines);
}

static void old_ends_leave_the_file_and_open_ones_stay(void **unused)
{
	struct record open = intent_of(1), old = intent_of(2), latest = intent_of(600);
	struct heard heard = heard_new();
	struct journal *journal;
	struct stat at_first, at_last;

	forget_file();
	assert_int_equal(open_keeping(20, &heard, &journal), 0);
	write_migration(journal, 1, false);
	for (uint64_t id = 2; id <= 600; id++) {
		assert_int_equal(write_one(journal, epoch_of(id), false), 0);
		write_migration(journal, id, true);
		if (id == 300)
			assert_int_equal(stat(path, &at_first), 0);
	}
	assert_int_equal(stat(path, &at_last), 0);
	assert_true(at_last.st_size <= 2 * at_first.st_size);
	journal_close(journal);
	assert_int_equal(open_keeping(20, &heard, &journal), 0);
	assert_true(has(&heard, &open));
	assert_false(has(&heard, &old));
	assert_true(has(&heard, &latest));
	/* 20 epochs; of the open one an intent, 2 states and what was said; of 20 one state more,
	 * an ending and a finding. */
	assert_int_equal(heard.count, 20 + 4 + 20 * 7);
	journal_close(journal);
	free(heard.lines);
}

static void a_durable_record_is_synced_and_a_lazy_one_costs_no_sync(void **unused)
{
	struct heard heard = heard_new();
	struct journal *journal;

	forget_file();
	assert_int_equal(open_and_hear(&heard, &journal), 0);
	/* The first one of a WAL brings its header. */
	assert_int_equal(write_one(journal, epoch_of(1), true), 0);
	for (int times = 0; times < 5; times++) {
		syncs = 0;
		assert_int_equal(write_one(journal, epoch_of(10 + times), false), 0);
		assert_int_equal(syncs, 0);
		assert_int_equal(write_one(journal, epoch_of(20 + times), true), 0);
		assert_true(syncs > 0);
	}
	journal_close(journal);
	free(heard.lines);
}

static void a_full_disk_takes_none_of_a_record_and_the_next_when_there_is_room(void **unused)
{
	struct record first = epoch_of(1), second = epoch_of(2);
	struct rlimit before, limit;
	struct heard heard = heard_new();
	struct journal *journal;
	struct stat status;
	struct record big[] = {intent_of(1), finding_of(1)};
	char *text = calloc(1, 1 << 20);

	memset(text, 'x', (1 << 20) - 1);
	big[1].value.finding.text = text;
	forget_file();
	assert_int_equal(open_and_hear(&heard, &journal), 0);
	assert_int_equal(journal_append(journal, &first, 1, true), 0);
	signal(SIGXFSZ, SIG_IGN);
	getrlimit(RLIMIT_FSIZE, &before);
	limit = before;
	assert_int_equal(stat(path, &status), 0);
	limit.rlim_cur = (rlim_t)status.st_size + 16384;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	for (int durable = 0; durable < 2; durable++)
		assert_int_equal(journal_append(journal, big, ARRAY_SIZE(big), durable), -EIO);
	setrlimit(RLIMIT_FSIZE, &before);
	assert_int_equal(journal_append(journal, &second, 1, true), 0);
	journal_close(journal);
	assert_int_equal(open_and_hear(&heard, &journal), 0);
	assert_int_equal(heard.count, 2);
	assert_true(has(&heard, &first));
	assert_true(has(&heard, &second));
	assert_int_equal(journal_append(journal, big, ARRAY_SIZE(big), true), 0);
	journal_close(journal);
	free(heard.lines);
	free(text);
}

static void who_only_reads_keeps_nobody_out_and_who_writes_is_waited_for_no_longer_than_a_moment(
        void **unused)
{
	struct heard heard = heard_new();
	struct journal *journal;
	sqlite3 *other;

	forget_file();
	assert_int_equal(open_and_hear(&heard, &journal), 0);
	assert_int_equal(write_one(journal, epoch_of(1), true), 0);
	assert_int_equal(sqlite3_open_v2(path, &other, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
	assert_int_equal(
	        sqlite3_exec(other, "BEGIN; SELECT * FROM history", NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(write_one(journal, epoch_of(2), true), 0);
	assert_int_equal(
	        sqlite3_exec(other, "COMMIT; BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(write_one(journal, epoch_of(3), true), -EAGAIN);
	assert_int_equal(sqlite3_exec(other, "COMMIT", NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(write_one(journal, epoch_of(3), true), 0);
	sqlite3_close(other);
	journal_close(journal);
	free(heard.lines);
}

static void the_wal_stays_short_also_where_no_migration_ends(void **unused)
{
	enum { WRITES = 12000, BYTES_MOST = 20 << 20 };
	struct directory_vm_record vm = {.vm = "vm1", .lids = "", .pkeys = ""};
	struct heard heard = heard_new();
	struct journal *journal;
	struct stat file;

	forget_file();
	assert_int_equal(open_and_hear(&heard, &journal), 0);
	for (int i = 0; i < WRITES; i++) {
		vm.host = i % 2 ? "a" : "b";
		assert_int_equal(
		        write_one(journal,
		                (struct record){RECORD_directory_vm, {.directory_vm = vm}}, false),
		        0);
	}
	assert_int_equal(stat(wal, &file), 0);
	assert_true(file.st_size < BYTES_MOST);
	journal_close(journal);
	free(heard.lines);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(
	                what_was_written_is_read_in_order_even_by_the_successor_of_one_killed),
	        cmocka_unit_test(what_vms_owe_is_kept_however_many_have_come_and_gone_since),
	        cmocka_unit_test(later_testimony_takes_the_place_of_earlier),
	        cmocka_unit_test(old_ends_leave_the_file_and_open_ones_stay),
	        cmocka_unit_test(a_durable_record_is_synced_and_a_lazy_one_costs_no_sync),
	        cmocka_unit_test(
	                a_full_disk_takes_none_of_a_record_and_the_next_when_there_is_room),
	        cmocka_unit_test(
	                who_only_reads_keeps_nobody_out_and_who_writes_is_waited_for_no_longer_than_a_moment),
	        cmocka_unit_test(the_wal_stays_short_also_where_no_migration_ends),
	};

	return cmocka_run_group_tests(tests, directory_make, directory_remove);
}
