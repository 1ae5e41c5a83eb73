/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * A journal with damage: refused, with the file as it was, or read. The input is a list of (offset,
 * byte to exclusive-or) of five bytes, for a journal made here; or, after a 'w', a WAL beside it.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "notifier/base/log.h"
#include "sm-side/journal/journal.h"
#include "sm-side/journal/ledger.h"

enum { DAMAGE_BYTES = 5 };

static char directory[] = "/tmp/fuzz_journal.XXXXXX";
static char path[64], wal[72], shm[72];
static uint8_t *whole;
static size_t whole_bytes;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* SQLite's, too: no machine dies here. */
__attribute__((visibility("default"))) int fsync(int fd)
{
	return 0;
}

__attribute__((visibility("default"))) int fdatasync(int fd)
{
	return 0;
}

static int take(void *context, const struct record *record)
{
	return ledger_take(context, record);
}

static void insist(bool condition)
{
	if (!condition)
		abort();
}

static uint8_t *file_read(size_t *length)
{
	struct stat status;
	int fd = open(path, O_RDONLY);
	uint8_t *bytes;

	insist(fd >= 0 && !fstat(fd, &status));
	bytes = malloc((size_t)status.st_size + 1);
	*length = (size_t)read(fd, bytes, (size_t)status.st_size);
	close(fd);
	return bytes;
}

static void file_write(const char *name, const uint8_t *bytes, size_t length)
{
	int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	insist(fd >= 0 && write(fd, bytes, length) == (ssize_t)length);
	close(fd);
}

static void forget(void)
{
	unlink(path);
	unlink(wal);
	unlink(shm);
}

static void at_end(void)
{
	forget();
	rmdir(directory);
	free(whole);
}

static void write_some(struct journal *journal)
{
	struct migration_intent intent = {.id = 1, .epoch = 2, .vm = "vm1", .fabric = true};
	struct record records[] = {{RECORD_epoch, {.epoch = {1, 5}}},
	        {RECORD_intent, {.intent = intent}},
	        {RECORD_state, {.state = {.migration = 1, .epoch = 2, .state = STATE_LOCATING}}},
	        {RECORD_plan,
	                {.plan = {.hash = "01", .migration = 1, .entries = {"twelve bytes", 12}}}},
	        {RECORD_said, {.said = {1, {"", 0}}}},
	        {RECORD_state, {.state = {.migration = 1, .epoch = 2, .state = STATE_DONE}}},
	        {RECORD_ending, {.ending = {.migration = 1, .outcome = STATE_DONE}}},
	        {RECORD_finding, {.finding = {1, "who", "why", "what"}}}};

	insist(!journal_append(journal, records, sizeof(records) / sizeof(*records), true));
}

static void prepare(void)
{
	struct journal *journal;
	struct ledger ledger;

	log_open("fuzz", "none", LOG_LEVEL_ERROR);
	insist(mkdtemp(directory));
	atexit(at_end);
	snprintf(path, sizeof(path), "%s/journal", directory);
	snprintf(wal, sizeof(wal), "%s-wal", path);
	snprintf(shm, sizeof(shm), "%s-shm", path);
	ledger_init(&ledger, &deadlines_default);
	insist(!journal_open(path, 10, take, &ledger, &journal, NULL, 0));
	write_some(journal);
	journal_close(journal);
	ledger_clear(&ledger);
	whole = file_read(&whole_bytes);
}

static void damage(uint8_t *bytes, const uint8_t *data, size_t size)
{
	for (; size >= DAMAGE_BYTES; data += DAMAGE_BYTES, size -= DAMAGE_BYTES) {
		uint32_t at;

		memcpy(&at, data, sizeof(at));
		bytes[at % whole_bytes] ^= data[sizeof(at)];
	}
}

static void is_as_it_was(const uint8_t *bytes)
{
	size_t length;
	uint8_t *now = file_read(&length);

	insist(length == whole_bytes && !memcmp(now, bytes, length));
	free(now);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct journal *journal;
	struct ledger ledger;
	uint8_t *bytes;

	if (!whole)
		prepare();
	bytes = malloc(whole_bytes);
	memcpy(bytes, whole, whole_bytes);
	forget();
	if (size && *data == 'w')
		file_write(wal, data + 1, size - 1);
	else
		damage(bytes, data, size);
	file_write(path, bytes, whole_bytes);
	ledger_init(&ledger, &deadlines_default);
	if (journal_open(path, 10, take, &ledger, &journal, NULL, 0)) {
		is_as_it_was(bytes);
	} else {
		struct record epoch = {RECORD_epoch, {.epoch = {ledger.epoch + 1, 6}}};

		journal_append(journal, &epoch, 1, false);
		journal_close(journal);
	}
	ledger_clear(&ledger);
	free(bytes);
	return 0;
}
