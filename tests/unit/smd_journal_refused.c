/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* Nothing but what tether-smd has written down is ever taken for it, and what is refused stays as
 * it was. */
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

/* ---- what is refused ---- */

static void a_second_daemon_is_kept_out(void **unused)
{
	struct journal *journal, *second;
	struct heard heard = heard_new();
	char why[256];

	forget_file();
	assert_int_equal(open_and_hear(&heard, &journal), 0);
	assert_int_equal(write_one(journal, epoch_of(1), true), 0);
	assert_int_equal(journal_open(path, KEEP, hear, &heard, &second, why, sizeof(why)), -EBUSY);
	assert_non_null(strstr(why, "belongs to another tether-smd"));
	assert_int_equal(write_one(journal, epoch_of(2), true), 0);
	journal_close(journal);
	assert_int_equal(open_and_hear(&heard, &second), 0);
	assert_int_equal(heard.count, 2);
	journal_close(second);
	free(heard.lines);
}

/* Refused with @err and a sentence that has @words, and not touched. */
static void is_refused_untouched(int err, const char *words)
{
	uint8_t *bytes = malloc(FILE_BYTES_MAX), *more = malloc(FILE_BYTES_MAX);
	size_t length = bytes_read(path, bytes), more_length = bytes_read(wal, more);
	struct heard heard = heard_new();
	struct journal *journal;
	char why[512] = "";

	assert_int_equal(journal_open(path, KEEP, hear, &heard, &journal, why, sizeof(why)), err);
	assert_non_null(strstr(why, path));
	if (!strstr(why, words))
		fail_msg("\"%s\" does not say \"%s\"", why, words);
	assert_bytes(path, bytes, length);
	assert_bytes(wal, more, more_length);
	free(bytes);
	free(more);
	free(heard.lines);
}

static void sql_in(const char *sql)
{
	sqlite3 *db;

	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
}

static void a_foreign_file_is_refused_by_name_and_left_alone(void **unused)
{
	static const struct {
		const char *bytes, *words;
	} files[] = {{"", "not a journal"}, {"x", "not a journal"},
	        {"SQLite format 3 and more of it\n", "not a journal"},
	        {"somebody's letters\n", "not a journal"},
	        {"tether-journal 1\n", "earlier tether-smd"}};

	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		forget_file();
		bytes_write(path, files[i].bytes, strlen(files[i].bytes));
		is_refused_untouched(-EINVAL, files[i].words);
	}
	forget_file();
	sql_in("PRAGMA journal_mode = WAL; CREATE TABLE letters (text); PRAGMA user_version = 3");
	is_refused_untouched(-EINVAL, "not a journal");
}

static void another_schema_is_refused(void **unused)
{
	struct heard heard = heard_new();
	struct journal *journal;

	forget_file();
	written_by_somebody_killed(write_two);
	sql_in("PRAGMA user_version = 5");
	is_refused_untouched(-EINVAL, "has schema 5");
	sql_in("PRAGMA user_version = 4; CREATE TRIGGER more AFTER INSERT ON epochs "
	       "BEGIN DELETE FROM states; END");
	is_refused_untouched(-EBADMSG, "its tables");
	sql_in("DROP TRIGGER more");
	assert_int_equal(open_and_hear(&heard, &journal), 0);
	journal_close(journal);
	free(heard.lines);
}

static void becomes_one_of_the_schema_before(void)
{
	forget_file();
	written_by_somebody_killed(write_two);
	sql_in("DROP TABLE gids; PRAGMA user_version = 3");
}

static void writes_nothing(struct journal *journal)
{
}

static void is_read_as(const struct heard *written)
{
	struct heard heard = heard_new();
	struct journal *journal;

	assert_int_equal(open_and_hear(&heard, &journal), 0);
	assert_int_equal(heard.count, written->count);
	for (int i = 0; i < heard.count; i++)
		assert_string_equal(heard.lines[i], written->lines[i]);
	journal_close(journal);
	free(heard.lines);
}

static void one_of_the_schema_before_is_read_and_becomes_one_of_this(void **unused)
{
	struct heard written = heard_new();
	struct journal *journal;

	forget_file();
	written_by_somebody_killed(write_two);
	assert_int_equal(open_and_hear(&written, &journal), 0);
	journal_close(journal);
	becomes_one_of_the_schema_before();
	is_read_as(&written);
	/* Fails where the version, or the table, is not what it was made to be. */
	sql_in("INSERT INTO gids SELECT * FROM gids");
	is_read_as(&written);
	sql_in("PRAGMA user_version = 3");
	is_refused_untouched(-EBADMSG, "its tables");
	/* Whoever is killed there leaves the old one or the new one. */
	becomes_one_of_the_schema_before();
	written_by_somebody_killed(writes_nothing);
	is_read_as(&written);
	free(written.lines);
}

