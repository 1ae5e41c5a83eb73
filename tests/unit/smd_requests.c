/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* What clients ask of plans and evacuations: malformed requests are refused and keep nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "notifier/base/cleanup.h"
#include "sm-side/api/evacuation_json.h"
#include "sm-side/conductor/evacuation_record.h"
#include "sm-side/json_read.h"
#include "sm-side/api/plan_json.h"

static void a_wish_to_evacuate_is_read(void **unused)
{
	static const char body[] = "{\"host\":\"hyp1\",\"to\":[\"hyp2\",\"hyp3\"],\"force\":true}";
	static const char plain[] = "{\"host\":\"hyp1\"}";
	struct evacuation_wish wish;

	assert_null(evacuation_wish_read(body, strlen(body), &wish));
	assert_string_equal(wish.host, "hyp1");
	assert_int_equal(wish.to_count, 2);
	assert_string_equal(wish.to[1], "hyp3");
	assert_true(wish.force);
	free(wish.to);
	assert_null(evacuation_wish_read(plain, strlen(plain), &wish));
	assert_int_equal(wish.to_count, 0);
	assert_false(wish.force);
	free(wish.to);
}

static void a_malformed_wish_is_refused(void **unused)
{
	static const char *const bodies[] = {"", "{", "[]", "{}", "{\"host\":\"\"}", "{\"host\":7}",
	        "{\"host\":\"a b\"}", "{\"host\":\"a\",\"to\":\"b\"}",
	        "{\"host\":\"a\",\"to\":[7]}", "{\"host\":\"a\",\"to\":[\"b\",\"\"]}",
	        "{\"host\":\"a\",\"to\":[\"b c\"]}", "{\"host\":\"a\",\"to\":[\"b\\u0000\"]}",
	        "{\"host\":\"a\",\"to\":{}}", "{\"host\":\"a\",\"force\":1}",
	        "{\"host\":\"a\",\"vm\":\"b\"}", "{\"to\":[\"b\"]}"};
	struct evacuation_wish wish;

	for (size_t i = 0; i < ARRAY_SIZE(bodies); i++) {
		if (!evacuation_wish_read(bodies[i], strlen(bodies[i]), &wish))
			fail_msg("taken: %s", bodies[i]);
		assert_null(wish.to);
	}
}

static void a_question_for_a_plan_is_read(void **unused)
{
	static const char body[] = "{\"vm\":\"vm1\",\"to\":\"hyp2\",\"order\":\"drop-first\","
	                           "\"reach\":\"minimum\"}";
	struct migration_intent intent = {.identity = {.port_guid = 5, .node_guid = 6},
	        .destination = {.switch_guid = 7, .switch_port = 8}};
	struct plan_question question;
	struct json_object *request;

	assert_null(plan_question_read(body, strlen(body), &question));
	request = plan_request(&intent, &question);
	assert_string_equal(json_read_string(request, "op"), "plan");
	assert_string_equal(json_read_string(request, "order"), "drop-first");
	assert_string_equal(json_read_string(request, "reach"), "minimum");
	assert_string_equal(json_read_string(request, "to_switch_guid"), "0x0000000000000007");
	json_object_put(request);
}

static void a_malformed_question_is_refused(void **unused)
{
	static const char *const bodies[] = {"", "[]", "{}", "{\"vm\":\"a\"}", "{\"to\":\"b\"}",
	        "{\"vm\":1,\"to\":\"b\"}", "{\"vm\":\"a\",\"to\":\"b\",\"order\":\"slow\"}",
	        "{\"vm\":\"a\",\"to\":\"b\",\"reach\":\"\"}",
	        "{\"vm\":\"a\",\"to\":\"b\",\"order\":true}",
	        "{\"vm\":\"a\",\"to\":\"b\",\"force\":\"x\"}"};
	struct plan_question question;

	for (size_t i = 0; i < ARRAY_SIZE(bodies); i++)
		if (!plan_question_read(bodies[i], strlen(bodies[i]), &question))
			fail_msg("taken: %s", bodies[i]);
}

static uint64_t number_of(struct json_object *told, const char *name)
{
	uint64_t number = UINT64_MAX;

	json_read_number(told, name, UINT64_MAX, &number);
	return number;
}

