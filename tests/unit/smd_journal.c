/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* What tether-smd has written down is there after whatever death, and nothing else ever is. */
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
#include "sm-side/journal.h"
#include "sm-side/journal_file.h"
#include "sm-side/ledger.h"

enum { KEEP = 10000, LINES_MAX = 4096, LINE_BYTES = 96, FILE_BYTES_MAX = 4 << 20 };

static char directory[] = "/tmp/smd_journal.XXXXXX";
static char path[64], wal[80], shm[80];
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

/* What has been read, a line for each record, told by what is in all of its cells. */
struct heard {
	char (*lines)[LINE_BYTES];
	int count;
};

static void line_of(const struct record *record, char line[LINE_BYTES])
{
	struct cell cells[RECORD_CELLS_MAX];

	assert_int_equal(record_to_cells(record, cells), 0);
	snprintf(line, LINE_BYTES, "%s %08x", record_shape(record->kind).table,
	        record_sum(record->kind, cells));
}

static int hear(void *context, const struct record *record)
{
	struct heard *heard = context;

	assert_true(heard->count < LINES_MAX);
	line_of(record, heard->lines[heard->count++]);
	return 0;
}

static struct heard heard_new(void)
{
	return (struct heard){.lines = calloc(LINES_MAX, LINE_BYTES)};
}

static int open_keeping(unsigned keep, struct heard *heard, struct journal **journal)
{
	heard->count = 0;
	return journal_open(path, keep, hear, heard, journal, NULL, 0);
}

static int open_and_hear(struct heard *heard, struct journal **journal)
{
	return open_keeping(KEEP, heard, journal);
}

static bool has(const struct heard *heard, const struct record *record)
{
	char line[LINE_BYTES];

	line_of(record, line);
	for (int i = 0; i < heard->count; i++)
		if (!strcmp(heard->lines[i], line))
			return true;
	return false;
}

static void forget_file(void)
{
	unlink(path);
	unlink(wal);
	unlink(shm);
}

/* ---- records ---- */

static struct record epoch_of(uint64_t epoch)
{
	return (struct record){RECORD_epoch, {.epoch = {epoch, 1700000000000000}}};
}

static struct record intent_of(uint64_t id)
{
	return (struct record){
	        RECORD_intent, {.intent = {.id = id,
	                                .epoch = id + 1,
	                                .vm = "vm \"one\"",
	                                .source = {"hyp1", "vf1", 0xfedcba9876543210, 3},
	                                .destination = {"hyp2", "vf2", 2, 4},
	                                .identity = {0x10, 0x11},
	                                .other = {0x20, 0x21},
	                                .fabric = true,
	                                .asked_wall_us = 1700000000000000}}};
}

static struct record state_of(uint64_t id, enum migration_state state)
{
	return (struct record){RECORD_state, {.state = {.migration = id,
	                                              .epoch = id + 1,
	                                              .state = state,
	                                              .at_us = 100,
	                                              .sequence = 7,
	                                              .address = {.lid = 11, .gid = {0xfe, 0x80}},
	                                              .plan = "00112233"}}};
}

static struct record said_of(uint64_t id, const char *bytes)
{
	return (struct record){RECORD_said, {.said = {id, {bytes, strlen(bytes)}}}};
}

static struct record plan_of(uint64_t id, const char *hash)
{
	struct record record = {
	        RECORD_plan, {.plan = {.migration = id,
	                              .generation = 5,
	                              .order = "fast",
	                              .reach = "deterministic",
	                              .lft_sets = 1,
	                              .entries = {"\0\2\xc9\0\0\0\0\1\x01\x0a\3\xff", 12}}}};

	snprintf(record.value.plan.hash, sizeof(record.value.plan.hash), "%s", hash);
	return record;
}

static struct record ending_of(uint64_t id)
{
	Tether__Counts counts = TETHER__COUNTS__INIT;

	counts.replayed = 3;
	return (struct record){
	        RECORD_ending, {.ending = {id, STATE_DONE, {.lft_sets = 5}, counts}}};
}

static struct record finding_of(uint64_t id)
{
	return (struct record){
	        RECORD_finding, {.finding = {id, "hyp3", "no-answer", "said nothing"}}};
}

static int write_one(struct journal *journal, struct record record, bool durable)
{
	return journal_append(journal, &record, 1, durable);
}

