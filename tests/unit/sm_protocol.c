/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* Requests read strictly, answers with the members that DESIGN.md promises. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "notifier/base/cleanup.h"
#include "sm-side/sm_answer.h"
#include "sm-side/sm_request.h"

static enum refusal read_line(const char *line, struct sm_request *request)
{
	struct json_object *id;
	const char *text;
	enum refusal refused;

	sm_request_clear(request); /* the one before */
	refused = sm_request_read(line, strlen(line), &id, request, &text);
	json_object_put(id);
	if (refused)
		assert_non_null(text);
	return refused;
}

#define PLAN_BUT                                                                                   \
	"{\"op\":\"plan\",\"vm_port_guid\":\"0x1\",\"to_switch_guid\":\"0x2\",\"to_switch_port\":" \
	"5,"

#define REPORT "{\"op\":\"report\",\"signal\":1,\"migration\":1,\"epoch\":1"

static void each_op_is_read_with_its_members(void **state)
{
	struct sm_request r = {0};

	assert_int_equal(read_line("{\"id\":1,\"op\":\"status\"}", &r), REFUSAL_NONE);
	assert_int_equal(r.op, SM_STATUS);
	assert_int_equal(read_line("{\"op\":\"locate\",\"port_guid\":\"0x10\"}", &r), REFUSAL_NONE);
	assert_int_equal(r.port_guid, 0x10);
	assert_int_equal(read_line("{\"op\":\"plan\",\"vm_port_guid\":\"0xffffffffffffffff\","
	                           "\"to_switch_guid\":\"0x2\",\"to_switch_port\":5}",
	                         &r),
	        REFUSAL_NONE);
	assert_true(r.moves[0].vm_port_guid == UINT64_MAX);
	assert_int_equal(r.moves[0].to.switch_guid, 2);
	assert_int_equal(r.moves[0].to.port, 5);
	assert_int_equal(r.moves[0].vm_node_guid, 0);
	assert_int_equal(r.reach, PLAN_DETERMINISTIC);
	assert_false(r.has_sl);
	assert_int_equal(read_line(PLAN_BUT "\"reach\":\"minimum\",\"sl\":15}", &r), REFUSAL_NONE);
	assert_int_equal(r.reach, PLAN_MINIMUM);
	assert_true(r.has_sl);
	assert_int_equal(r.sl, 15);
	assert_int_equal(
	        read_line("{\"op\":\"lease\",\"migration\":18,\"ms\":2000}", &r), REFUSAL_NONE);
	assert_string_equal(r.migration, "18");
	assert_false(r.has_hash);
	assert_int_equal(r.ms, 2000);
	assert_int_equal(r.wait_ms, 2000);
	assert_int_equal(
	        read_line("{\"op\":\"lease\",\"migration\":\"m\",\"ms\":1,\"wait_ms\":0}", &r),
	        REFUSAL_NONE);
	assert_string_equal(r.migration, "m");
	assert_int_equal(r.wait_ms, 0);
	assert_int_equal(read_line("{\"op\":\"lease\",\"migration\":1,\"ms\":1,"
	                           "\"hash\":\"00000000deadbeef\"}",
	                         &r),
	        REFUSAL_NONE);
	assert_true(r.has_hash);
	assert_int_equal(read_line("{\"op\":\"release_lease\",\"migration\":1}", &r), REFUSAL_NONE);
	assert_false(r.wants_sweep);
	assert_int_equal(read_line("{\"op\":\"release_lease\",\"migration\":1,\"sweep\":true}", &r),
	        REFUSAL_NONE);
	assert_true(r.wants_sweep);
	assert_int_equal(
	        read_line("{\"op\":\"apply\",\"migration\":1,\"hash\":\"00000000deadbeef\"}", &r),
	        REFUSAL_NONE);
	assert_true(r.has_hash);
	assert_int_equal(r.hash, 0xdeadbeef);
	assert_int_equal(read_line("{\"op\":\"undo\",\"migration\":1,\"vm_port_guid\":\"0x1\","
	                           "\"to_switch_guid\":\"0x2\",\"to_switch_port\":3}",
	                         &r),
	        REFUSAL_NONE);
	assert_false(r.has_hash);
	sm_request_clear(&r);
}

static void several_moves_are_read_from_a_list(void **state)
{
	struct sm_request r = {0};

	assert_int_equal(
	        read_line("{\"op\":\"plan\",\"order\":\"consistent\",\"reach\":\"minimum\","
	                  "\"changes\":false,\"moves\":["
	                  "{\"vm_port_guid\":\"0x1\",\"to_switch_guid\":\"0x2\","
	                  "\"to_switch_port\":3,\"other_in_use\":true},"
	                  "{\"kind\":\"create\",\"vm_port_guid\":\"0x5\","
	                  "\"vm_node_guid\":\"0x4\",\"to_switch_guid\":\"0x2\","
	                  "\"to_switch_port\":4,\"lid\":49151},"
	                  "{\"kind\":\"destroy\",\"vm_port_guid\":\"0x7\"}]}",
	                &r),
	        REFUSAL_NONE);
	assert_int_equal(r.order, PLAN_CONSISTENT);
	assert_int_equal(r.reach, PLAN_MINIMUM);
	assert_false(r.wants_changes);
	assert_int_equal(r.move_count, 3);
	assert_int_equal(r.moves[0].kind, MOVE_SWAP);
	assert_true(r.moves[0].other_in_use);
	assert_int_equal(r.moves[0].to.port, 3);
	assert_int_equal(r.moves[1].kind, VM_CREATE);
	assert_int_equal(r.moves[1].vm_node_guid, 4);
	assert_int_equal(r.moves[1].lid, 49151);
	assert_int_equal(r.moves[2].kind, VM_DESTROY);
	assert_int_equal(r.moves[2].vm_port_guid, 7);
	assert_int_equal(r.moves[2].to.switch_guid, 0);
	sm_request_clear(&r);
}