static void one_of_the_schema_before_that_is_refused_stays_one(void **unused)
{
	becomes_one_of_the_schema_before();
	sql_in("UPDATE states SET lid = 12");
	is_refused_untouched(-EBADMSG, "is damaged");
	becomes_one_of_the_schema_before();
	sql_in("CREATE TABLE gids (migration)");
	is_refused_untouched(-EBADMSG, "its tables");
	sql_in("DROP TABLE gids; PRAGMA user_version = 2");
	is_refused_untouched(-EINVAL, "has schema 2");
}

/* Who is of schema 3 checks all rows, and takes other names for damage. */
static bool is_of_schema_3(const char *state)
{
	static const char *const names[] = {"locating", "preparing", "stopping", "settling",
	        "dropping", "restopping", "aborting", "mending-settling", "mending-reconnecting",
	        "mending-resuming", "releasing", "detaching", "moving", "looking", "looking-there",
	        "leasing", "leasing-again", "renaming", "revacating", "naming", "vacating",
	        "linking", "applying", "replanning", "confirming", "unleasing", "waking",
	        "attaching", "rebuilding", "reconnecting", "resuming", "back-renaming",
	        "back-revacating", "back-leasing", "back-naming", "back-vacating", "back-linking",
	        "stay-applying", "stay-unleasing", "staying", "back-undoing", "back-unleasing",
	        "back-waking", "back-moving", "back-giving", "back-rebuilding", "back-reconnecting",
	        "back-resuming", "erroring", "recovering", "done", "refused", "aborted",
	        "failed-at-source", "lost", "mending-stopping", "stay-naming", "stay-vacating"};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (!strcmp(state, names[i]))
			return true;
	return false;
}

/* The query of tether-smd.8: how much there is in it that schema 3 has not. */
#define BEYOND_3                                                                                   \
	"SELECT (SELECT count(*) FROM gids) + (SELECT count(*) FROM migrations WHERE lid > 65535)"

static int number_in(const char *sql)
{
	sqlite3_stmt *statement;
	sqlite3 *db;
	int number;

	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &statement, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
	number = sqlite3_column_int(statement, 0);
	sqlite3_finalize(statement);
	sqlite3_close(db);
	return number;
}

static enum migration_state state_now;

static void write_state(struct journal *journal)
{
	write_two(journal);
	assert_int_equal(write_one(journal, state_of(2, state_now), false), 0);
}

/* A new state of which this fails needs another schema: who is of this one takes it for damage. */
static void what_schema_3_does_not_know_is_asked_for_before_it_is_one(void **unused)
{
	for (state_now = 0; state_now < STATE_COUNT; state_now++) {
		forget_file();
		written_by_somebody_killed(write_state);
		assert_int_equal(
		        !number_in(BEYOND_3), is_of_schema_3(migration_state_name(state_now)));
	}
}

/* Of a VM without a LID, that nobody announces or somebody does. */
static void write_by_gids(struct journal *journal)
{
	struct record intent = intent_of(3), gid = {RECORD_gid, {.gid = {.migration = 3}}};

	write_two(journal);
	intent.value.intent.address.lid =
	        gid_of_vm(intent.value.intent.vm, intent.value.intent.address.gid);
	assert_int_equal(write_one(journal, intent, false), 0);
	if (state_now == STATE_PREPARING)
		return;
	gid.value.gid.gid[0] = 0xfe;
	assert_int_equal(write_one(journal, gid, false), 0);
}

static void a_vm_without_lids_is_beyond_schema_3(void **unused)
{
	struct heard heard = heard_new();
	struct journal *journal;

	forget_file();
	state_now = STATE_PREPARING;
	written_by_somebody_killed(write_by_gids);
	assert_int_equal(number_in(BEYOND_3), 1);
	forget_file();
	state_now = STATE_STOPPING;
	written_by_somebody_killed(write_by_gids);
	assert_int_equal(number_in(BEYOND_3), 2);
	assert_int_equal(open_and_hear(&heard, &journal), 0);
	journal_close(journal);
	free(heard.lines);
}