/* As tether-smd writes a migration; @ends: to its end. */
static void write_migration(struct journal *journal, uint64_t id, bool ends)
{
	struct record stopping[] = {state_of(id, STATE_STOPPING), said_of(id, "what was said")};
	struct record end[] = {state_of(id, STATE_DONE), ending_of(id), finding_of(id)};

	assert_int_equal(write_one(journal, intent_of(id), true), 0);
	assert_int_equal(write_one(journal, state_of(id, STATE_LOCATING), true), 0);
	assert_int_equal(write_one(journal, plan_of(id, "00112233"), false), 0);
	assert_int_equal(journal_append(journal, stopping, ARRAY_SIZE(stopping), false), 0);
	if (ends)
		assert_int_equal(journal_append(journal, end, ARRAY_SIZE(end), true), 0);
}

/* By a process that is killed, so that the WAL stays. */
static void written_by_somebody_killed(void (*write)(struct journal *journal))
{
	struct heard heard = heard_new();
	struct journal *journal;
	pid_t child = fork();
	int status;

	if (!child) {
		if (open_and_hear(&heard, &journal))
			_exit(1);
		write(journal);
		kill(getpid(), SIGKILL);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(WTERMSIG(status), SIGKILL);
	free(heard.lines);
}

/* ---- bytes ---- */

static size_t bytes_read(const char *name, uint8_t *bytes)
{
	FILE *file = fopen(name, "r");
	size_t length;

	if (!file)
		return 0;
	length = fread(bytes, 1, FILE_BYTES_MAX, file);
	fclose(file);
	return length;
}

static void bytes_write(const char *name, const void *bytes, size_t length)
{
	FILE *file = fopen(name, "w");

	assert_non_null(file);
	assert_int_equal(fwrite(bytes, 1, length, file), length);
	fclose(file);
}

static void assert_bytes(const char *name, const uint8_t *bytes, size_t length)
{
	uint8_t *now = malloc(FILE_BYTES_MAX);

	assert_int_equal(bytes_read(name, now), length);
	assert_memory_equal(now, bytes, length);
	free(now);
}

/* ---- what is kept ---- */

static void write_two(struct journal *journal)
{
	assert_int_equal(write_one(journal, epoch_of(1), true), 0);
	write_migration(journal, 1, true);
	write_migration(journal, 2, false);
	assert_int_equal(write_one(journal, state_of(2, STATE_SETTLING), false), 0);
}

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
	sql_in("PRAGMA journal_mode = WAL; CREATE TABLE letters (text); PRAGMA user_version = 1");
	is_refused_untouched(-EINVAL, "not a journal");
}

static void another_schema_is_refused(void **unused)
{
	struct heard heard = heard_new();
	struct journal *journal;

	forget_file();
	written_by_somebody_killed(write_two);
	sql_in("PRAGMA user_version = 2");
	is_refused_untouched(-EINVAL, "has schema 2");
	sql_in("PRAGMA user_version = 1; CREATE TRIGGER more AFTER INSERT ON epochs "
	       "BEGIN DELETE FROM states; END");
	is_refused_untouched(-EBADMSG, "its tables");
	sql_in("DROP TRIGGER more");
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

static int directory_make(void **unused)
{
	log_open("smd_journal", "none", LOG_LEVEL_ERROR);
	if (!mkdtemp(directory))
		return -1;
	snprintf(path, sizeof(path), "%s/journal", directory);
	snprintf(wal, sizeof(wal), "%s-wal", path);
	snprintf(shm, sizeof(shm), "%s-shm", path);
	return 0;
}

/* Nothing that was made on the way is left. */
static int directory_remove(void **unused)
{
	forget_file();
	return rmdir(directory);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(
	                what_was_written_is_read_in_order_even_by_the_successor_of_one_killed),
	        cmocka_unit_test(later_testimony_takes_the_place_of_earlier),
	        cmocka_unit_test(old_ends_leave_the_file_and_open_ones_stay),
	        cmocka_unit_test(a_durable_record_is_synced_and_a_lazy_one_costs_no_sync),
	        cmocka_unit_test(
	                a_full_disk_takes_none_of_a_record_and_the_next_when_there_is_room),
	        cmocka_unit_test(
	                who_only_reads_keeps_nobody_out_and_who_writes_is_waited_for_no_longer_than_a_moment),
	        cmocka_unit_test(a_second_daemon_is_kept_out),
	        cmocka_unit_test(a_foreign_file_is_refused_by_name_and_left_alone),
	        cmocka_unit_test(another_schema_is_refused),
	        cmocka_unit_test(a_row_that_somebody_has_changed_is_refused),
	        cmocka_unit_test(a_flipped_bit_never_passes_for_a_record),
	        cmocka_unit_test(
	                of_a_damaged_wal_what_came_before_is_read_and_it_can_be_written_on),
	};

	return cmocka_run_group_tests(tests, directory_make, directory_remove);
}
