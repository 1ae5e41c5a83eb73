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
#include <unistd.h>
#include <cmocka.h>

#include "notifier/base/cleanup.h"
#include "sm-side/journal.h"

static const char *const texts[] = {
        "{\"kind\":\"epoch\",\"epoch\":1}", "second", "", "the fourth, with a longer text"};

static char directory[] = "/tmp/smd_journal.XXXXXX";
static char path[64];

struct heard {
	char texts[16][64];
	int count;
};

static int hear(void *context, const char *text)
{
	struct heard *heard = context;

	snprintf(heard->texts[heard->count++], sizeof(heard->texts[0]), "%s", text);
	return 0;
}

static int open_and_hear(struct heard *heard, struct journal **journal)
{
	char why[256] = "";

	memset(heard, 0, sizeof(*heard));
	return journal_open(path, hear, heard, journal, why, sizeof(why));
}

static size_t file_read(char *bytes, size_t size)
{
	FILE *file = fopen(path, "r");
	size_t length;

	assert_non_null(file);
	length = fread(bytes, 1, size, file);
	fclose(file);
	return length;
}

static void file_write(const char *bytes, size_t length)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	assert_int_equal(fwrite(bytes, 1, length, file), length);
	fclose(file);
}

static size_t journal_of_four(char *bytes, size_t size)
{
	struct journal *journal;
	struct heard heard;

	unlink(path);
	assert_int_equal(open_and_hear(&heard, &journal), 0);
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		assert_int_equal(journal_append(journal, texts[i], i % 2), 0);
	journal_close(journal);
	return file_read(bytes, size);
}

/* How many whole lines of records the first @length bytes hold. */
static int whole_records(const char *bytes, size_t length)
{
	int lines = 0;

	for (size_t i = 0; i < length; i++)
		lines += bytes[i] == '\n';
	return lines ? lines - 1 : 0;
}

static void what_was_written_is_replayed_in_order(void **unused)
{
	struct journal *journal;
	struct heard heard;
	char bytes[1024];

	journal_of_four(bytes, sizeof(bytes));
	assert_int_equal(open_and_hear(&heard, &journal), 0);
	assert_int_equal(heard.count, ARRAY_SIZE(texts));
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		assert_string_equal(heard.texts[i], texts[i]);
	journal_close(journal);
}

static void cut_off_at_any_byte_the_whole_records_stay_and_it_can_be_written_on(void **unused)
{
	struct journal *journal;
	struct heard heard;
	char bytes[1024];
	size_t length = journal_of_four(bytes, sizeof(bytes));

	for (size_t cut = 0; cut <= length; cut++) {
		int whole = whole_records(bytes, cut);

		file_write(bytes, cut);
		assert_int_equal(open_and_hear(&heard, &journal), 0);
		assert_int_equal(heard.count, whole);
		assert_int_equal(journal_append(journal, "after", true), 0);
		journal_close(journal);
		assert_int_equal(open_and_hear(&heard, &journal), 0);
		assert_int_equal(heard.count, whole + 1);
		assert_string_equal(heard.texts[whole], "after");
		journal_close(journal);
	}
}

static void a_flipped_bit_never_passes_for_a_record(void **unused)
{
	struct journal *journal;
	struct heard heard;
	char bytes[1024];
	size_t length = journal_of_four(bytes, sizeof(bytes));
	size_t last = length - strlen(texts[3]) - 10;

	for (size_t at = 0; at < length; at++) {
		char flipped = bytes[at] ^ 4, back[1024];
		int err;

		file_write(bytes, length);
		memcpy(back, bytes, length);
		back[at] = flipped;
		file_write(back, length);
		err = open_and_hear(&heard, &journal);
		/* With the line feed before it gone, the last two are one torn record. */
		if (at >= last - 1) {
			assert_int_equal(err, 0);
			assert_int_equal(heard.count, at < last ? 2 : 3);
			journal_close(journal);
			continue;
		}
		assert_int_equal(err, at < 17 ? -EINVAL : -EBADMSG);
		/* Refused, it is left as it is. */
		assert_int_equal(file_read(bytes, sizeof(bytes)), length);
		assert_int_equal(bytes[at], flipped);
		bytes[at] = flipped ^ 4;
	}
}

static void a_foreign_file_is_refused_and_left_alone(void **unused)
{
	static const char foreign[] = "SQLite format 3 and more of it\n";
	struct journal *journal;
	struct heard heard;
	char bytes[64], why[256];

	file_write(foreign, sizeof(foreign));
	assert_int_equal(journal_open(path, hear, &heard, &journal, why, sizeof(why)), -EINVAL);
	assert_non_null(strstr(why, "not a journal"));
	assert_int_equal(file_read(bytes, sizeof(bytes)), sizeof(foreign));
	assert_memory_equal(bytes, foreign, sizeof(foreign));
	file_write("x", 1);
	assert_int_equal(open_and_hear(&heard, &journal), -EINVAL);
}

static void a_second_daemon_is_kept_out(void **unused)
{
	struct journal *journal, *second;
	struct heard heard;

	unlink(path);
	assert_int_equal(open_and_hear(&heard, &journal), 0);
	assert_int_equal(open_and_hear(&heard, &second), -EBUSY);
	journal_close(journal);
	assert_int_equal(open_and_hear(&heard, &second), 0);
	journal_close(second);
}

static void a_record_is_one_line(void **unused)
{
	struct journal *journal;
	struct heard heard;

	unlink(path);
	assert_int_equal(open_and_hear(&heard, &journal), 0);
	assert_int_equal(journal_append(journal, "two\nlines", true), -EINVAL);
	journal_close(journal);
}

static void a_full_disk_leaves_no_torn_record_behind(void **unused)
{
	struct rlimit before, limit;
	struct journal *journal;
	struct heard heard;
	struct stat status;
	char text[200];

	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	unlink(path);
	assert_int_equal(open_and_hear(&heard, &journal), 0);
	assert_int_equal(journal_append(journal, "first", true), 0);
	assert_int_equal(stat(path, &status), 0);
	signal(SIGXFSZ, SIG_IGN);
	getrlimit(RLIMIT_FSIZE, &before);
	limit = before;
	limit.rlim_cur = (rlim_t)status.st_size + 50;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	assert_int_equal(journal_append(journal, text, true), -EFBIG);
	setrlimit(RLIMIT_FSIZE, &before);
	assert_int_equal(journal_append(journal, "second", true), 0);
	journal_close(journal);
	assert_int_equal(open_and_hear(&heard, &journal), 0);
	assert_int_equal(heard.count, 2);
	assert_string_equal(heard.texts[1], "second");
	journal_close(journal);
}

static int directory_make(void **unused)
{
	if (!mkdtemp(directory))
		return -1;
	snprintf(path, sizeof(path), "%s/journal", directory);
	return 0;
}

static int directory_remove(void **unused)
{
	unlink(path);
	return rmdir(directory);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(what_was_written_is_replayed_in_order),
	        cmocka_unit_test(
	                cut_off_at_any_byte_the_whole_records_stay_and_it_can_be_written_on),
	        cmocka_unit_test(a_flipped_bit_never_passes_for_a_record),
	        cmocka_unit_test(a_foreign_file_is_refused_and_left_alone),
	        cmocka_unit_test(a_second_daemon_is_kept_out),
	        cmocka_unit_test(a_record_is_one_line),
	        cmocka_unit_test(a_full_disk_leaves_no_torn_record_behind),
	};

	return cmocka_run_group_tests(tests, directory_make, directory_remove);
}