static void a_row_that_somebody_has_changed_is_refused(void **unused)
{
	static const char *const changes[] = {"UPDATE migrations SET port_guid = '0x12'",
	        "UPDATE migrations SET id = 7 WHERE id = 1", "UPDATE states SET lid = 12",
	        "UPDATE testimonies SET said = x'00'", "UPDATE endings SET lft_sets = 6",
	        "UPDATE findings SET text = 'nothing'", "UPDATE epochs SET epoch = 2"};

	for (size_t i = 0; i < ARRAY_SIZE(changes); i++) {
		forget_file();
		written_by_somebody_killed(write_two);
		sql_in(changes[i]);
		is_refused_untouched(-EBADMSG, "is damaged");
	}
}

/* ---- damage ---- */

static struct heard two_heard(void)
{
	struct heard heard = heard_new();
	struct journal *journal;

	forget_file();
	written_by_somebody_killed(write_two);
	assert_int_equal(open_and_hear(&heard, &journal), 0);
	return journal_close(journal), heard;
}

static bool all_were_written(const struct heard *heard, const struct heard *written)
{
	for (int i = 0; i < heard->count; i++) {
		bool found = false;

		for (int k = 0; k < written->count; k++)
			found |= !strcmp(heard->lines[i], written->lines[k]);
		if (!found)
			return false;
	}
	return true;
}

/* A prime, so that all bits come up. */
enum { STRIDE = 211 };

static void a_flipped_bit_never_passes_for_a_record(void **unused)
{
	struct heard written = two_heard(), heard = heard_new();
	uint8_t *bytes = malloc(FILE_BYTES_MAX);
	size_t length = bytes_read(path, bytes);
	unsigned refused = 0;

	for (size_t at = 0; at < length; at += STRIDE) {
		struct journal *journal;
		int err;

		bytes[at] ^= (uint8_t)(1 << at % 8);
		forget_file();
		bytes_write(path, bytes, length);
		err = open_and_hear(&heard, &journal);
		if (err) {
			assert_bytes(path, bytes, length);
			refused++;
		} else {
			assert_int_equal(heard.count, written.count);
			assert_true(all_were_written(&heard, &written));
			journal_close(journal);
		}
		bytes[at] ^= (uint8_t)(1 << at % 8);
	}
	assert_true(refused > 0);
	free(bytes);
	free(heard.lines);
	free(written.lines);
}

/* A WAL that ends early or is damaged is one that was not written any further. */
static void of_a_damaged_wal_what_came_before_is_read_and_it_can_be_written_on(void **unused)
{
	struct heard written = two_heard(), heard = heard_new();
	uint8_t *main_bytes = malloc(FILE_BYTES_MAX), *bytes = malloc(FILE_BYTES_MAX);
	size_t main_length, length;
	int most = 0;

	forget_file();
	written_by_somebody_killed(write_two);
	main_length = bytes_read(path, main_bytes);
	length = bytes_read(wal, bytes);
	for (size_t at = 0; at < length; at += 2 * STRIDE) {
		struct record after = epoch_of(77);
		struct journal *journal;

		forget_file();
		bytes_write(path, main_bytes, main_length);
		bytes[at] ^= 4;
		bytes_write(wal, bytes, at % 2 ? length : at);
		bytes[at] ^= 4;
		assert_int_equal(open_and_hear(&heard, &journal), 0);
		assert_true(all_were_written(&heard, &written));
		/* The further the more. */
		assert_true(heard.count >= most);
		most = heard.count;
		assert_int_equal(journal_append(journal, &after, 1, true), 0);
		journal_close(journal);
		assert_int_equal(open_and_hear(&heard, &journal), 0);
		assert_int_equal(heard.count, most + 1);
		assert_true(has(&heard, &after));
		journal_close(journal);
	}
	assert_true(most > 0);
	free(main_bytes);
	free(bytes);
	free(heard.lines);
	free(written.lines);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(a_second_daemon_is_kept_out),
	        cmocka_unit_test(a_foreign_file_is_refused_by_name_and_left_alone),
	        cmocka_unit_test(another_schema_is_refused),
	        cmocka_unit_test(one_of_the_schema_before_is_read_and_becomes_one_of_this),
	        cmocka_unit_test(one_of_the_schema_before_that_is_refused_stays_one),
	        cmocka_unit_test(a_vm_without_lids_is_beyond_schema_3),
	        cmocka_unit_test(what_schema_3_does_not_know_is_asked_for_before_it_is_one),
	        cmocka_unit_test(a_row_that_somebody_has_changed_is_refused),
	        cmocka_unit_test(a_flipped_bit_never_passes_for_a_record),
	        cmocka_unit_test(
	                of_a_damaged_wal_what_came_before_is_read_and_it_can_be_written_on),
	};

	return cmocka_run_group_tests(tests, directory_make, directory_remove);
}
