/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* Answers with the members that DESIGN.md promises. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "sm-side/plugin/sm_answer.h"

static int64_t number_of(struct json_object *from, const char *name)
{
	struct json_object *value = NULL;

	assert_true(json_object_object_get_ex(from, name, &value));
	return json_object_get_int64(value);
}

static const char *text_of(struct json_object *from, const char *name)
{
	struct json_object *value = NULL;

	assert_true(json_object_object_get_ex(from, name, &value));
	return json_object_get_string(value);
}

static void paths_are_answered_in_rows(void **state)
{
	struct plan_path paths[2] = {{7, 9, 4, 3}, {7, 10, 0, 0}};
	struct json_object *answer = sm_answer(NULL, REFUSAL_NONE, NULL), *list, *row;
	uint8_t sl = 5;

	sm_answer_paths(answer, paths, 2, NULL);
	list = json_object_object_get(answer, "paths");
	assert_int_equal(json_object_array_length(list), 2);
	row = json_object_array_get_idx(list, 0);
	assert_int_equal(number_of(row, "local_lid"), 7);
	assert_int_equal(number_of(row, "remote_lid"), 9);
	assert_int_equal(number_of(row, "mtu"), 4);
	assert_int_equal(number_of(row, "rate"), 3);
	assert_null(json_object_object_get(row, "sl"));
	sm_answer_paths(answer, paths, 1, &sl);
	row = json_object_array_get_idx(json_object_object_get(answer, "paths"), 0);
	assert_int_equal(number_of(row, "sl"), 5);
	json_object_put(answer);
}

static void servers_that_did_not_hear_are_listed(void **state)
{
	const struct notice notices[] = {{.lid = 5}, {.lid = 49151}};
	struct json_object *answer = sm_answer(NULL, REFUSAL_NONE, NULL), *list;

	sm_answer_unheard(answer, notices, 2, (bool[]){true, false});
	list = json_object_object_get(answer, "unheard");
	assert_int_equal(json_object_array_length(list), 1);
	assert_int_equal(json_object_get_int(json_object_array_get_idx(list, 0)), 49151);
	json_object_put(answer);
}

static void a_refusal_says_what_it_is_about(void **state)
{
	struct view_fault fault = {VIEW_LID_TWICE, 0x10, 0x20, 7, 0}, none = {0};
	struct json_object *answer = sm_answer(NULL, REFUSAL_BAD_VIEW, NULL), *about;

	sm_answer_fault(answer, REFUSAL_BAD_VIEW, &none);
	assert_null(json_object_object_get(answer, "about"));
	assert_string_equal(text_of(answer, "text"), refusal_text(REFUSAL_BAD_VIEW));
	sm_answer_fault(answer, REFUSAL_NONE, &fault);
	assert_null(json_object_object_get(answer, "about"));
	sm_answer_fault(answer, REFUSAL_BAD_VIEW, &fault);
	assert_string_equal(text_of(answer, "text"),
	        "what is known of the subnet contradicts itself: LID 7 is held by "
	        "0x0000000000000010 and by 0x0000000000000020");
	about = json_object_object_get(answer, "about");
	assert_string_equal(text_of(about, "fault"), "lid-twice");
	assert_string_equal(text_of(about, "guid"), "0x0000000000000010");
	assert_string_equal(text_of(about, "other_guid"), "0x0000000000000020");
	assert_int_equal(number_of(about, "lid"), 7);
	assert_null(json_object_object_get(about, "port"));
	json_object_put(answer);
}

static void a_plan_is_written_out_in_full(void **state)
{
	struct plan_change change = {.switch_guid = 0xabc, .block = 3, .wave = 4};
	struct plan_move move = {
	        .vm = {0x11, 0x10, 7},
	        .other = {0x21, 0x20, 9},
	        .from = {0x5, 1},
	        .to = {0x6, 2},
	};
	struct plan plan = {
	        .hash = 0x1f,
	        .generation = UINT64_C(1) << 52,
	        .reach = PLAN_MINIMUM,
	        .move_count = 1,
	        .moves = &move,
	        .counts = {.lft_physical = 1,
	                .lft_vswitch = 2,
	                .pkey = 4,
	                .portinfo = 2,
	                .groups = 1},
	        .order = PLAN_DROP_FIRST,
	        .sets = {.change_count = 1, .changes = &change, .wave_count = 5, .splits = 6},
	};
	struct json_object *answer = sm_answer(NULL, REFUSAL_NONE, NULL), *changes, *row;

	change.before[63] = 0xff;
	change.after[0] = 0x1a;
	sm_answer_plan(answer, &plan, true);
	assert_string_equal(text_of(answer, "hash"), "000000000000001f");
	assert_true(number_of(answer, "generation") == INT64_C(1) << 52);
	assert_int_equal(number_of(json_object_object_get(answer, "vm"), "lid"), 7);
	assert_string_equal(text_of(json_object_object_get(answer, "other"), "node_guid"),
	        "0x0000000000000020");
	assert_int_equal(number_of(json_object_object_get(answer, "to"), "switch_port"), 2);
	assert_string_equal(text_of(answer, "reach"), "minimum");
	assert_int_equal(number_of(answer, "lft_sets"), 3);
	assert_int_equal(number_of(answer, "lft_sets_physical"), 1);
	assert_int_equal(number_of(answer, "lft_sets_vswitch"), 2);
	assert_int_equal(number_of(answer, "pkey_sets"), 4);
	assert_int_equal(number_of(answer, "portinfo_sets"), 2);
	assert_int_equal(number_of(answer, "groups"), 1);
	changes = json_object_object_get(answer, "changes");
	assert_int_equal(json_object_array_length(changes), 1);
	row = json_object_array_get_idx(changes, 0);
	assert_string_equal(text_of(answer, "order"), "drop-first");
	assert_int_equal(number_of(answer, "waves"), 5);
	assert_int_equal(number_of(answer, "splits"), 6);
	assert_int_equal(json_object_array_length(json_object_object_get(answer, "moves")), 1);
	assert_int_equal(number_of(row, "wave"), 4);
	assert_string_equal(text_of(row, "kind"), "physical");
	assert_int_equal(number_of(row, "block"), 3);
	assert_int_equal(strlen(text_of(row, "before")), 128);
	assert_string_equal(text_of(row, "before") + 126, "ff");
	assert_memory_equal(text_of(row, "after"), "1a00", 4);
	json_object_put(answer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(paths_are_answered_in_rows),
	        cmocka_unit_test(servers_that_did_not_hear_are_listed),
	        cmocka_unit_test(a_refusal_says_what_it_is_about),
	        cmocka_unit_test(a_plan_is_written_out_in_full),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
