/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* What a migration sends to shims, hosts and the SM, and what the SM's answers do to it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "notifier/base/cleanup.h"
#include "notifier/wire/rows.h"
#include "sm-side/migration/needs.h"
#include "sm-side/migration/orders.h"
#include "sm-side/migration/sm_paths.h"
#include "tests/unit/smd_told.h"

static struct migration begun(enum migration_state state)
{
	struct migration_intent intent = intent_between_slots();
	struct migration m;

	migration_init(&m, &intent, &deadlines_default);
	migration_start(&m, 1000);
	for (int i = 0; m.state != state && i < STATE_COUNT; i++)
		migration_event(&m, EVENT_DONE, 1000);
	assert_int_equal(m.state, state);
	return m;
}

/* ---- the tree ---- */

static void every_step_of_the_tree_has_its_event(void **unused)
{
	struct migration m = begun(STATE_STOPPING);
	struct order order;

	for (int a = ACTION_NOTHING + 1; a < ACTION_COUNT; a++) {
		bool tree = migration_action_parties(a) & PARTY_TREE;
		bool host = migration_action_parties(a) & PARTY_HOST && a != ACTION_LOOK;
		uint32_t before = m.sequence;

		assert_int_equal(order_fill_step(&order, &m, a, 2000), tree ? 0 : -2);
		if (tree) {
			assert_int_equal(order.event.sequence, before + 1);
			assert_int_equal(order.event.migration, 7);
			assert_int_equal(order.event.epoch, 3);
			assert_true(order.event.to_vm);
		}
		assert_int_equal(order_fill_host(&order, &m, a, NULL, 2000), host ? 0 : -2);
		assert_int_equal(m.sequence, before + tree + host);
	}
	migration_clear(&m);
}

/* Up to the commit whoever cannot do what it takes refuses; the end is everybody's to hear. */
static void what_is_needed_is_said_to_whom_it_is_asked_of(void **unused)
{
	static const struct {
		enum migration_action action;
		bool asks;
	} rows[] = {
	        {ACTION_PREPARE, true},
	        {ACTION_STOP, true},
	        {ACTION_SETTLE, true},
	        {ACTION_ABORT, false},
	        {ACTION_RELEASE, false},
	        {ACTION_RECONNECT, false},
	        {ACTION_RESUME, false},
	        {ACTION_ERROR, false},
	};
	struct migration m = begun(STATE_STOPPING);
	struct order order;

	needs_at_least(6);
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		assert_int_equal(order_fill_step(&order, &m, rows[i].action, 2000), 0);
		assert_int_equal(order.event.needs, rows[i].asks ? 6 : 0);
	}
	assert_int_equal(order_fill_host(&order, &m, ACTION_PREPARE, NULL, 2000), 0);
	assert_int_equal(order.event.needs, 6);
	m.committed = true;
	order_fill_step(&order, &m, ACTION_SETTLE, 2000);
	assert_int_equal(order.event.needs, 0);
	needs_at_least(0);
	migration_clear(&m);
}

static void an_event_says_how_much_time_is_left(void **unused)
{
	struct migration m = begun(STATE_STOPPING);
	struct order order;

	order_fill_step(&order, &m, ACTION_STOP, 1000 + 2000000);
	assert_int_equal(order.event.deadline_ms, deadlines_default.stop_ms - 2000);
	assert_int_equal(order.event.overall_ms, deadlines_default.overall_ms - 2000);
	assert_int_equal(order.event.lease_ms, deadlines_default.lease_ms);
	migration_clear(&m);
}

static void each_slot_gets_the_guids_that_belong_there(void **unused)
{
	static const struct {
		enum migration_action action;
		const char *host, *slot;
		uint64_t port_guid;
	} rows[] = {
	        {ACTION_NAME_DESTINATION, "hyp2", "vf2", 0x2001},
	        {ACTION_NAME_SOURCE, "hyp1", "vf1", 0x2002},
	        {ACTION_NAME_SOURCE_BACK, "hyp1", "vf1", 0x2001},
	        {ACTION_NAME_DESTINATION_BACK, "hyp2", "vf2", 0x2002},
	};
	struct migration m = begun(STATE_NAMING);
	struct order order;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		assert_int_equal(order_fill_host(&order, &m, rows[i].action, NULL, 1000), 0);
		assert_string_equal(order.host.host, rows[i].host);
		assert_string_equal(order.host.slot, rows[i].slot);
		assert_int_equal(order.host.port_guid, rows[i].port_guid);
		assert_int_equal(order.host.node_guid, rows[i].port_guid - 0x1000);
	}
	migration_clear(&m);
}

