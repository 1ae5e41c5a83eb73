/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "notifier/base/cleanup.h"
#include "notifier/base/deadlines.h"
#include "notifier/base/log.h"
#include "notifier/base/settings.h"

/* A library in a program that it has nothing to say of opens nothing. */
static void a_log_may_be_opened_when_there_is_something_to_say(void **state)
{
	char folder[] = "/tmp/notifier_base.XXXXXX", path[64], line[256] = "";
	FILE *file;

	assert_non_null(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/log", folder);
	assert_int_equal(log_open_later("tested", path, LOG_LEVEL_INFO), 0);
	log_debug("base", "not to be said");
	assert_int_equal(access(path, F_OK), -1);
	errno = EXDEV;
	log_info("base", "said");
	log_info("base", "and said again");
	assert_int_equal(errno, EXDEV);
	file = fopen(path, "re");
	assert_non_null(file);
	assert_non_null(fgets(line, sizeof(line), file));
	assert_non_null(strstr(line, "info base: said"));
	assert_non_null(fgets(line, sizeof(line), file));
	assert_null(fgets(line, sizeof(line), file));
	fclose(file);
	unlink(path);
	rmdir(folder);
	assert_int_equal(log_open("tested", "none", LOG_LEVEL_INFO), 0);
}

static void a_log_that_cannot_be_opened_later_says_nothing(void **state)
{
	assert_int_equal(log_open_later("tested", "/nowhere/at/all", LOG_LEVEL_INFO), 0);
	log_info("base", "lost");
	log_info("base", "lost again");
	assert_int_equal(log_open("tested", "none", LOG_LEVEL_INFO), 0);
}

static int take(void *context, const char *key, const char *value)
{
	char *taken = context;

	if (!strcmp(key, "name") || !strcmp(key, "root")) {
		strcat(strcat(strcat(strcat(taken, key), "="), value), ";");
		return *value ? 0 : -EINVAL;
	}
	return -ENOENT;
}

static void settings_say_which_line_is_wrong(void **state)
{
	static const struct {
		const char *what, *text, *taken, *error;
		int err;
	} rows[] = {
	        {"nothing", "", "", "", 0},
	        {"two", "name = hyp1\nroot = unix:/a b\n", "name=hyp1;root=unix:/a b;", "", 0},
	        {"no line end", "name=hyp1", "name=hyp1;", "", 0},
	        {"comments", "# a\n; b\nname = hyp1 ; c\n", "name=hyp1;", "", 0},
	        {"indented", "name = hyp1\n\troot = x\n", "name=hyp1;root=x;", "", 0},
	        {"unknown", "name = hyp1\n\nnmae = hyp2\n", "name=hyp1;",
	                "f:3: unknown key \"nmae\"", -ENOENT},
	        {"bad value", "name =\n", "name=;", "f:1: bad value for \"name\"", -EINVAL},
	        {"no setting", "name = hyp1\nhello\n", "name=hyp1;",
	                "f:2: not a line of the form \"key = value\"", -EINVAL},
	        {"the first error counts", "hello\nnmae = 1\n", "",
	                "f:1: not a line of the form \"key = value\"", -EINVAL},
	        {"nothing is taken after an error", "nmae = 1\nname = hyp1\n", "",
	                "f:1: unknown key \"nmae\"", -ENOENT},
	        {"a section", "[host]\nname = hyp1\n", "",
	                "f:2: sections are not known here: \"host\"", -EINVAL},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		char taken[256] = "", error[256] = "";

		print_message("# %s\n", rows[i].what);
		assert_int_equal(
		        settings_parse(rows[i].text, "f", take, NULL, taken, error, sizeof(error)),
		        rows[i].err);
		assert_string_equal(taken, rows[i].taken);
		assert_string_equal(error, rows[i].error);
	}
}

static const char *known_key(size_t index, const char **wants)
{
	static const char *const keys[][2] = {
	        {"name", "a name"}, {"root", NULL}, {"stop_ms", "a number of milliseconds"}};

	if (index >= ARRAY_SIZE(keys))
		return NULL;
	*wants = keys[index][1];
	return keys[index][0];
}

static void errors_say_what_to_do(void **state)
{
	static const struct settings_words words = {.manual = "tether.conf(5)", .key = known_key};
	static const struct {
		const char *text, *error;
	} rows[] = {
	        {"nmae = x\n", "f:1: unknown key \"nmae\": is \"name\" meant?"},
	        {"nam = x\n", "f:1: unknown key \"nam\": is \"name\" meant?"},
	        {"roots = x\n", "f:1: unknown key \"roots\": is \"root\" meant?"},
	        {"\nstopms = 5\n", "f:2: unknown key \"stopms\": is \"stop_ms\" meant?"},
	        {"colour = red\n", "f:1: unknown key \"colour\": take it out; tether.conf(5) has "
	                           "those that there are"},
	        {"name =\n", "f:1: bad value for \"name\": it has to be a name"},
	        {"root =\n", "f:1: bad value for \"root\""},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		char taken[256] = "", error[256] = "";

		assert_int_not_equal(settings_parse(rows[i].text, "f", take, &words, taken, error,
		                             sizeof(error)),
		        0);
		assert_string_equal(error, rows[i].error);
	}
}

static int section_taken(void *context, const char *section)
{
	if (!strcmp(section, "bad"))
		return -EINVAL;
	strcat(strcat(strcat(context, "["), section), "]");
	return 0;
}

static void sections_are_told_before_their_settings(void **state)
{
	static const struct settings_words words = {
	        .section = section_taken, .section_wants = "a good one", .key = known_key};
	static const struct {
		const char *what, *text, *taken, *error;
	} rows[] = {
	        {"one", "name = a\n[s]\nroot = b\nname = c\n", "name=a;[s]root=b;name=c;", ""},
	        {"twice the same", "[s]\nname = a\n[s]\nname = b\n", "[s]name=a;name=b;", ""},
	        {"back", "[s]\nname = a\n[t]\nname = b\n[s]\nname = c\n",
	                "[s]name=a;[t]name=b;[s]name=c;", ""},
	        {"nothing in it", "[s]\n[t]\nname = a\n", "[t]name=a;", ""},
	        {"no section of ours", "\n[bad]\nname = a\n", "",
	                "f:3: bad section \"bad\": it has to be a good one"},
	        {"longer than two can be told apart by",
	                "[0123456789012345678901234567890123456789012345678]\nname = a\n", "",
	                "f:2: too long a section: "
	                "\"0123456789012345678901234567890123456789012345678\""},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		char taken[256] = "", error[256] = "";

		print_message("# %s\n", rows[i].what);
		assert_int_equal(settings_parse(rows[i].text, "f", take, &words, taken, error,
		                         sizeof(error)),
		        *rows[i].error ? -EINVAL : 0);
		assert_string_equal(taken, rows[i].taken);
		assert_string_equal(error, rows[i].error);
	}
}

/* A file of its own, which is gone afterwards. */
static void with_file(const char *text, void (*look)(const char *path))
{
	char folder[] = "/tmp/notifier_base.XXXXXX", path[64];
	FILE *file;

	assert_non_null(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/agent.conf", folder);
	file = fopen(path, "we");
	assert_non_null(file);
	fputs(text, file);
	fclose(file);
	look(path);
	unlink(path);
	rmdir(folder);
}

static void blamed(const char *path)
{
	char error[256], expected[256];

	settings_blame(path, "root", error, sizeof(error), "nobody is at %s", "/run/x");
	snprintf(expected, sizeof(expected), "%s:4: root: nobody is at /run/x", path);
	assert_string_equal(error, expected);
	settings_blame(path, "driver", error, sizeof(error), "is not said");
	snprintf(expected, sizeof(expected), "%s: driver: is not said", path);
	assert_string_equal(error, expected);
	settings_blame("/nonexistent", "root", error, sizeof(error), "x");
	assert_string_equal(error, "/nonexistent: root: x");
	settings_blame(path, "root", error, 5, "nobody");
	assert_int_equal(strlen(error), 4);
}

static void value_that_turns_out_wrong_is_blamed_on_its_last_line(void **state)
{
	with_file("root = a\n# root = b\nname = c\n  root = d\n", blamed);
}

static void taken_from_the_files_folder(const char *path)
{
	char *target = NULL, expected[256];
	const char *slash = strrchr(path, '/');

	assert_int_equal(setting_path(&target, path, "", "a/b"), 0);
	snprintf(expected, sizeof(expected), "%.*s/a/b", (int)(slash - path), path);
	assert_string_equal(target, expected);
	assert_int_equal(setting_path(&target, path, "unix:", "unix:a.sock"), 0);
	snprintf(expected, sizeof(expected), "unix:%.*s/a.sock", (int)(slash - path), path);
	assert_string_equal(target, expected);
	free(target);
}

static void path_is_taken_from_where_the_file_is(void **state)
{
	char *target = NULL;

	with_file("", taken_from_the_files_folder);
	assert_int_equal(setting_path(&target, "/etc/agent.conf", "exec:", "exec:/a"), 0);
	assert_string_equal(target, "exec:/a");
	assert_int_equal(setting_path(&target, "/etc/agent.conf", "exec:", "exec:"), -EINVAL);
	assert_int_equal(setting_path(&target, "/etc/agent.conf", "exec:", "/a"), -EINVAL);
	assert_int_equal(setting_path(&target, "/etc/agent.conf", "", ""), -EINVAL);
	assert_string_equal(target, "exec:/a");
	free(target);
}

static void line_too_long_is_not_cut(void **state)
{
	char text[1024] = "name = ", taken[1024] = "", error[256];

	memset(text + 7, 'x', sizeof(text) - 8);
	assert_int_equal(
	        settings_parse(text, "f", take, NULL, taken, error, sizeof(error)), -EINVAL);
	assert_string_equal(taken, "");
}

static void file_that_is_not_there_is_named(void **state)
{
	char error[256];

	assert_int_equal(
	        settings_read("/nonexistent/agent.conf", take, NULL, NULL, error, sizeof(error)),
	        -ENOENT);
	assert_string_equal(error, "/nonexistent/agent.conf: No such file or directory");
}

static void numbers_are_bounded(void **state)
{
	unsigned long number = 7;

	assert_int_equal(setting_number(&number, "10", 1, 100), 0);
	assert_int_equal(number, 10);
	assert_int_equal(setting_number(&number, "0x20", 1, 100), 0);
	assert_int_equal(number, 32);
	assert_int_equal(setting_number(&number, "101", 1, 100), -EINVAL);
	assert_int_equal(setting_number(&number, "-1", 0, ~0UL), -EINVAL);
	assert_int_equal(setting_number(&number, "10 s", 1, 100), -EINVAL);
	assert_int_equal(setting_number(&number, "", 0, 100), -EINVAL);
	assert_int_equal(number, 32);
}

static void deadlines_are_overridden_by_name(void **state)
{
	struct deadlines deadlines = deadlines_default;

	assert_int_equal(deadlines_set(&deadlines, "stop_ms", "1234"), 0);
	assert_int_equal(deadlines.stop_ms, 1234);
	assert_int_equal(deadlines.settle_ms, deadlines_default.settle_ms);
	assert_int_equal(deadlines_set(&deadlines, "stop", "1"), -ENOENT);
	assert_int_equal(deadlines_set(&deadlines, "stop_ms", "0"), -EINVAL);
	assert_int_equal(deadlines_set(&deadlines, "stop_ms", "1s"), -EINVAL);
	assert_int_equal(deadlines_set(&deadlines, "stop_ms", "3600001"), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(a_log_may_be_opened_when_there_is_something_to_say),
	        cmocka_unit_test(a_log_that_cannot_be_opened_later_says_nothing),
	        cmocka_unit_test(settings_say_which_line_is_wrong),
	        cmocka_unit_test(errors_say_what_to_do),
	        cmocka_unit_test(sections_are_told_before_their_settings),
	        cmocka_unit_test(value_that_turns_out_wrong_is_blamed_on_its_last_line),
	        cmocka_unit_test(path_is_taken_from_where_the_file_is),
	        cmocka_unit_test(line_too_long_is_not_cut),
	        cmocka_unit_test(file_that_is_not_there_is_named),
	        cmocka_unit_test(numbers_are_bounded),
	        cmocka_unit_test(deadlines_are_overridden_by_name),
	};

	return cmocka_run_group_tests_name("notifier_base", tests, NULL, NULL);
}
