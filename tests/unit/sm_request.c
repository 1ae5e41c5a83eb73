/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* Requests read strictly: what is taken, and what is a bad request. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "notifier/base/cleanup.h"
#include "notifier/wire/versions.h"
#include "sm-side/plugin/sm_answer.h"
#include "sm-side/plugin/sm_request.h"

static enum refusal read_line(const char *line, struct sm_request *request)
{
	struct json_object *id;
	const char *text;
	enum refusal refused;
	char spoken[1 << 16];

	sm_request_clear(request); /* the one before */
	if (!strncmp(line, "{\"", 2)) {
		snprintf(spoken, sizeof(spoken), "{\"protocol\":%d,%s",
		        TETHER__PROTOCOL__PROTOCOL_VERSION, line + 1);
		line = spoken;
	}
	refused = sm_request_read(line, strlen(line), &id, request, &text);
	json_object_put(id);
	if (refused)
		assert_non_null(text);
	return refused;
}

#define PLAN_BUT                                                                                   \
	"{\"op\":\"plan\",\"vm_port_guid\":\"0x1\",\"to_switch_guid\":\"0x2\",\"to_switch_port\":" \
	"5,"

#define APPLY "{\"op\":\"apply\",\"hash\":\"00000000000000aa\",\"migration\":1"

#define GUIDS "\"vm_port_guid\":\"0x1\",\"other_port_guid\":\"0x2\""

#define REPORT "{\"op\":\"report\",\"signal\":1,\"migration\":1,\"epoch\":1"

static void each_op_is_read_with_its_members(void **state)
{
	struct sm_request r = {0};

	assert_int_equal(read_line("{\"op\":\"hello\"}", &r), REFUSAL_NONE);
	assert_int_equal(r.op, SM_HELLO);
	assert_int_equal(read_line("{\"id\":1,\"op\":\"status\"}", &r), REFUSAL_NONE);
	assert_int_equal(r.op, SM_STATUS);
	assert_int_equal(read_line("{\"op\":\"locate\",\"port_guid\":\"0x10\"}", &r), REFUSAL_NONE);
	assert_int_equal(r.port_guid, 0x10);
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
	assert_int_equal(
	        read_line("{\"op\":\"verify\",\"hash\":\"00000000deadbeef\"}", &r), REFUSAL_NONE);
	assert_int_equal(r.op, SM_VERIFY);
	assert_int_equal(read_line("{\"op\":\"undo\",\"migration\":1,\"vm_port_guid\":\"0x1\","
	                           "\"to_switch_guid\":\"0x2\",\"to_switch_port\":3}",
	                         &r),
	        REFUSAL_NONE);
	assert_false(r.has_hash);
	sm_request_clear(&r);
}

