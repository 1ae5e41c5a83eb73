/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Nothing of libibverbs is forgotten: preload/wrapped_symbols.def against the installed library and
 * what libtether.so exports, preload/inline_operations.def against the structs of verbs.h, and the
 * table in preload/DESIGN.md against both. Works in the top folder. --write makes that table.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <infiniband/verbs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/elf_symbols.h"
#include "tests/unit/surface_table.h"

static const char document_path[] = "preload/DESIGN.md";

/* wrapped_connections.def, and shim_connection_surface.c. */
static bool is_of_librdmacm(const struct elf_symbol *symbol)
{
	return !strncmp(symbol->version, "RDMACM_", strlen("RDMACM_"));
}

/* Unversioned, in front of libc's. */
static const char *const of_libc[] = {"dlopen", "dlmopen"};

static char *file_text(const char *path)
{
	FILE *file = fopen(path, "re");
	char *text = NULL;
	size_t size = 0;

	if (!file)
		return NULL;
	if (getdelim(&text, &size, 0, file) < 0) {
		free(text);
		text = NULL;
	}
	fclose(file);
	return text;
}

/* ---- symbols ---- */

static bool is_named(const struct surface_row *row, const struct elf_symbol *symbol)
{
	return row->part == SYMBOLS && !strcmp(row->name, symbol->name) &&
	       elf_version_is(row->version, symbol->version);
}

static unsigned times_named(const struct elf_symbol *symbol)
{
	unsigned times = 0;

	for (size_t i = 0; i < surface_count; i++)
		times += is_named(&surface[i], symbol);
	return times;
}

static const struct elf_symbol *find(
        const struct surface_row *row, const struct elf_symbol *symbols, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (is_named(row, &symbols[i]))
			return &symbols[i];
	}
	return NULL;
}

/* Providers call these, in the build of libibverbs that they belong to. */
static bool is_private(const struct elf_symbol *symbol)
{
	return !strncmp(symbol->version, "IBVERBS_PRIVATE_", strlen("IBVERBS_PRIVATE_"));
}

static void every_symbol_is_named_once(void **state)
{
	size_t count, public = 0;
	struct elf_symbol *symbols = elf_symbols_installed("libibverbs.so.1", &count);

	for (size_t i = 0; i < count; i++) {
		unsigned times = times_named(&symbols[i]);

		if (is_private(&symbols[i]))
			continue;
		public++;
		if (times != 1)
			fail_msg("%s@%s is named %u times", symbols[i].name, symbols[i].version,
			        times);
	}
	assert_in_range(public, 100, count);
	free(symbols);
}

static void no_symbol_is_made_up(void **state)
{
	size_t count;
	struct elf_symbol *symbols = elf_symbols_installed("libibverbs.so.1", &count);

	for (size_t i = 0; i < surface_count; i++) {
		const struct surface_row *row = &surface[i];
		const struct elf_symbol *symbol = find(row, symbols, count);

		if (row->part != SYMBOLS)
			continue;
		if (!symbol) {
			fail_msg("libibverbs has no %s@%s", row->name, row->version);
			continue;
		}
		/* What is bound by its name alone has to be what was meant. */
		if (symbol->is_default != row->is_defined)
			fail_msg("%s@%s is no default", row->name, row->version);
	}
	free(symbols);
}

static bool is_of_libc(const char *name)
{
	for (size_t i = 0; i < sizeof(of_libc) / sizeof(*of_libc); i++) {
		if (!strcmp(of_libc[i], name))
			return true;
	}
	return false;
}

