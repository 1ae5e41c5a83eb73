/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* VMs that are to get or give up a VF: what clients ask, what the SM is asked and what its answers
 * mean, and what comes back from the journal. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "notifier/base/cleanup.h"
#include "sm-side/json_read.h"
#include "sm-side/api/vm_change_json.h"
#include "sm-side/vm_change/vm_talk.h"

static void a_wish_is_read(void **unused)
{
	static const char body[] =
	        "{\"name\":\"vm-7\",\"host\":\"a\",\"slot\":\"a1\",\"lid\":49151,"
	        "\"node_guid\":\"0x1\",\"port_guid\":\"0x2\"}";
	struct vm_wish wish;

	assert_null(vm_wish_read(body, strlen(body), &wish));
	assert_string_equal(wish.name, "vm-7");
	assert_string_equal(wish.host, "a");
	assert_string_equal(wish.slot, "a1");
	assert_int_equal(wish.lid, 49151);
	assert_int_equal(wish.identity.node_guid, 1);
	assert_int_equal(wish.identity.port_guid, 2);
}

static void a_malformed_wish_is_refused(void **unused)
{
	static const char *const bodies[] = {"", "{", "[]", "{}", "{\"name\":\"a\"}",
	        "{\"host\":\"a\"}", "{\"name\":\"a/b\",\"host\":\"a\"}",
	        "{\"name\":\"..\",\"host\":\"a\"}", "{\"name\":\"a\",\"host\":\"\"}",
	        "{\"name\":\"a\",\"host\":7}", "{\"name\":\"a\\u0000\",\"host\":\"a\"}",
	        "{\"name\":\"a\",\"host\":\"a\",\"lid\":0}",
	        "{\"name\":\"a\",\"host\":\"a\",\"lid\":49152}",
	        "{\"name\":\"a\",\"host\":\"a\",\"lid\":1.5}",
	        "{\"name\":\"a\",\"host\":\"a\",\"port_guid\":\"0x1\"}",
	        "{\"name\":\"a\",\"host\":\"a\",\"port_guid\":\"0x1\",\"node_guid\":\"0\"}",
	        ("{\"name\":\"a\",\"host\":\"a\",\"port_guid\":\"0xffffffffffffffff\","
	         "\"node_guid\":\"0x1\"}"),
	        "{\"name\":\"a\",\"host\":\"a\",\"slot\":\"\"}",
	        "{\"name\":\"a\",\"host\":\"a\",\"force\":true}"};
	struct vm_wish wish;

	for (size_t i = 0; i < ARRAY_SIZE(bodies); i++)
		if (!vm_wish_read(bodies[i], strlen(bodies[i]), &wish))
			fail_msg("taken: %s", bodies[i]);
}

/* ---- the SM ---- */

static struct vm_change in(enum change_state state)
{
	struct vm_change_intent intent = {.id = 7,
	        .vm = "vm7",
	        .identity = {5, 6},
	        .own = {8, 9},
	        .place = {.host = "b", .slot = "b1", .switch_guid = 3, .switch_port = 4},
	        .dynamic = true,
	        .fabric = true};
	struct vm_change change;

	vm_change_init(&change, &intent, &deadlines_default);
	change.state = state;
	return change;
}

static void assert_asked(enum change_state state, const char *expected)
{
	struct vm_change change = in(state);
	struct json_object *request = vm_talk_request(&change);

	assert_string_equal(
	        json_object_to_json_string_ext(request, JSON_C_TO_STRING_PLAIN), expected);
	json_object_put(request);
}

static void the_sm_is_asked_for_a_creation_and_an_end(void **unused)
{
	assert_asked(CHANGE_PLANNING,
	        "{\"op\":\"plan\",\"moves\":[{\"kind\":\"create\",\"vm_port_guid\":"
	        "\"0x0000000000000006\",\"vm_node_guid\":\"0x0000000000000005\","
	        "\"to_switch_guid\":\"0x0000000000000003\",\"to_switch_port\":4}],\"changes\":"
	        "false}");
	assert_asked(CHANGE_END_PLANNING,
	        "{\"op\":\"plan\",\"moves\":[{\"kind\":\"destroy\",\"vm_port_"
	        "guid\":\"0x0000000000000006\"}],\"changes\":false}");
	assert_asked(
	        CHANGE_APPLYING, "{\"op\":\"apply\",\"migration\":\"vm-7\",\"hash\":\"none\"}");
	assert_asked(CHANGE_UNLEASING,
	        "{\"op\":\"release_lease\",\"migration\":\"vm-7\",\"sweep\":true}");
	assert_asked(CHANGE_WAKING, "{\"op\":\"locate\",\"port_guid\":\"0x0000000000000006\"}");
}