/* What starts behind such an order waits for RESUME, which a migration that was given up sends no
 * more. */
static void who_brings_the_vf_says_whether_resume_follows(void **unused)
{
	struct migration m = begun(STATE_DETACHING);
	struct order order;

	for (int a = ACTION_NOTHING + 1; a < ACTION_COUNT; a++) {
		bool brings = a == ACTION_ATTACH_VF || a == ACTION_GIVE_BACK;

		m.given_up = false;
		if (order_fill_host(&order, &m, a, NULL, 2000))
			continue;
		assert_int_equal(order.host.resume_follows, brings);
		assert_false(order.host.alone);
		m.given_up = true;
		assert_int_equal(order_fill_host(&order, &m, a, NULL, 2000), 0);
		assert_false(order.host.resume_follows);
		assert_true(order.host.alone);
	}
	migration_clear(&m);
}

static void memory_goes_there_and_back(void **unused)
{
	struct migration m = begun(STATE_MOVING);
	struct order order;

	order_fill_host(&order, &m, ACTION_MOVE_MEMORY, NULL, 1000);
	assert_string_equal(order.host.host, "hyp1");
	assert_string_equal(order.host.peer_host, "hyp2");
	order_fill_host(&order, &m, ACTION_MOVE_MEMORY_BACK, NULL, 1000);
	assert_string_equal(order.host.host, "hyp2");
	assert_string_equal(order.host.peer_host, "hyp1");
	migration_clear(&m);
}

/* ---- the SM ---- */

static const char *asked(const struct migration *m, enum migration_action action)
{
	static char text[512];
	struct json_object *request = sm_talk_request(m, action);

	snprintf(text, sizeof(text), "%s",
	        request ? json_object_to_json_string_ext(request, JSON_C_TO_STRING_PLAIN) : "");
	json_object_put(request);
	return text;
}

static void the_sm_is_asked_as_the_plugin_understands(void **unused)
{
	struct migration m = begun(STATE_APPLYING);

	strcpy(m.plan_hash[0], "abc");
	assert_string_equal(asked(&m, ACTION_LOCATE),
	        "{\"op\":\"locate\",\"port_guid\":\"0x0000000000002001\"}");
	assert_string_equal(asked(&m, ACTION_PLAN),
	        "{\"op\":\"plan\",\"vm_port_guid\":\"0x0000000000002001\",\"to_switch_guid\":"
	        "\"0x0000000000000102\",\"to_switch_port\":2,\"vm_node_guid\":"
	        "\"0x0000000000001001\"}");
	assert_string_equal(asked(&m, ACTION_LEASE),
	        "{\"op\":\"lease\",\"migration\":7,\"ms\":6000,\"wait_ms\":2000,\"hash\":\"abc\"}");
	assert_string_equal(
	        asked(&m, ACTION_APPLY), "{\"op\":\"apply\",\"migration\":7,\"hash\":\"abc\"}");
	assert_string_equal(asked(&m, ACTION_UNDO),
	        "{\"op\":\"undo\",\"migration\":7,\"vm_port_guid\":\"0x0000000000002001\","
	        "\"to_switch_guid\":\"0x0000000000000101\",\"to_switch_port\":1,\"hash\":\"abc\"}");
	assert_string_equal(
	        asked(&m, ACTION_UNLEASE), "{\"op\":\"release_lease\",\"migration\":7}");
	assert_string_equal(asked(&m, ACTION_STOP), "");
	migration_clear(&m);
}

static void queue_pairs_of(struct migration *m, const uint32_t (*lids)[2], size_t count)
{
	for (size_t i = 0; i < count; i++)
		qp_rows_append(&m->testimony.qps,
		        &(struct qp_row){.local_lid = lids[i][0], .remote_lid = lids[i][1]});
}