static void a_plan_has_a_place_and_a_manner(void **state)
{
	struct sm_request r = {0};

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

static void a_lease_has_a_migration_and_times(void **state)
{
	struct sm_request r = {0};

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
	sm_request_clear(&r);
}

static void an_alias_is_led_from_one_lid_to_another(void **state)
{
	struct sm_request r = {0};

	assert_int_equal(
	        read_line("{\"op\":\"move_alias\",\"from_lid\":1,\"to_lid\":49151," GUIDS "}", &r),
	        REFUSAL_NONE);
	assert_int_equal(r.op, SM_MOVE_ALIAS);
	assert_int_equal(r.from_lid, 1);
	assert_int_equal(r.to_lid, 49151);
	assert_int_equal(r.alias, 1);
	assert_int_equal(r.other_alias, 2);
	sm_request_clear(&r);
}

static void paths_are_asked_for_by_lids(void **state)
{
	struct sm_request request = {0};

	assert_int_equal(read_line(APPLY ",\"peers\":[9,49151]}", &request), REFUSAL_NONE);
	assert_int_equal(request.peer_count, 2);
	assert_int_equal(request.peers[1], 49151);
	assert_int_equal(read_line(APPLY "}", &request), REFUSAL_NONE);
	assert_null(request.peers);
	sm_request_clear(&request);
}

static void a_report_names_servers_and_their_numbers(void **state)
{
	struct sm_request r = {0};

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
	sm_request_clear(&r);
}

struct bad_line {
	const char *what, *line;
};

static void refuse_each(const struct bad_line *rows, size_t count)
{
	struct sm_request r = {0};

	for (size_t i = 0; i < count; i++)
		if (read_line(rows[i].line, &r) != REFUSAL_BAD_REQUEST)
			fail_msg("taken: %s", rows[i].what);
	sm_request_clear(&r);
}

static void a_line_that_is_no_request_is_a_bad_one(void **state)
{
	static const struct bad_line rows[] = {
	        {"empty", ""},
	        {"not JSON", "status"},
	        {"not an object", "[\"status\"]"},
	        {"cut off", "{\"op\":\"status\""},
	        {"something behind it", "{\"op\":\"status\"} {}"},
	        {"no op", "{\"id\":1}"},
	        {"op of no text", "{\"op\":7}"},
	        {"unknown op", "{\"op\":\"swap\"}"},
	};

	refuse_each(rows, ARRAY_SIZE(rows));
}

static void a_bad_guid_is_a_bad_request(void **state)
{
	static const struct bad_line rows[] = {
	        {"no GUID", "{\"op\":\"locate\"}"},
	        {"GUID of no digits", "{\"op\":\"locate\",\"port_guid\":\"0xyz\"}"},
	        {"GUID too long", "{\"op\":\"locate\",\"port_guid\":\"0x11111111111111111\"}"},
	        {"GUID as number", "{\"op\":\"locate\",\"port_guid\":17}"},
	};

	refuse_each(rows, ARRAY_SIZE(rows));
}

static void a_bad_move_is_a_bad_request(void **state)
{
	static const struct bad_line rows[] = {
	        {"port beyond a byte", "{\"op\":\"plan\",\"vm_port_guid\":\"0x1\","
	                               "\"to_switch_guid\":\"0x2\",\"to_switch_port\":256}"},
	        {"negative port", "{\"op\":\"plan\",\"vm_port_guid\":\"0x1\","
	                          "\"to_switch_guid\":\"0x2\",\"to_switch_port\":-1}"},
	        {"node GUID of the wrong type",
	                "{\"op\":\"plan\",\"vm_port_guid\":\"0x1\",\"vm_node_guid\":1,"
	                "\"to_switch_guid\":\"0x2\",\"to_switch_port\":1}"},
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
	};

	refuse_each(rows, ARRAY_SIZE(rows));
}

static void a_bad_manner_is_a_bad_request(void **state)
{
	static const struct bad_line rows[] = {
	        {"unknown reach", PLAN_BUT "\"reach\":\"far\"}"},
	        {"reach of no text", PLAN_BUT "\"reach\":1}"},
	        {"no such service level", PLAN_BUT "\"sl\":16}"},
	        {"service level of no number", PLAN_BUT "\"sl\":\"1\"}"},
	        {"unknown order", "{\"op\":\"plan\",\"order\":\"slow\",\"vm_port_guid\":\"0x1\","
	                          "\"to_switch_guid\":\"0x2\",\"to_switch_port\":1}"},
	};

	refuse_each(rows, ARRAY_SIZE(rows));
}

static void a_bad_lease_is_a_bad_request(void **state)
{
	static const struct bad_line rows[] = {
	        {"no time", "{\"op\":\"lease\",\"migration\":1}"},
	        {"time of 0", "{\"op\":\"lease\",\"migration\":1,\"ms\":0}"},
	        {"time too long", "{\"op\":\"lease\",\"migration\":1,\"ms\":10001}"},
	        {"wait too long", "{\"op\":\"lease\",\"migration\":1,\"ms\":1,\"wait_ms\":10001}"},
	        {"a sweep or none", "{\"op\":\"release_lease\",\"migration\":1,\"sweep\":1}"},
	};

	refuse_each(rows, ARRAY_SIZE(rows));
}

static void a_bad_migration_is_a_bad_request(void **state)
{
	static const struct bad_line rows[] = {
	        {"no migration", "{\"op\":\"lease\",\"ms\":1}"},
	        {"empty migration", "{\"op\":\"lease\",\"migration\":\"\",\"ms\":1}"},
	        {"negative migration", "{\"op\":\"lease\",\"migration\":-1,\"ms\":1}"},
	        {"migration of a list", "{\"op\":\"lease\",\"migration\":[1],\"ms\":1}"},
	        {"migration too long",
	                "{\"op\":\"lease\",\"ms\":1,\"migration\":\""
	                "0123456789012345678901234567890123456789012345678901234567890123\"}"},
	};

	refuse_each(rows, ARRAY_SIZE(rows));
}

static void a_bad_peer_is_a_bad_request(void **state)
{
	static const struct bad_line rows[] = {
	        {"peers of no list", APPLY ",\"peers\":7}"},
	        {"peer of LID 0", APPLY ",\"peers\":[0]}"},
	        {"peer of multicast", APPLY ",\"peers\":[1,49152]}"},
	        {"peer of no number", APPLY ",\"peers\":[\"1\"]}"},
	};

	refuse_each(rows, ARRAY_SIZE(rows));
}

static void a_bad_alias_is_a_bad_request(void **state)
{
	static const struct bad_line rows[] = {
	        {"from no LID", "{\"op\":\"move_alias\",\"to_lid\":2," GUIDS "}"},
	        {"from LID 0", "{\"op\":\"move_alias\",\"from_lid\":0,\"to_lid\":2," GUIDS "}"},
	        {"to no LID", "{\"op\":\"move_alias\",\"from_lid\":1," GUIDS "}"},
	        {"to a LID of multicast",
	                "{\"op\":\"move_alias\",\"from_lid\":1,\"to_lid\":49152," GUIDS "}"},
	        {"no GUID of the VM", "{\"op\":\"move_alias\",\"from_lid\":1,\"to_lid\":2,"
	                              "\"other_port_guid\":\"0x2\"}"},
	        {"no GUID in exchange", "{\"op\":\"move_alias\",\"from_lid\":1,\"to_lid\":2,"
	                                "\"vm_port_guid\":\"0x1\"}"},
	};

	refuse_each(rows, ARRAY_SIZE(rows));
}

static void many_ports_are_named_by_guid_or_lid(void **state)
{
	static const char *const bad[] = {"{\"op\":\"locate_all\"}",
	        "{\"op\":\"locate_all\",\"ports\":5}", "{\"op\":\"locate_all\",\"ports\":[0]}",
	        "{\"op\":\"locate_all\",\"ports\":[\"0x0\"]}",
	        "{\"op\":\"locate_all\",\"ports\":[7,\"x\"]}",
	        "{\"op\":\"locate_all\",\"ports\":[49152]}",
	        "{\"op\":\"locate_all\",\"ports\":[{}]}"};
	struct sm_request r = {0};

	assert_int_equal(
	        read_line("{\"op\":\"locate_all\",\"ports\":[\"0x10\",7]}", &r), REFUSAL_NONE);
	assert_int_equal(r.wanted_count, 2);
	assert_int_equal(r.wanted[0].port_guid, 0x10);
	assert_int_equal(r.wanted[1].port_guid, 0);
	assert_int_equal(r.wanted[1].lid, 7);
	assert_int_equal(read_line("{\"op\":\"locate_all\",\"ports\":[]}", &r), REFUSAL_NONE);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(read_line(bad[i], &r), REFUSAL_BAD_REQUEST);
	sm_request_clear(&r);
}

static void a_bad_report_is_a_bad_request(void **state)
{
	static const struct bad_line rows[] = {
	        {"report to nobody", REPORT "}"},
	        {"report to no list", REPORT ",\"to\":5}"},
	        {"report to no server", REPORT ",\"to\":[5]}"},
	        {"report without a LID", REPORT ",\"to\":[{\"sequence\":1}]}"},
	        {"report to LID 0", REPORT ",\"to\":[{\"lid\":0,\"sequence\":1}]}"},
	        {"report without a number", REPORT ",\"to\":[{\"lid\":1}]}"},
	        {"report of no start", "{\"op\":\"report\",\"migration\":1,\"epoch\":1,\"to\":[]}"},
	};

	refuse_each(rows, ARRAY_SIZE(rows));
}

static void a_bad_hash_is_a_bad_request(void **state)
{
	static const struct bad_line rows[] = {
	        {"lease of no plan", "{\"op\":\"lease\",\"migration\":1,\"ms\":1,\"hash\":\"x\"}"},
	        {"no hash", "{\"op\":\"apply\",\"migration\":1}"},
	        {"hash too short", "{\"op\":\"apply\",\"migration\":1,\"hash\":\"12\"}"},
	        {"hash of no digits",
	                "{\"op\":\"apply\",\"migration\":1,\"hash\":\"0x00000000000012\"}"},
	};

	refuse_each(rows, ARRAY_SIZE(rows));
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

static void what_is_spoken_is_looked_at(void **state)
{
	static const struct {
		const char *pretended, *line, *text;
		enum refusal refused;
	} rows[] = {
	        {"7", "{\"op\":\"status\",\"protocol\":6}", NULL, REFUSAL_NONE},
	        {"7", "{\"op\":\"status\",\"protocol\":7}", NULL, REFUSAL_NONE},
	        {"7", "{\"op\":\"status\",\"protocol\":8}",
	                "tether-smd speaks version 8 of the protocol, libosmtether.so versions 6 "
	                "to "
	                "7: they may be one version apart, so the older has to be replaced",
	                REFUSAL_VERSION},
	        {"7", "{\"op\":\"status\",\"protocol\":\"6\"}", NULL, REFUSAL_VERSION},
	        {"8", "{\"op\":\"status\",\"protocol\":8}", NULL, REFUSAL_NONE},
	        /* One that does not say it is from before that was said. */
	        {"7", "{\"op\":\"status\"}",
	                "tether-smd speaks version 5 of the protocol, libosmtether.so versions 6 "
	                "to "
	                "7: they may be one version apart, so the older has to be replaced",
	                REFUSAL_VERSION},
	        {"6", "{\"op\":\"status\"}", NULL, REFUSAL_VERSION},
	        {"6", "{\"op\":\"hello\"}", NULL, REFUSAL_NONE},
	        {"7", "{\"op\":\"hello\"}", NULL, REFUSAL_NONE},
	        {"6", "{\"op\":\"status\",\"protocol\":7}", NULL, REFUSAL_VERSION},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct sm_request r;
		struct json_object *id;
		const char *text;

		versions_pretend(rows[i].pretended);
		assert_int_equal(
		        sm_request_read(rows[i].line, strlen(rows[i].line), &id, &r, &text),
		        rows[i].refused);
		if (rows[i].text)
			assert_string_equal(text, rows[i].text);
		sm_request_clear(&r);
	}
	versions_pretend("7");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(each_op_is_read_with_its_members),
	        cmocka_unit_test(what_is_spoken_is_looked_at),
	        cmocka_unit_test(a_plan_has_a_place_and_a_manner),
	        cmocka_unit_test(several_moves_are_read_from_a_list),
	        cmocka_unit_test(a_lease_has_a_migration_and_times),
	        cmocka_unit_test(an_alias_is_led_from_one_lid_to_another),
	        cmocka_unit_test(paths_are_asked_for_by_lids),
	        cmocka_unit_test(a_report_names_servers_and_their_numbers),
	        cmocka_unit_test(a_line_that_is_no_request_is_a_bad_one),
	        cmocka_unit_test(a_bad_guid_is_a_bad_request),
	        cmocka_unit_test(a_bad_move_is_a_bad_request),
	        cmocka_unit_test(a_bad_manner_is_a_bad_request),
	        cmocka_unit_test(a_bad_lease_is_a_bad_request),
	        cmocka_unit_test(a_bad_migration_is_a_bad_request),
	        cmocka_unit_test(a_bad_peer_is_a_bad_request),
	        cmocka_unit_test(a_bad_alias_is_a_bad_request),
	        cmocka_unit_test(many_ports_are_named_by_guid_or_lid),
	        cmocka_unit_test(a_bad_report_is_a_bad_request),
	        cmocka_unit_test(a_bad_hash_is_a_bad_request),
	        cmocka_unit_test(the_id_is_echoed_also_when_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