static enum change_event told(enum change_state state, struct vm_change *change, const char *text)
{
	struct json_object *answer = json_read_whole(text, strlen(text));
	enum change_event event;

	*change = in(state);
	change->lid = 40;
	event = vm_talk_take(change, answer);
	json_object_put(answer);
	return event;
}

#define NO(reason) "{\"ok\":false,\"reason\":\"" reason "\",\"text\":\"as asked\"}"

static void what_the_sm_answers_is_done_refused_or_where_things_stand(void **unused)
{
	static const struct {
		enum change_state state;
		const char *answer;
		enum change_event event;
	} rows[] = {
	        {CHANGE_LEASING, NO("busy"), CHANGE_EVENT_BUSY},
	        {CHANGE_LEASING, NO("not-master"), CHANGE_EVENT_BUSY},
	        {CHANGE_CHECKING, NO("same-place"), CHANGE_EVENT_FAILED},
	        {CHANGE_CHECKING, NO("no-free-lid"), CHANGE_EVENT_FAILED},
	        {CHANGE_PLANNING, NO("same-place"), CHANGE_EVENT_ALREADY},
	        {CHANGE_ASKING, NO("unknown-port"), CHANGE_EVENT_ALREADY},
	        {CHANGE_END_PLANNING, NO("unknown-port"), CHANGE_EVENT_ALREADY},
	        {CHANGE_APPLYING, NO("stale-plan"), CHANGE_EVENT_STALE},
	        {CHANGE_APPLYING, NO("unknown-plan"), CHANGE_EVENT_STALE},
	        {CHANGE_APPLYING, NO("no-lease"), CHANGE_EVENT_LEASE_LOST},
	        {CHANGE_APPLYING, NO("not-acknowledged"), CHANGE_EVENT_FAILED},
	        {CHANGE_APPLYING, "{\"ok\":true,\"verified\":true}", CHANGE_EVENT_DONE},
	        {CHANGE_APPLYING, "{\"ok\":true}", CHANGE_EVENT_FAILED},
	        {CHANGE_WAKING, NO("unknown-port"), CHANGE_EVENT_BUSY},
	        {CHANGE_WAKING, "{\"ok\":true,\"lid\":40,\"state\":2}", CHANGE_EVENT_BUSY},
	        {CHANGE_WAKING, "{\"ok\":true,\"lid\":40,\"state\":4}", CHANGE_EVENT_DONE},
	        {CHANGE_PLANNING, "{\"ok\":true,\"hash\":\"h\",\"moves\":[{\"vm\":{\"lid\":41}}]}",
	                CHANGE_EVENT_DONE},
	        {CHANGE_PLANNING, "{\"ok\":true,\"hash\":\"h\",\"moves\":[7]}",
	                CHANGE_EVENT_FAILED},
	        {CHANGE_PLANNING, "{\"ok\":true,\"moves\":[]}", CHANGE_EVENT_FAILED},
	        {CHANGE_PLANNING, "{}", CHANGE_EVENT_FAILED},
	        {CHANGE_UNLEASING, "{\"ok\":true,\"held\":false}", CHANGE_EVENT_DONE},
	        {CHANGE_FADING, NO("unknown-port"), CHANGE_EVENT_DONE},
	        {CHANGE_FADING, NO("not-master"), CHANGE_EVENT_BUSY},
	        {CHANGE_FADING, "{\"ok\":true,\"lid\":40,\"state\":4}", CHANGE_EVENT_BUSY},
	};
	struct vm_change change;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		if (told(rows[i].state, &change, rows[i].answer) != rows[i].event)
			fail_msg("%s in %s", rows[i].answer, change_state_name(rows[i].state));
		assert_int_equal(!*change.reason, rows[i].event != CHANGE_EVENT_FAILED);
	}
	told(CHANGE_PLANNING, &change,
	        "{\"ok\":true,\"hash\":\"h\",\"moves\":[{\"vm\":{\"lid\":41}}]}");
	assert_int_equal(change.lid, 41);
	assert_int_equal(told(CHANGE_WAKING, &change, "{\"ok\":true,\"lid\":42,\"state\":4}"),
	        CHANGE_EVENT_DONE);
	assert_string_equal(change.reason, "lid-changed");
}