static void the_library_defines_what_is_named_and_nothing_else(void **state)
{
	size_t count, defined = 0, named = 0, unversioned = 0;
	struct elf_symbol *symbols = elf_symbols_ours(&count);

	for (size_t i = 0; i < count; i++) {
		if (is_of_librdmacm(&symbols[i]))
			continue;
		if (is_of_libc(symbols[i].name) && !*symbols[i].version)
			unversioned++;
		else if (times_named(&symbols[i]) == 1)
			defined++;
		else
			fail_msg("defines %s@%s", symbols[i].name, symbols[i].version);
	}
	for (size_t i = 0; i < surface_count; i++) {
		const struct surface_row *row = &surface[i];

		if (row->part != SYMBOLS)
			continue;
		named += row->is_defined;
		if (row->is_defined != (find(row, symbols, count) != NULL))
			fail_msg("%s@%s", row->name, row->version);
	}
	assert_int_equal(defined, named);
	assert_int_equal(unversioned, sizeof(of_libc) / sizeof(*of_libc));
	free(symbols);
}

/* ---- slots ---- */

struct member {
	size_t offset, size;
};

#define MEMBER(type, name)                                                                         \
	{                                                                                          \
		offsetof(struct type, name), sizeof(((struct type *)0)->name)                      \
	}

/* What is no operation in them. */
static const struct member verbs_context_members[] = {MEMBER(verbs_context, _ABI_placeholder3),
        MEMBER(verbs_context, sz), MEMBER(verbs_context, context), {0}};
static const struct member qp_ex_members[] = {MEMBER(ibv_qp_ex, qp_base),
        MEMBER(ibv_qp_ex, comp_mask), MEMBER(ibv_qp_ex, wr_id), MEMBER(ibv_qp_ex, wr_flags), {0}};
static const struct member cq_ex_members[] = {{0, sizeof(struct ibv_cq)},
        MEMBER(ibv_cq_ex, comp_mask), MEMBER(ibv_cq_ex, status), MEMBER(ibv_cq_ex, wr_id), {0}};
static const struct member wq_members[] = {MEMBER(ibv_wq, context), MEMBER(ibv_wq, wq_context),
        MEMBER(ibv_wq, pd), MEMBER(ibv_wq, cq), MEMBER(ibv_wq, wq_num), MEMBER(ibv_wq, handle),
        MEMBER(ibv_wq, state), MEMBER(ibv_wq, wq_type), MEMBER(ibv_wq, mutex), MEMBER(ibv_wq, cond),
        MEMBER(ibv_wq, events_completed), MEMBER(ibv_wq, comp_mask), {0}};
static const struct member device_members[] = {MEMBER(ibv_device, node_type),
        MEMBER(ibv_device, transport_type), MEMBER(ibv_device, name), MEMBER(ibv_device, dev_name),
        MEMBER(ibv_device, dev_path), MEMBER(ibv_device, ibdev_path), {0}};
static const struct member no_members[] = {{0}};

static const struct layout {
	const struct member *members;
	size_t size;
} layouts[PARTS] = {
        [CONTEXT_OPS] = {no_members, sizeof(struct ibv_context_ops)},
        [VERBS_OPS] = {verbs_context_members, sizeof(struct verbs_context)},
        [BUILDERS] = {qp_ex_members, sizeof(struct ibv_qp_ex)},
        [READERS] = {cq_ex_members, sizeof(struct ibv_cq_ex)},
        [WQ_OPS] = {wq_members, sizeof(struct ibv_wq)},
        [DEVICE_OPS] = {device_members, sizeof(struct ibv_device)},
};

/* Once for each byte. */
static void take(uint8_t *taken, size_t offset, size_t size)
{
	while (size--)
		taken[offset++]++;
}

/* No word of it is nobody's, and no byte somebody's twice. */
static void check_layout(enum surface_part part)
{
	const struct layout *layout = &layouts[part];
	uint8_t *taken = calloc(layout->size + 1, sizeof(*taken));

	for (const struct member *m = layout->members; m->size; m++)
		take(taken, m->offset, m->size);
	for (size_t i = 0; i < surface_count; i++) {
		if (surface[i].part == part)
			take(taken, surface[i].offset, surface[i].size);
	}
	for (size_t word = 0; word < layout->size; word += sizeof(void *)) {
		unsigned bytes = 0;

		for (size_t i = word; i < word + sizeof(void *); i++) {
			assert_in_range(taken[i], 0, 1);
			bytes += taken[i];
		}
		if (!bytes)
			fail_msg("part %d: nothing is named at offset %zu", part, word);
	}
	free(taken);
}

