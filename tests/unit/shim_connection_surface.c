/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Nothing of librdmacm is forgotten: preload/wrapped_connections.def against the installed library
 * and what libtether.so exports. Works in the top folder.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/elf_symbols.h"

static const struct row {
	const char *name, *version;
	bool is_wrapped;
	const char *why, *test;
} rows[] = {
#define CONNECTION(ret, failure, name, version, params, args, test)                                \
	{#name, "RDMACM_" #version, true, "", test},
#define UNWRAPPED(name, version, why, test) {#name, "RDMACM_" #version, false, why, test},
#include "preload/wrapped_connections.def"
};
enum { ROWS = sizeof(rows) / sizeof(*rows) };

static const struct row *row_of(const struct elf_symbol *symbol)
{
	for (int i = 0; i < ROWS; i++) {
		if (!strcmp(rows[i].name, symbol->name) &&
		        elf_version_is(rows[i].version, symbol->version))
			return &rows[i];
	}
	return NULL;
}

static bool has(const struct elf_symbol *symbols, size_t count, const struct row *row)
{
	for (size_t i = 0; i < count; i++) {
		if (row_of(&symbols[i]) == row)
			return true;
	}
	return false;
}

static void every_symbol_is_named(void **state)
{
	size_t count;
	struct elf_symbol *symbols = elf_symbols_installed("librdmacm.so.1", &count);

	assert_in_range(count, 50, 1000);
	for (size_t i = 0; i < count; i++) {
		if (!row_of(&symbols[i]))
			fail_msg("%s@%s is not named", symbols[i].name, symbols[i].version);
	}
	free(symbols);
}

static void no_symbol_is_made_up(void **state)
{
	size_t count;
	struct elf_symbol *symbols = elf_symbols_installed("librdmacm.so.1", &count);

	for (int i = 0; i < ROWS; i++) {
		if (!has(symbols, count, &rows[i]))
			fail_msg("librdmacm has no %s@%s", rows[i].name, rows[i].version);
	}
	free(symbols);
}

static void the_library_defines_what_is_wrapped_and_nothing_else(void **state)
{
	size_t count;
	struct elf_symbol *symbols = elf_symbols_ours(&count);

	for (int i = 0; i < ROWS; i++) {
		if (has(symbols, count, &rows[i]) != rows[i].is_wrapped)
			fail_msg("%s@%s", rows[i].name, rows[i].version);
	}
	free(symbols);
}

static char *test_text(const char *test)
{
	char path[256], *text = NULL;
	size_t size = 0;
	FILE *file;

	snprintf(path, sizeof(path), "tests/%s.c", test);
	file = fopen(path, "re");
	if (!file)
		return NULL;
	if (getdelim(&text, &size, 0, file) < 0) {
		free(text);
		text = NULL;
	}
	fclose(file);
	return text;
}

static void every_row_names_a_test_that_is_about_it(void **state)
{
	char *shared = test_text("unit/shim_connections");

	assert_non_null(shared);
	for (int i = 0; i < ROWS; i++) {
		char *text = test_text(rows[i].test);

		if (!text)
			fail_msg("%s: there is no test %s", rows[i].name, rows[i].test);
		else if (rows[i].is_wrapped && !strstr(text, rows[i].name) &&
		         !strstr(shared, rows[i].name))
			fail_msg("%s: %s is not about it", rows[i].name, rows[i].test);
		if (!rows[i].is_wrapped && !*rows[i].why)
			fail_msg("%s: why not?", rows[i].name);
		free(text);
	}
	free(shared);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(every_symbol_is_named),
	        cmocka_unit_test(no_symbol_is_made_up),
	        cmocka_unit_test(the_library_defines_what_is_wrapped_and_nothing_else),
	        cmocka_unit_test(every_row_names_a_test_that_is_about_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
