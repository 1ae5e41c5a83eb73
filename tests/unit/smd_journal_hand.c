/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
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

static char directory[] = "/tmp/smd_journal.XXXXXX";
char path[64], wal[80];
static char shm[80];
void line_of(const struct record *record, char line[LINE_BYTES])
{
	struct cell cells[RECORD_CELLS_MAX];

	assert_int_equal(record_to_cells(record, cells), 0);
	snprintf(line, LINE_BYTES, "%s %08x", record_shape(record->kind).table,
	        record_sum(record->kind, cells));
}

int hear(void *context, const struct record *record)
{
	struct heard *heard = context;

	assert_true(heard->count < LINES_MAX);
	line_of(record, heard->lines[heard->count++]);
	return 0;
}

struct heard heard_new(void)
{
	return (struct heard){.lines = calloc(LINES_MAX, LINE_BYTES)};
}

int open_keeping(unsigned keep, struct heard *heard, struct journal **journal)
{
	heard->count = 0;
	return journal_open(path, keep, hear, heard, journal, NULL, 0);
}

int open_and_hear(struct heard *heard, struct journal **journal)
{
	return open_keeping(KEEP, heard, journal);
}

bool has(const struct heard *heard, const struct record *record)
{
	char line[LINE_BYTES];

	line_of(record, line);
	for (int i = 0; i < heard->count; i++)
		if (!strcmp(heard->lines[i], line))
			return true;
	return false;
}

void forget_file(void)
{
	unlink(path);
	unlink(wal);
	unlink(shm);
}

/* ---- records ---- */

struct record epoch_of(uint64_t epoch)
{
	return (struct record){RECORD_epoch, {.epoch = {epoch, 1700000000000000}}};
}

struct record intent_of(uint64_t id)
{
	return (struct record){
	        RECORD_intent, {.intent = {.id = id,
	                                .epoch = id + 1,
	                                .vm = "vm \"one\"",
	                                .source = {"hyp1", "vf1", 0xfedcba9876543210, 3, 0},
	                                .destination = {"hyp2", "vf2", 2, 4, 0},
	                                .identity = {0x10, 0x11},
	                                .other = {0x20, 0x21},
	                                .fabric = true,
	                                .asked_wall_us = 1700000000000000}}};
}

struct record state_of(uint64_t id, enum migration_state state)
{
	return (struct record){RECORD_state, {.state = {.migration = id,
	                                              .epoch = id + 1,
	                                              .state = state,
	                                              .at_us = 100,
	                                              .sequence = 7,
	                                              .address = {.lid = 11, .gid = {0xfe, 0x80}},
	                                              .plan = "00112233"}}};
}

struct record said_of(uint64_t id, const char *bytes)
{
	return (struct record){RECORD_said, {.said = {id, {bytes, strlen(bytes)}}}};
}

struct record plan_of(uint64_t id, const char *hash)
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

struct record ending_of(uint64_t id)
{
	Tether__Counts counts = TETHER__COUNTS__INIT;

	counts.replayed = 3;
	return (struct record){
	        RECORD_ending, {.ending = {id, STATE_DONE, {.lft_sets = 5}, counts}}};
}

struct record finding_of(uint64_t id)
{
	return (struct record){
	        RECORD_finding, {.finding = {id, "hyp3", "no-answer", "said nothing"}}};
}

int write_one(struct journal *journal, struct record record, bool durable)
{
	return journal_append(journal, &record, 1, durable);
}

/* As tether-smd writes a migration; @ends: to its end. */
void write_migration(struct journal *journal, uint64_t id, bool ends)
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
void written_by_somebody_killed(void (*write)(struct journal *journal))
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

size_t bytes_read(const char *name, uint8_t *bytes)
{
	FILE *file = fopen(name, "r");
	size_t length;

	if (!file)
		return 0;
	length = fread(bytes, 1, FILE_BYTES_MAX, file);
	fclose(file);
	return length;
}

void bytes_write(const char *name, const void *bytes, size_t length)
{
	FILE *file = fopen(name, "w");

	assert_non_null(file);
	assert_int_equal(fwrite(bytes, 1, length, file), length);
	fclose(file);
}

void assert_bytes(const char *name, const uint8_t *bytes, size_t length)
{
	uint8_t *now = malloc(FILE_BYTES_MAX);

	assert_int_equal(bytes_read(name, now), length);
	assert_memory_equal(now, bytes, length);
	free(now);
}

void write_two(struct journal *journal)
{
	assert_int_equal(write_one(journal, epoch_of(1), true), 0);
	write_migration(journal, 1, true);
	write_migration(journal, 2, false);
	assert_int_equal(write_one(journal, state_of(2, STATE_SETTLING), false), 0);
}

int directory_make(void **unused)
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
int directory_remove(void **unused)
{
	forget_file();
	return rmdir(directory);
}
