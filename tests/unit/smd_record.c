/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* Records become cells and cells records; what the SM plans becomes entries. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "notifier/base/cleanup.h"
#include "sm-side/json_read.h"
#include "sm-side/journal/plan_evidence.h"

/* Every column has a value of its own, so that two that are mixed up are seen. */
static void fill(enum record_kind kind, struct cell *cells, char texts[][GID_TEXT_BYTES])
{
	unsigned count = record_shape(kind).columns;

	for (unsigned i = 0; i < count; i++) {
		enum cell_type type = record_column_type(kind, i);
		const char *name = record_column_name(kind, i);

		cells[i] = (struct cell){.type = type, .integer = i + 1};
		if (type == CELL_INTEGER)
			continue;
		if (strstr(name, "guid") || strstr(name, "switch"))
			guid_format(i + 100, texts[i]);
		else if (!strcmp(name, "gid"))
			gid_format((const uint8_t[16]){0xfe, (uint8_t)i}, texts[i]);
		else if (!strcmp(name, "state") || !strcmp(name, "outcome"))
			snprintf(texts[i], GID_TEXT_BYTES, "%s", migration_state_name(STATE_DONE));
		else
			snprintf(texts[i], GID_TEXT_BYTES, "text %u", i);
		cells[i].at = texts[i];
		cells[i].length = strlen(texts[i]);
	}
}

static bool is_bool(const char *name)
{
	static const char *const names[] = {"fabric", "shared_port", "dynamic", "force", "reattach",
	        "called", "given_up", "vacated", "aborted", "ended", "destroys", "touched", "gone",
	        "told", "located"};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (!strcmp(name, names[i]))
			return true;
	return false;
}

static void fill_bools(enum record_kind kind, struct cell *cells)
{
	for (unsigned i = 0; i < record_shape(kind).columns; i++)
		if (is_bool(record_column_name(kind, i)))
			cells[i].integer = 1;
}

static void each_column_goes_into_its_member_and_back(void **unused)
{
	for (int kind = 0; kind < RECORD_KIND_COUNT; kind++) {
		struct cell cells[RECORD_CELLS_MAX], back[RECORD_CELLS_MAX];
		char texts[RECORD_CELLS_MAX][GID_TEXT_BYTES];
		unsigned count = record_shape(kind).columns;
		struct record record;

		assert_true(count && count <= RECORD_CELLS_MAX);
		fill(kind, cells, texts);
		fill_bools(kind, cells);
		assert_int_equal(record_from_cells(kind, cells, &record), 0);
		assert_int_equal(record_to_cells(&record, back), 0);
		for (unsigned i = 0; i < count; i++) {
			assert_int_equal(back[i].type, cells[i].type);
			assert_int_equal(back[i].length, cells[i].length);
			if (cells[i].type == CELL_INTEGER)
				assert_int_equal(back[i].integer, cells[i].integer);
			else
				assert_memory_equal(back[i].at, cells[i].at, cells[i].length);
		}
		assert_int_equal(record_sum(kind, back), record_sum(kind, cells));
	}
}

static void the_sum_is_over_every_cell_and_the_table(void **unused)
{
	for (int kind = 0; kind < RECORD_KIND_COUNT; kind++) {
		struct cell cells[RECORD_CELLS_MAX];
		char texts[RECORD_CELLS_MAX][GID_TEXT_BYTES];
		uint32_t sum;

		fill(kind, cells, texts);
		sum = record_sum(kind, cells);
		for (unsigned i = 0; i < record_shape(kind).columns; i++) {
			cells[i].integer ^= 1;
			texts[i][0] ^= 1;
			assert_int_not_equal(record_sum(kind, cells), sum);
			cells[i].integer ^= 1;
			texts[i][0] ^= 1;
			assert_int_equal(record_sum(kind, cells), sum);
		}
	}
	/* The same cells in another table are another row. */
	{
		struct cell cells[] = {{.type = CELL_INTEGER, .integer = 1},
		        {.type = CELL_BLOB, .at = "x", .length = 1}};

		assert_int_not_equal(
		        record_sum(RECORD_said, cells), record_sum(RECORD_epoch, cells));
	}
}

static struct cell *column(enum record_kind kind, struct cell *cells, const char *name)
{
	for (unsigned i = 0; i < record_shape(kind).columns; i++)
		if (!strcmp(record_column_name(kind, i), name))
			return &cells[i];
	fail();
	return NULL;
}