static void every_slot_is_named_once(void **state)
{
	for (int part = SYMBOLS + 1; part < PARTS; part++)
		check_layout((enum surface_part)part);
}

static void what_is_wrapped_is_filled(void **state)
{
	for (size_t i = 0; i < surface_count; i++) {
		const struct surface_row *row = &surface[i];

		if ((row->class == WRAPPED && !row->is_defined) ||
		        (row->class == UNUSED && row->is_defined))
			fail_msg("%s", row->name);
	}
}

static void what_is_not_wrapped_has_a_reason(void **state)
{
	for (size_t i = 0; i < surface_count; i++) {
		if (surface[i].class != WRAPPED && !*surface[i].remark)
			fail_msg("%s", surface[i].name);
	}
}

/* ---- tests ---- */

/* "unit/shim_post: name", or the file alone: its text. free(3) it. */
static char *test_text(const char *test)
{
	int length = (int)strcspn(test, ":");
	char path[256], *text;

	snprintf(path, sizeof(path), "tests/%.*s.c", length, test);
	text = file_text(path);
	if (text)
		return text;
	snprintf(path, sizeof(path), "tests/%.*s.py", length, test);
	return file_text(path);
}

/* One that is written out of the tables names all of them. */
static bool has(const char *text, const char *name)
{
	return strstr(text, name) || strstr(text, "wrapped_symbols.def") ||
	       strstr(text, "inline_operations.def");
}

/* What all of them call. */
static bool harness_has(const char *name)
{
	static const char *const files[] = {"tests/unit/shim_harness.c", "tests/unit/shim_ends.c",
	        "tests/unit/shim_end_work.c"};
	bool found = false;

	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]) && !found; i++) {
		char *text = file_text(files[i]);

		assert_non_null(text);
		found = strstr(text, name);
		free(text);
	}
	return found;
}

static void every_row_names_a_test_that_is_there_and_is_about_it(void **state)
{
	for (size_t i = 0; i < surface_count; i++) {
		const struct surface_row *row = &surface[i];
		const char *name = strstr(row->test, ": ");
		char *text = test_text(row->test);

		if (!text) {
			fail_msg("%s: there is no test %s", row->name, row->test);
			continue;
		}
		if (name && !strstr(text, name + 2))
			fail_msg("%s: there is no %s", row->name, row->test);
		if (row->class != UNUSED && !has(text, row->name) && !harness_has(row->name))
			fail_msg("%s: %s is not about it", row->name, row->test);
		free(text);
	}
}

/* ---- the document ---- */

static char *made_document(const char *document)
{
	char *text = surface_text(), *made = text ? surface_replaced(document, text) : NULL;

	free(text);
	return made;
}

static void the_table_in_the_document_is_this_one(void **state)
{
	char *document = file_text(document_path), *made;

	assert_non_null(document);
	made = made_document(document);
	assert_non_null(made);
	if (strcmp(document, made))
		fail_msg("%s is not up to date: make surface-table", document_path);
	free(document);
	free(made);
}

static int write_document(void)
{
	char *document = file_text(document_path);
	char *made = document ? made_document(document) : NULL;
	FILE *out = made ? fopen(document_path, "we") : NULL;
	int failed = !out || fputs(made, out) < 0;

	failed |= out && fclose(out);
	free(document);
	free(made);
	return failed;
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(every_symbol_is_named_once),
	        cmocka_unit_test(no_symbol_is_made_up),
	        cmocka_unit_test(the_library_defines_what_is_named_and_nothing_else),
	        cmocka_unit_test(every_slot_is_named_once),
	        cmocka_unit_test(what_is_wrapped_is_filled),
	        cmocka_unit_test(what_is_not_wrapped_has_a_reason),
	        cmocka_unit_test(every_row_names_a_test_that_is_there_and_is_about_it),
	        cmocka_unit_test(the_table_in_the_document_is_this_one),
	};

	if (argc > 1 && !strcmp(argv[1], "--write"))
		return write_document();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