static void paths_are_asked_for_to_each_peer_once(void **unused)
{
	static const uint32_t lids[][2] = {
	        {11, 20}, {20, 11}, {11, 20}, {30, 11}, {11, 0}, {11, 0xc000}, {5, 6}, {11, 11}};
	struct migration m = begun(STATE_APPLYING);

	strcpy(m.plan_hash[0], "abc");
	queue_pairs_of(&m, lids, ARRAY_SIZE(lids));
	assert_string_equal(asked(&m, ACTION_APPLY),
	        "{\"op\":\"apply\",\"migration\":7,\"hash\":\"abc\",\"peers\":[20,30]}");
	assert_non_null(strstr(asked(&m, ACTION_UNDO), ",\"peers\":[20,30]"));
	migration_clear(&m);
}

static void assert_path(const Tether__PathRows *paths, size_t index, struct path_row expected)
{
	struct path_row row = path_rows_get(paths, index);

	assert_memory_equal(&row, &expected, sizeof(row));
}

static void paths_that_the_sm_answers_reach_reconnect_in_both_directions(void **unused)
{
	struct migration m = begun(STATE_APPLYING);
	struct order order;
	size_t count;

	told(&m, ACTION_APPLY,
	        "{\"ok\":true,\"verified\":true,\"paths\":["
	        "{\"local_lid\":11,\"remote_lid\":20,\"mtu\":4,\"rate\":3},"
	        "{\"local_lid\":11,\"remote_lid\":30,\"mtu\":5,\"rate\":7,\"sl\":6},"
	        "{\"local_lid\":12,\"remote_lid\":30,\"mtu\":5,\"rate\":7},"
	        "{\"local_lid\":11,\"remote_lid\":40,\"mtu\":6,\"rate\":7},"
	        "{\"local_lid\":11,\"remote_lid\":40,\"mtu\":5,\"rate\":7,\"sl\":16},"
	        "{\"local_lid\":11,\"remote_lid\":65536,\"mtu\":5,\"rate\":7},7]}");
	order_fill_step(&order, &m, ACTION_RESUME, 1000);
	assert_null(order.event.paths);
	order_fill_step(&order, &m, ACTION_RECONNECT, 1000);
	assert_non_null(order.event.paths);
	assert_int_equal(path_rows_count(order.event.paths, &count), 0);
	assert_int_equal(count, 4);
	assert_path(order.event.paths, 0, (struct path_row){11, 20, SM_PATHS_SL_AS_BEFORE, 4, 3});
	assert_path(order.event.paths, 1, (struct path_row){20, 11, SM_PATHS_SL_AS_BEFORE, 4, 3});
	assert_path(order.event.paths, 2, (struct path_row){11, 30, 6, 5, 7});
	assert_path(order.event.paths, 3, (struct path_row){30, 11, 6, 5, 7});
	told(&m, ACTION_UNDO, "{\"ok\":true,\"verified\":true}");
	order_fill_step(&order, &m, ACTION_RECONNECT, 1000);
	assert_null(order.event.paths);
	migration_clear(&m);
}