static void what_does_not_fit_its_member_is_refused(void **unused)
{
	static char longer[200], zero[] = "a\0b";
	static const struct {
		enum record_kind kind;
		const char *column;
		struct cell cell;
	} bad[] = {
	        {RECORD_intent, "id", {.type = CELL_INTEGER, .integer = -1}},
	        {RECORD_intent, "id", {.type = CELL_TEXT, .at = "1", .length = 1}},
	        {RECORD_intent, "vm", {.type = CELL_TEXT, .at = longer, .length = 128}},
	        {RECORD_intent, "vm", {.type = CELL_TEXT, .at = zero, .length = 3}},
	        {RECORD_intent, "vm", {.type = CELL_BLOB, .at = "vm", .length = 2}},
	        {RECORD_intent, "fabric", {.type = CELL_INTEGER, .integer = 2}},
	        {RECORD_intent, "port_guid", {.type = CELL_TEXT, .at = "12", .length = 2}},
	        {RECORD_intent, "gid", {.type = CELL_TEXT, .at = "fe8", .length = 3}},
	        {RECORD_state, "lid", {.type = CELL_INTEGER, .integer = 1LL << 32}},
	        {RECORD_state, "sequence", {.type = CELL_INTEGER, .integer = 1LL << 32}},
	        {RECORD_state, "state", {.type = CELL_TEXT, .at = "nowhere", .length = 7}},
	};

	memset(longer, 'x', sizeof(longer) - 1);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct cell cells[RECORD_CELLS_MAX];
		char texts[RECORD_CELLS_MAX][GID_TEXT_BYTES];
		struct record record;

		fill(bad[i].kind, cells, texts);
		fill_bools(bad[i].kind, cells);
		*column(bad[i].kind, cells, bad[i].column) = bad[i].cell;
		assert_int_equal(record_from_cells(bad[i].kind, cells, &record), -EBADMSG);
	}
}

/* ---- plans ---- */

static struct json_object *change_new(
        const char *guid, unsigned block, const char *before, const char *after)
{
	struct json_object *change = json_object_new_object();
	char bytes[2][129];

	for (int i = 0; i < 2; i++) {
		memset(bytes[i], '0', 128);
		bytes[i][128] = '\0';
		memcpy(bytes[i] + 2 * 9, i ? after : before, strlen(before));
	}
	json_put_text(change, "switch_guid", guid);
	json_put_number(change, "block", block);
	json_put_text(change, "before", bytes[0]);
	json_put_text(change, "after", bytes[1]);
	return change;
}

static struct json_object *plan_new(struct json_object *change)
{
	struct json_object *plan = json_object_new_object();
	struct json_object *changes = json_object_new_array();

	json_put_text(plan, "hash", "00112233");
	json_put_number(plan, "generation", 7);
	json_put_number(plan, "lft_sets", 1);
	json_object_array_add(changes, change);
	json_object_object_add(plan, "changes", changes);
	return plan;
}

static void an_entry_is_what_a_block_changes(void **unused)
{
	static const uint8_t expected[] = {0, 2, 0xc9, 3, 0, 0, 0, 0xff, 0, 0x89, 3, 0xff, 0, 2,
	        0xc9, 3, 0, 0, 0, 0xff, 0, 0x8b, 5, 4};
	struct json_object *answer =
	        plan_new(change_new("0x0002c903000000ff", 2, "030105", "ff0104"));
	struct plan_record plan;
	uint8_t *entries;

	assert_int_equal(plan_evidence_read(answer, &plan, &entries), 0);
	assert_string_equal(plan.hash, "00112233");
	assert_int_equal(plan.generation, 7);
	assert_int_equal(plan.lft_sets, 1);
	assert_string_equal(plan.order, "fast");
	assert_string_equal(plan.reach, "deterministic");
	assert_int_equal(plan.entries.length, sizeof(expected));
	assert_memory_equal(plan.entries.at, expected, sizeof(expected));
	free(entries);
	json_put_text(answer, "order", "consistent");
	json_put_text(answer, "reach", "minimum");
	assert_int_equal(plan_evidence_read(answer, &plan, &entries), 0);
	assert_string_equal(plan.order, "consistent");
	assert_string_equal(plan.reach, "minimum");
	free(entries);
	json_object_put(answer);
}

static void what_is_no_plan_is_refused(void **unused)
{
	struct json_object *answers[] = {plan_new(change_new("0x1", 768, "03", "04")),
	        plan_new(change_new("0x1", 1, "0g", "04")),
	        plan_new(change_new("1", 1, "03", "04")),
	        plan_new(json_object_new_string("change")), json_object_new_object()};

	for (size_t i = 0; i < ARRAY_SIZE(answers); i++) {
		struct plan_record plan;
		uint8_t *entries;

		assert_int_equal(plan_evidence_read(answers[i], &plan, &entries), -EBADMSG);
		json_object_put(answers[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(each_column_goes_into_its_member_and_back),
	        cmocka_unit_test(the_sum_is_over_every_cell_and_the_table),
	        cmocka_unit_test(what_does_not_fit_its_member_is_refused),
	        cmocka_unit_test(an_entry_is_what_a_block_changes),
	        cmocka_unit_test(what_is_no_plan_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
