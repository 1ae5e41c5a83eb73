/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "model/coverage.h"

#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

static const struct work send = {
        .opcode = IBV_WR_SEND, .flags = IBV_SEND_SIGNALED | IBV_SEND_SOLICITED};

static void work_is_noted_for_each_of_its_flags(void **state)
{
	static struct coverage coverage;

	coverage_note(&coverage, &send, true, STOP_RNR, true, FROM_RQ);
	assert_int_equal(coverage.counts[0][FLAG_SIGNALED][STOP_RNR][FROM_COUNT], 1);
	assert_int_equal(coverage.counts[0][FLAG_SOLICITED][STOP_RNR][FROM_COUNT], 1);
	assert_int_equal(coverage.counts[0][FLAG_UNSIGNALED][STOP_RNR][FROM_COUNT], 0);
	assert_int_equal(coverage.counts[0][FLAG_FENCED][STOP_RNR][FROM_COUNT], 0);
}

static void empty_cells_are_those_that_can_be(void **state)
{
	static struct coverage coverage, twice;
	unsigned all = coverage_empty(&coverage);

	assert_in_range(all, 100, OPCODES * FLAGS * STOP_STATES * 6 - 1);
	coverage_note(&coverage, &send, true, STOP_NOT_SENT, false, FROM_RQ);
	assert_int_equal(coverage_empty(&coverage), all - 2);
	assert_int_equal(coverage_impossible(&coverage), 0);
	coverage_note(&coverage, &send, true, STOP_NOT_SENT, false, FROM_RQ);
	assert_int_equal(coverage_empty(&coverage), all - 2);
	/* One that cannot be does not count. */
	coverage_note(&coverage, &send, true, STOP_ANSWER_LOST, false, FROM_RQ);
	assert_int_equal(coverage_empty(&coverage), all - 2);
	assert_int_equal(coverage_impossible(&coverage), 2);
	coverage_add(&twice, &coverage);
	coverage_add(&twice, &coverage);
	assert_int_equal(twice.counts[0][FLAG_SIGNALED][STOP_NOT_SENT][0], 4);
	assert_int_equal(coverage_empty(&twice), all - 2);
}

/* A class is empty until one of its cells is counted, a kind until one of its ways is. */
static void classes_and_kinds_are_counted_apart(void **state)
{
	static struct coverage coverage;
	unsigned classes = coverage_empty_classes(&coverage);
	unsigned kinds = coverage_empty_kinds(&coverage);

	coverage_note(&coverage, &send, true, STOP_NOT_SENT, false, FROM_RQ);
	/* SEND, signalled, solicited, asked by the VM from an RQ. */
	assert_int_equal(coverage_empty_classes(&coverage), classes - 4);
	assert_int_equal(coverage_empty_kinds(&coverage), kinds - 2);
	coverage_note(&coverage, &send, true, STOP_NOT_SENT, true, FROM_RQ);
	assert_int_equal(coverage_empty_classes(&coverage), classes - 5);
	assert_int_equal(coverage_empty_kinds(&coverage), kinds - 2);
}

static void what_cannot_be_has_a_reason(void **state)
{
	assert_string_equal(
	        coverage_unreachable(4, FLAG_INLINE, STOP_NOT_SENT), "brings data, sends none");
	assert_string_equal(coverage_unreachable(2, FLAG_SIGNALED, STOP_RNR), "waits for no RECV");
	assert_null(coverage_unreachable(0, FLAG_SIGNALED, STOP_RNR));
	assert_null(coverage_unreachable(0, FLAG_INLINE, STOP_IN_PART));
	assert_null(coverage_unreachable(5, FLAG_FENCED, STOP_ANSWER_LOST));
}

static void the_table_has_a_row_for_each_opcode_and_flag(void **state)
{
	static struct coverage coverage;
	char *text = NULL, *at;
	unsigned lines = 0;
	size_t size;
	FILE *file = open_memstream(&text, &size);

	coverage_note(&coverage, &send, true, STOP_ANSWER_LOST, false, FROM_RQ);
	coverage_print(&coverage, "# | ", file);
	fclose(file);
	for (at = text; (at = strstr(at, "# | ")); at++)
		lines++;
	assert_in_range(lines, OPCODES * FLAGS + 2, OPCODES * FLAGS + 20);
	assert_non_null(strstr(text, "takes no RECV"));
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(work_is_noted_for_each_of_its_flags),
	        cmocka_unit_test(empty_cells_are_those_that_can_be),
	        cmocka_unit_test(classes_and_kinds_are_counted_apart),
	        cmocka_unit_test(what_cannot_be_has_a_reason),
	        cmocka_unit_test(the_table_has_a_row_for_each_opcode_and_flag),
	};

	return cmocka_run_group_tests_name("model_coverage", tests, NULL, NULL);
}
