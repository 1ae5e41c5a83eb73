/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "notifier/base/cleanup.h"
#include "notifier/base/file.h"

struct folder {
	char path[32];
	int fd;
};

static int setup(void **state)
{
	struct folder *folder = calloc(1, sizeof(*folder));

	assert_non_null(folder);
	strcpy(folder->path, "/tmp/base_file.XXXXXX");
	assert_non_null(mkdtemp(folder->path));
	folder->fd = open(folder->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(folder->fd >= 0);
	*state = folder;
	return 0;
}

static int teardown(void **state)
{
	struct folder *folder = *state;

	unlinkat(folder->fd, "file", 0);
	unlinkat(folder->fd, "file.new", 0);
	close(folder->fd);
	rmdir(folder->path);
	free(folder);
	return 0;
}

static void assert_file(const struct folder *folder, const char *text, mode_t mode)
{
	CLEANUP_CLOSE int fd = openat(folder->fd, "file", O_RDONLY | O_CLOEXEC);
	char bytes[64] = "";
	struct stat found;

	assert_true(fd >= 0);
	assert_int_equal(read(fd, bytes, sizeof(bytes) - 1), strlen(text));
	assert_string_equal(bytes, text);
	assert_int_equal(fstat(fd, &found), 0);
	assert_int_equal(found.st_mode & 07777, mode);
	assert_int_equal(faccessat(folder->fd, "file.new", F_OK, 0), -1);
}

static void a_file_is_what_was_written_last(void **state)
{
	const struct folder *folder = *state;

	assert_int_equal(file_replace(folder->fd, "file", 0600, "first\n", 6), 0);
	assert_file(folder, "first\n", 0600);
	assert_int_equal(file_replace(folder->fd, "file", 0600, "2\n", 2), 0);
	assert_file(folder, "2\n", 0600);
}

/* By whoever was killed between the two. */
static void what_was_left_behind_is_no_hindrance(void **state)
{
	const struct folder *folder = *state;
	int left = openat(folder->fd, "file.new", O_WRONLY | O_CREAT | O_CLOEXEC, 0644);

	assert_true(left >= 0);
	assert_int_equal(write(left, "half of something longer", 24), 24);
	close(left);
	assert_int_equal(file_replace(folder->fd, "file", 0600, "whole\n", 6), 0);
	assert_file(folder, "whole\n", 0600);
}

static void a_file_for_others_is_so_whatever_the_umask(void **state)
{
	const struct folder *folder = *state;
	mode_t before = umask(0077);

	assert_int_equal(file_replace(folder->fd, "file", 0644, "public\n", 7), 0);
	umask(before);
	assert_file(folder, "public\n", 0644);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test_setup_teardown(a_file_is_what_was_written_last, setup, teardown),
	        cmocka_unit_test_setup_teardown(
	                what_was_left_behind_is_no_hindrance, setup, teardown),
	        cmocka_unit_test_setup_teardown(
	                a_file_for_others_is_so_whatever_the_umask, setup, teardown),
	};

	return cmocka_run_group_tests_name("base_file", tests, NULL, NULL);
}