static void a_report_names_servers_and_their_numbers(void **state)
{
	struct sm_request r = {0};
	struct json_object *answer = sm_answer(NULL, REFUSAL_NONE, NULL), *list;

	assert_int_equal(
	        read_line("{\"op\":\"report\",\"signal\":1700000000000000,\"migration\":7,"
	                  "\"epoch\":8,"
	                  "\"to\":[{\"lid\":5,\"sequence\":1},{\"lid\":49151,\"sequence\":9}]}",
	                &r),
	        REFUSAL_NONE);
	assert_int_equal(r.notice_count, 2);
	assert_int_equal(r.notices[1].lid, 49151);
	assert_int_equal(r.notices[1].sequence, 9);
	assert_true(r.notices[0].signal == 1700000000000000);
	assert_int_equal(r.notices[0].migration, 7);
	assert_int_equal(r.notices[0].epoch, 8);
	sm_answer_unheard(answer, r.notices, 2, (bool[]){true, false});
	list = json_object_object_get(answer, "unheard");
	assert_int_equal(json_object_array_length(list), 1);
	assert_int_equal(json_object_get_int(json_object_array_get_idx(list, 0)), 49151);
	json_object_put(answer);
	sm_request_clear(&r);
}

static void what_is_not_as_it_should_be_is_a_bad_request(void **state)
{
	static const struct {
		const char *what, *line;
	} rows[] = {
	        {"empty", ""},
	        {"not JSON", "status"},
	        {"not an object", "[\"status\"]"},
	        {"cut off", "{\"op\":\"status\""},
	        {"something behind it", "{\"op\":\"status\"} {}"},
	        {"no op", "{\"id\":1}"},
	        {"op of no text", "{\"op\":7}"},
	        {"unknown op", "{\"op\":\"swap\"}"},
	        {"no GUID", "{\"op\":\"locate\"}"},
	        {"GUID of no digits", "{\"op\":\"locate\",\"port_guid\":\"0xyz\"}"},
	        {"GUID too long", "{\"op\":\"locate\",\"port_guid\":\"0x11111111111111111\"}"},
	        {"GUID as number", "{\"op\":\"locate\",\"port_guid\":17}"},
	        {"port beyond a byte", "{\"op\":\"plan\",\"vm_port_guid\":\"0x1\","
	                               "\"to_switch_guid\":\"0x2\",\"to_switch_port\":256}"},
	        {"negative port", "{\"op\":\"plan\",\"vm_port_guid\":\"0x1\","
	                          "\"to_switch_guid\":\"0x2\",\"to_switch_port\":-1}"},
	        {"node GUID of the wrong type",
	                "{\"op\":\"plan\",\"vm_port_guid\":\"0x1\",\"vm_node_guid\":1,"
	                "\"to_switch_guid\":\"0x2\",\"to_switch_port\":1}"},
	        {"unknown reach", PLAN_BUT "\"reach\":\"far\"}"},
	        {"reach of no text", PLAN_BUT "\"reach\":1}"},
	        {"no such service level", PLAN_BUT "\"sl\":16}"},
	        {"service level of no number", PLAN_BUT "\"sl\":\"1\"}"},
	        {"moves of no list", "{\"op\":\"plan\",\"moves\":{}}"},
	        {"no moves", "{\"op\":\"plan\",\"moves\":[]}"},
	        {"move of no object", "{\"op\":\"plan\",\"moves\":[null]}"},
	        {"second move without place",
	                "{\"op\":\"plan\",\"moves\":[{\"vm_port_guid\":\"0x1\","
	                "\"to_switch_guid\":\"0x2\",\"to_switch_port\":1},"
	                "{\"vm_port_guid\":\"0x1\"}]}"},
	        {"unknown kind", "{\"op\":\"plan\",\"kind\":\"clone\",\"vm_port_guid\":\"0x1\","
	                         "\"to_switch_guid\":\"0x2\",\"to_switch_port\":1}"},
	        {"LID of multicast",
	                "{\"op\":\"plan\",\"kind\":\"create\",\"vm_port_guid\":\"0x1\","
	                "\"to_switch_guid\":\"0x2\",\"to_switch_port\":1,\"lid\":49152}"},
	        {"unknown order", "{\"op\":\"plan\",\"order\":\"slow\",\"vm_port_guid\":\"0x1\","
	                          "\"to_switch_guid\":\"0x2\",\"to_switch_port\":1}"},
	        {"no time", "{\"op\":\"lease\",\"migration\":1}"},
	        {"time of 0", "{\"op\":\"lease\",\"migration\":1,\"ms\":0}"},
	        {"time too long", "{\"op\":\"lease\",\"migration\":1,\"ms\":10001}"},
	        {"wait too long", "{\"op\":\"lease\",\"migration\":1,\"ms\":1,\"wait_ms\":10001}"},
	        {"a sweep or none", "{\"op\":\"release_lease\",\"migration\":1,\"sweep\":1}"},
	        {"no migration", "{\"op\":\"lease\",\"ms\":1}"},
	        {"lease of no plan", "{\"op\":\"lease\",\"migration\":1,\"ms\":1,\"hash\":\"x\"}"},
	        {"empty migration", "{\"op\":\"lease\",\"migration\":\"\",\"ms\":1}"},
	        {"negative migration", "{\"op\":\"lease\",\"migration\":-1,\"ms\":1}"},
	        {"migration of a list", "{\"op\":\"lease\",\"migration\":[1],\"ms\":1}"},
	        {"migration too long",
	                "{\"op\":\"lease\",\"ms\":1,\"migration\":\""
	                "0123456789012345678901234567890123456789012345678901234567890123\"}"},
	        {"report to nobody", REPORT "}"},
	        {"report to no list", REPORT ",\"to\":5}"},
	        {"report to no server", REPORT ",\"to\":[5]}"},
	        {"report without a LID", REPORT ",\"to\":[{\"sequence\":1}]}"},
	        {"report to LID 0", REPORT ",\"to\":[{\"lid\":0,\"sequence\":1}]}"},
	        {"report without a number", REPORT ",\"to\":[{\"lid\":1}]}"},
	        {"report of no start", "{\"op\":\"report\",\"migration\":1,\"epoch\":1,\"to\":[]}"},
	        {"no hash", "{\"op\":\"apply\",\"migration\":1}"},
	        {"hash too short", "{\"op\":\"apply\",\"migration\":1,\"hash\":\"12\"}"},
	        {"hash of no digits",
	                "{\"op\":\"apply\",\"migration\":1,\"hash\":\"0x00000000000012\"}"},
	};
	struct sm_request r = {0};

	for (unsigned i = 0; i < ARRAY_SIZE(rows); i++)
		if (read_line(rows[i].line, &r) != REFUSAL_BAD_REQUEST)
			fail_msg("taken: %s", rows[i].what);
	sm_request_clear(&r);
}