static void the_sms_answers_mean_what_they_say(void **unused)
{
	static const struct {
		const char *what;
		enum migration_action action;
		const char *answer;
		enum migration_event event;
	} rows[] = {
	        {"lease granted", ACTION_LEASE, "{\"ok\":true,\"ms\":2000}", EVENT_DONE},
	        {"in a sweep", ACTION_LEASE, "{\"ok\":false,\"reason\":\"busy\"}", EVENT_BUSY},
	        {"not the master yet", ACTION_LEASE, "{\"ok\":false,\"reason\":\"not-master\"}",
	                EVENT_BUSY},
	        {"told to end", ACTION_LEASE, "{\"ok\":false,\"reason\":\"shutting-down\"}",
	                EVENT_SM_LOST},
	        {"told to end", ACTION_APPLY, "{\"ok\":false,\"reason\":\"shutting-down\"}",
	                EVENT_SM_LOST},
	        {"planned", ACTION_PLAN, "{\"ok\":true,\"hash\":\"h\"}", EVENT_DONE},
	        {"planned without a hash", ACTION_PLAN, "{\"ok\":true}", EVENT_FAILED},
	        {"there by a sweep", ACTION_PLAN, "{\"ok\":false,\"reason\":\"same-place\"}",
	                EVENT_ALREADY},
	        {"applied", ACTION_APPLY, "{\"ok\":true,\"verified\":true,\"lft_sets\":3}",
	                EVENT_DONE},
	        {"applied, not verified", ACTION_APPLY, "{\"ok\":true,\"verified\":false}",
	                EVENT_FAILED},
	        {"stale", ACTION_APPLY, "{\"ok\":false,\"reason\":\"stale-plan\"}", EVENT_STALE},
	        {"restarted", ACTION_APPLY, "{\"ok\":false,\"reason\":\"unknown-plan\"}",
	                EVENT_STALE},
	        {"lease ran out", ACTION_APPLY, "{\"ok\":false,\"reason\":\"no-lease\"}",
	                EVENT_SM_BACK},
	        {"undone by a sweep", ACTION_UNDO, "{\"ok\":false,\"reason\":\"same-place\"}",
	                EVENT_DONE},
	        {"nonsense", ACTION_APPLY, "{\"ok\":1}", EVENT_FAILED},
	        {"refused without a name", ACTION_APPLY, "{\"ok\":false}", EVENT_FAILED},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct migration m = begun(STATE_APPLYING);
		enum migration_event event = told(&m, rows[i].action, rows[i].answer);

		if (event != rows[i].event)
			fail_msg("%s: %s", rows[i].what, migration_event_name(event));
		if (event == EVENT_FAILED)
			assert_string_equal(m.testimony.findings[0].who, "sm");
		migration_clear(&m);
	}
}

/* Where there is no lease, a move of an alias is the first that one hears who has been started. */
static void between_shared_ports_an_sm_that_is_no_master_yet_is_asked_again(void **unused)
{
	static const enum migration_action actions[] = {ACTION_APPLY, ACTION_UNDO};

	for (size_t i = 0; i < ARRAY_SIZE(actions); i++) {
		struct migration m = begun(STATE_APPLYING);

		m.intent.shared_port = true;
		assert_int_equal(told(&m, actions[i], "{\"ok\":false,\"reason\":\"not-master\"}"),
		        EVENT_BUSY);
		assert_int_equal(m.testimony.finding_count, 0);
		assert_int_equal(
		        migration_lookup(i ? STATE_BACK_UNDOING : STATE_APPLYING, EVENT_BUSY).how,
		        HOW_RETRY);
		m.intent.shared_port = false;
		assert_int_equal(told(&m, actions[i], "{\"ok\":false,\"reason\":\"not-master\"}"),
		        EVENT_FAILED);
		migration_clear(&m);
	}
}

#define LOCATED                                                                                    \
	"{\"ok\":true,\"lid\":11,\"gid\":\"fe80::1\",\"switch_guid\":\"0x101\",\"switch_port\":%"  \
	"s}"

static void an_sm_that_is_told_to_end_refuses_what_has_not_begun(void **unused)
{
	struct migration m = begun(STATE_LOCATING);

	assert_int_equal(told(&m, ACTION_LOCATE, "{\"ok\":false,\"reason\":\"shutting-down\"}"),
	        EVENT_FAILED);
	assert_string_equal(m.testimony.findings[0].reason, "shutting-down");
	migration_clear(&m);
}

static void a_vm_elsewhere_than_its_host_says_is_refused(void **unused)
{
	struct migration m = begun(STATE_LOCATING);
	char text[200];

	snprintf(text, sizeof(text), LOCATED, "9");
	assert_int_equal(told(&m, ACTION_LOCATE, text), EVENT_FAILED);
	assert_string_equal(m.testimony.findings[0].reason, "place-differs");
	snprintf(text, sizeof(text), LOCATED, "1");
	assert_int_equal(told(&m, ACTION_LOCATE, text), EVENT_DONE);
	assert_int_equal(m.intent.address.lid, 11);
	assert_int_equal(m.intent.address.gid[0], 0xfe);
	assert_int_equal(told(&m, ACTION_LOCATE, "{\"ok\":true,\"lid\":70000}"), EVENT_FAILED);
	migration_clear(&m);
}