static void the_slot_gets_its_own_guids_when_its_link_goes_down(void **unused)
{
	struct vm_change change = in(CHANGE_LINKING);
	struct order order;

	vm_order_fill(&order, &change, 0);
	assert_int_equal(order.host.action, TETHER__HOST_ACTION__HOST_SET_GUIDS);
	assert_int_equal(order.host.link, TETHER__SLOT_LINK__LINK_UP);
	assert_int_equal(order.host.port_guid, 6);
	change.state = CHANGE_UNLINKING;
	vm_order_fill(&order, &change, 0);
	assert_int_equal(order.host.link, TETHER__SLOT_LINK__LINK_DOWN);
	assert_int_equal(order.host.port_guid, 9);
	assert_int_equal(order.event.sequence, 2);
	change.intent.own = (struct identity){0};
	vm_order_fill(&order, &change, 0);
	assert_int_equal(order.host.port_guid, 6);
}

/* ---- the journal ---- */

static void ended(
        struct vm_changes *changes, struct vm_change_intent intent, enum change_state state)
{
	intent.id = changes->last_id + 1;
	vm_changes_add(changes, &intent)->state = state;
}

static void what_a_vm_owes_is_known_however_long_it_is_there(void **unused)
{
	struct vm_change_intent owing = in(CHANGE_PRESENT).intent, other = owing;
	struct vm_changes changes;
	size_t most;

	vm_changes_init(&changes, &deadlines_default);
	ended(&changes, owing, CHANGE_PRESENT);
	strcpy(other.vm, "left");
	other.own = (struct identity){0};
	ended(&changes, other, CHANGE_LEFT);
	strcpy(other.vm, "others");
	for (int i = 0; i < 1000; i++)
		ended(&changes, other, CHANGE_ABSENT);
	assert_int_equal(vm_changes_own(&changes, owing.vm, owing.identity.port_guid).port_guid, 9);
	assert_int_equal(vm_changes_standing(&changes, "left")->state, CHANGE_LEFT);
	/* And no longer. */
	most = changes.count;
	ended(&changes, owing, CHANGE_ABSENT);
	for (int i = 0; i < 1000; i++)
		ended(&changes, other, CHANGE_ABSENT);
	assert_null(vm_changes_latest(&changes, owing.vm));
	assert_int_equal(changes.count, most);
	vm_changes_clear(&changes);
}

static void what_has_been_comes_back_from_the_journal(void **unused)
{
	struct vm_changes known;
	struct vm_change change = in(CHANGE_APPLYING);
	struct record intent = {RECORD_change, {.change = change.intent}}, state;

	vm_changes_init(&known, &deadlines_default);
	change.lid = 40;
	change.touched = true;
	vm_change_find(&change, "sm", "timeout", "in applying");
	state = vm_change_record(&change);
	assert_int_not_equal(vm_changes_take(&known, &state), 0);
	assert_int_equal(vm_changes_take(&known, &intent), 0);
	assert_int_not_equal(vm_changes_take(&known, &intent), 0);
	assert_int_equal(known.newest->state, CHANGE_CHECKING);
	assert_int_equal(vm_changes_take(&known, &state), 0);
	assert_int_equal(known.newest->state, CHANGE_APPLYING);
	assert_int_equal(known.newest->lid, 40);
	assert_true(known.newest->touched);
	assert_string_equal(known.newest->reason, "timeout");
	assert_int_equal(known.last_id, 7);
	strcpy(state.value.change_state.state, "nowhere");
	assert_int_not_equal(vm_changes_take(&known, &state), 0);
	vm_changes_clear(&known);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(a_wish_is_read),
	        cmocka_unit_test(a_malformed_wish_is_refused),
	        cmocka_unit_test(the_sm_is_asked_for_a_creation_and_an_end),
	        cmocka_unit_test(what_the_sm_answers_is_done_refused_or_where_things_stand),
	        cmocka_unit_test(the_slot_gets_its_own_guids_when_its_link_goes_down),
	        cmocka_unit_test(what_a_vm_owes_is_known_however_long_it_is_there),
	        cmocka_unit_test(what_has_been_comes_back_from_the_journal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