static void the_id_is_echoed_also_when_refused(void **state)
{
	static const char line[] = "{\"id\":\"a7\",\"op\":\"nothing\"}";
	struct json_object *id, *answer;
	struct sm_request r;
	const char *text;

	assert_int_equal(sm_request_read(line, strlen(line), &id, &r, &text), REFUSAL_BAD_REQUEST);
	answer = sm_answer(id, REFUSAL_BAD_REQUEST, text);
	assert_string_equal(json_object_get_string(json_object_object_get(answer, "id")), "a7");
	assert_false(json_object_get_boolean(json_object_object_get(answer, "ok")));
	assert_string_equal(
	        json_object_get_string(json_object_object_get(answer, "reason")), "bad-request");
	json_object_put(answer);
}

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

#define APPLY "{\"op\":\"apply\",\"hash\":\"00000000000000aa\",\"migration\":1"

static void paths_are_asked_for_by_lids_and_answered_in_rows(void **state)
{
	static const char *const wrong[] = {APPLY ",\"peers\":7}", APPLY ",\"peers\":[0]}",
	        APPLY ",\"peers\":[1,49152]}", APPLY ",\"peers\":[\"1\"]}"};
	struct plan_path paths[2] = {{7, 9, 4, 3}, {7, 10, 0, 0}};
	struct json_object *answer = sm_answer(NULL, REFUSAL_NONE, NULL), *list, *row;
	struct sm_request request = {0};
	uint8_t sl = 5;

	assert_int_equal(read_line(APPLY ",\"peers\":[9,49151]}", &request), REFUSAL_NONE);
	assert_int_equal(request.peer_count, 2);
	assert_int_equal(request.peers[1], 49151);
	assert_int_equal(read_line(APPLY "}", &request), REFUSAL_NONE);
	assert_null(request.peers);
	for (unsigned i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_int_equal(read_line(wrong[i], &request), REFUSAL_BAD_REQUEST);
	sm_request_clear(&request);
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
	        cmocka_unit_test(each_op_is_read_with_its_members),
	        cmocka_unit_test(several_moves_are_read_from_a_list),
	        cmocka_unit_test(a_report_names_servers_and_their_numbers),
	        cmocka_unit_test(what_is_not_as_it_should_be_is_a_bad_request),
	        cmocka_unit_test(the_id_is_echoed_also_when_refused),
	        cmocka_unit_test(paths_are_asked_for_by_lids_and_answered_in_rows),
	        cmocka_unit_test(a_refusal_says_what_it_is_about),
	        cmocka_unit_test(a_plan_is_written_out_in_full),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