static void a_changed_lid_is_found_after_the_move(void **unused)
{
	struct migration m = begun(STATE_APPLYING);
	char text[200];

	snprintf(text, sizeof(text), LOCATED, "9");
	assert_int_equal(told(&m, ACTION_LOCATE, text), EVENT_DONE);
	m.intent.address.lid = 12;
	assert_int_equal(told(&m, ACTION_LOCATE, text), EVENT_FAILED);
	assert_string_equal(m.testimony.findings[0].reason, "lid-changed");
	assert_int_equal(m.intent.address.lid, 12);
	migration_clear(&m);
}

static void another_guid_at_the_slot_is_refused_before_the_commit(void **unused)
{
	static const char planned[] =
	        "{\"ok\":true,\"hash\":\"h\",\"other\":{\"port_guid\":\"0x9999\"}}";
	struct migration m = begun(STATE_PREPARING);

	assert_int_equal(told(&m, ACTION_PREPARE, planned), EVENT_FAILED);
	migration_clear(&m);
	m = begun(STATE_APPLYING);
	assert_int_equal(told(&m, ACTION_PLAN, planned), EVENT_DONE);
	migration_clear(&m);
}

static void what_a_sweep_takes_back_is_not_done_without_saying_so(void **unused)
{
	struct migration m = begun(STATE_PREPARING);

	assert_int_equal(
	        told(&m, ACTION_PREPARE, "{\"ok\":true,\"hash\":\"h\",\"stability\":\"stable\"}"),
	        EVENT_DONE);
	assert_int_equal(m.testimony.finding_count, 0);
	assert_int_equal(
	        told(&m, ACTION_PREPARE,
	                "{\"ok\":true,\"hash\":\"h\",\"stability\":\"reverted-by-sweep\"}"),
	        EVENT_DONE);
	assert_string_equal(m.testimony.findings[0].reason, "reverted-by-sweep");
	migration_clear(&m);
}

static void counts_of_apply_and_undo_add_up(void **unused)
{
	struct migration m = begun(STATE_APPLYING);

	told(&m, ACTION_APPLY, "{\"ok\":true,\"verified\":true,\"lft_sets\":3,\"resent\":1}");
	told(&m, ACTION_UNDO, "{\"ok\":true,\"verified\":true,\"lft_sets\":4}");
	assert_int_equal(m.counts.lft_sets, 7);
	assert_int_equal(m.counts.resent, 1);
	migration_clear(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(every_step_of_the_tree_has_its_event),
	        cmocka_unit_test(what_is_needed_is_said_to_whom_it_is_asked_of),
	        cmocka_unit_test(an_event_says_how_much_time_is_left),
	        cmocka_unit_test(each_slot_gets_the_guids_that_belong_there),
	        cmocka_unit_test(who_brings_the_vf_says_whether_resume_follows),
	        cmocka_unit_test(memory_goes_there_and_back),
	        cmocka_unit_test(the_sm_is_asked_as_the_plugin_understands),
	        cmocka_unit_test(paths_are_asked_for_to_each_peer_once),
	        cmocka_unit_test(paths_that_the_sm_answers_reach_reconnect_in_both_directions),
	        cmocka_unit_test(the_sms_answers_mean_what_they_say),
	        cmocka_unit_test(between_shared_ports_an_sm_that_is_no_master_yet_is_asked_again),
	        cmocka_unit_test(an_sm_that_is_told_to_end_refuses_what_has_not_begun),
	        cmocka_unit_test(a_vm_elsewhere_than_its_host_says_is_refused),
	        cmocka_unit_test(a_changed_lid_is_found_after_the_move),
	        cmocka_unit_test(another_guid_at_the_slot_is_refused_before_the_commit),
	        cmocka_unit_test(what_a_sweep_takes_back_is_not_done_without_saying_so),
	        cmocka_unit_test(counts_of_apply_and_undo_add_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