/* A block that is written in two waves is one block. */
static void a_plans_extent_counts_each_block_once(void **unused)
{
	static const char answer_text[] = "{\"ok\":true,\"hash\":\"h\",\"waves\":2,\"splits\":1,"
	                                  "\"vm\":{\"lid\":9},\"changes\":["
	                                  "{\"switch_guid\":\"0x2\",\"block\":1,\"wave\":0},"
	                                  "{\"switch_guid\":\"0x1\",\"block\":1,\"wave\":0},"
	                                  "{\"switch_guid\":\"0x2\",\"block\":0,\"wave\":0},"
	                                  "{\"switch_guid\":\"0x2\",\"block\":1,\"wave\":1}]}";
	struct json_object *answer = json_read_whole(answer_text, strlen(answer_text));
	struct migration_intent intent = {.vm = "vm1"};
	struct plan_question question = {.order = "consistent"};
	struct json_object *told = plan_tell(&intent, &question, answer);

	assert_int_equal(number_of(told, "switches"), 2);
	assert_int_equal(number_of(told, "blocks"), 3);
	assert_int_equal(number_of(told, "waves"), 2);
	assert_int_equal(number_of(told, "splits"), 1);
	assert_int_equal(number_of(told, "lid"), 9);
	assert_string_equal(json_read_string(told, "order"), "consistent");
	assert_string_equal(json_read_string(told, "reach"), "deterministic");
	json_object_put(told);
	json_object_put(answer);
}

static struct evacuation one_evacuation(struct evacuee *vms)
{
	return (struct evacuation){.id = 3,
	        .host = "hyp1",
	        .destinations = (char *)"hyp2 hyp3",
	        .aborted = true,
	        .changes = 5,
	        .vms = vms,
	        .count = 2};
}

static void an_evacuation_comes_back_from_the_journal(void **unused)
{
	struct evacuee vms[] = {{.vm = "vm1", .unwritten = true}, {.vm = "vm2",
	                                                                  .state = EVACUEE_FAILED,
	                                                                  .migration = 9,
	                                                                  .reason = "busy",
	                                                                  .text = "t",
	                                                                  .unwritten = true}};
	struct evacuation one = one_evacuation(vms), *back;
	struct evacuations known = {0};
	struct record *records;
	size_t count;

	assert_int_equal(evacuation_records(&one, true, &records, &count), 0);
	assert_int_equal(count, 3);
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(evacuations_take(&known, &records[i]), 0);
	for (size_t i = 0; i < 3; i++)
		assert_int_not_equal(evacuations_take(&known, &records[i]), 0);
	free(records);
	back = known.newest;
	assert_int_equal(known.last_id, 3);
	assert_int_equal(back->count, 2);
	assert_string_equal(back->vms[1].vm, "vm2");
	assert_int_equal(back->vms[1].state, EVACUEE_FAILED);
	assert_int_equal(back->vms[1].migration, 9);
	assert_string_equal(back->vms[1].reason, "busy");
	assert_string_equal(back->vms[1].text, "t");
	assert_false(back->vms[1].unwritten);
	assert_true(back->changes > one.changes);
	assert_string_equal(back->destinations, "hyp2 hyp3");
	assert_true(back->aborted);
	assert_ptr_equal(evacuations_find_open(&known, "hyp1"), back);
	evacuations_clear(&known);
}

static void only_what_is_new_is_written(void **unused)
{
	struct evacuee vms[] = {{.vm = "vm1", .unwritten = true}, {.vm = "vm2"}};
	struct evacuation one = one_evacuation(vms);
	struct record *records;
	size_t count;

	assert_int_equal(evacuation_records(&one, false, &records, &count), 0);
	assert_int_equal(count, 1);
	assert_int_equal(records[0].kind, RECORD_evacuee);
	assert_string_equal(records[0].value.evacuee.vm, "vm1");
	free(records);
	evacuation_written(&one);
	evacuee_moves(&vms[1], 7);
	assert_int_equal(evacuation_records(&one, false, &records, &count), 0);
	assert_int_equal(count, 1);
	assert_int_equal(records[0].value.evacuee.place, 1);
	assert_int_equal(records[0].value.evacuee.migration, 7);
	free(records);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(a_wish_to_evacuate_is_read),
	        cmocka_unit_test(a_malformed_wish_is_refused),
	        cmocka_unit_test(a_question_for_a_plan_is_read),
	        cmocka_unit_test(a_malformed_question_is_refused),
	        cmocka_unit_test(a_plans_extent_counts_each_block_once),
	        cmocka_unit_test(an_evacuation_comes_back_from_the_journal),
	        cmocka_unit_test(only_what_is_new_is_written),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
