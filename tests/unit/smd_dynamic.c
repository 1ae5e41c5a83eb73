/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* Migrations between slots with dynamic LIDs: which road they take, what hosts and the SM are
 * asked, and what the SM's answers mean while it has no port of the VM. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "notifier/base/cleanup.h"
#include "sm-side/migration/admission.h"
#include "sm-side/migration/orders.h"
#include "tests/unit/smd_told.h"

static const struct deadlines *const deadlines = &deadlines_default;

static struct migration_intent intent_of(bool fabric)
{
	struct migration_intent intent = intent_between_slots();

	intent.fabric = fabric;
	intent.dynamic = true;
	return intent;
}

static void begin(struct migration *m, bool fabric)
{
	struct migration_intent intent = intent_of(fabric);

	migration_init(m, &intent, deadlines);
	migration_start(m, 1);
}

static void done_until(struct migration *m, enum migration_state state)
{
	for (int i = 0; m->state != state && !migration_ended(m) && i < STATE_COUNT; i++)
		migration_event(m, EVENT_DONE, 1);
	assert_int_equal(m->state, state);
}

/* ---- roads ---- */

/* What is entered from @m's state on, while everybody does what he is asked. */
static void assert_goes_on(
        struct migration *m, const enum migration_state *states, size_t count, const char *what)
{
	for (size_t i = 0; i < count; i++) {
		migration_event(m, EVENT_DONE, 1);
		if (m->state != states[i])
			fail_msg("%s: %s instead of %s", what, migration_state_name(m->state),
			        migration_state_name(states[i]));
	}
}

static void links_follow_the_guids_and_the_sweep_is_waited_for(void **unused)
{
	static const enum migration_state road[] = {STATE_NAMING, STATE_VACATING, STATE_LINKING,
	        STATE_APPLYING, STATE_UNLEASING, STATE_WAKING, STATE_ATTACHING, STATE_REBUILDING};
	struct migration m;

	begin(&m, true);
	done_until(&m, STATE_LEASING);
	assert_goes_on(&m, road, ARRAY_SIZE(road), "the good road");
	migration_clear(&m);
}

static void without_an_sm_no_link_is_ordered(void **unused)
{
	static const enum migration_state road[] = {STATE_ATTACHING, STATE_REBUILDING};
	struct migration m;

	begin(&m, false);
	done_until(&m, STATE_MOVING);
	assert_goes_on(&m, road, ARRAY_SIZE(road), "without an SM");
	migration_clear(&m);
}

/* From @failed: nothing is linked or waited for again that was never taken down. */
static void the_way_back_takes_the_links_back(void **unused)
{
	static const enum migration_state of_leasing[] = {STATE_BACK_UNLEASING, STATE_BACK_MOVING};
	static const enum migration_state of_naming[] = {
	        STATE_BACK_VACATING, STATE_BACK_UNDOING, STATE_BACK_UNLEASING, STATE_BACK_MOVING};
	static const enum migration_state of_vacating[] = {STATE_BACK_NAMING, STATE_BACK_VACATING,
	        STATE_BACK_LINKING, STATE_BACK_UNDOING, STATE_BACK_UNLEASING, STATE_BACK_WAKING,
	        STATE_BACK_MOVING};
	static const struct {
		enum migration_state failed;
		const enum migration_state *road;
		size_t length;
	} rows[] = {
	        {STATE_LEASING, of_leasing, ARRAY_SIZE(of_leasing)},
	        {STATE_NAMING, of_naming, ARRAY_SIZE(of_naming)},
	        {STATE_VACATING, of_vacating, ARRAY_SIZE(of_vacating)},
	        {STATE_LINKING, of_vacating, ARRAY_SIZE(of_vacating)},
	        {STATE_APPLYING, of_vacating, ARRAY_SIZE(of_vacating)},
	        {STATE_ATTACHING, of_vacating, ARRAY_SIZE(of_vacating)},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct migration m;

		begin(&m, true);
		done_until(&m, rows[i].failed);
		migration_event(&m, EVENT_FAILED, 1);
		assert_int_equal(m.state, STATE_BACK_LEASING);
		assert_goes_on(
		        &m, rows[i].road, rows[i].length, migration_state_name(rows[i].failed));
		migration_clear(&m);
	}
}

static void a_sweep_that_does_not_come_leads_back(void **unused)
{
	struct migration m;
	struct migration_output output;

	begin(&m, true);
	done_until(&m, STATE_WAKING);
	output = migration_event(&m, EVENT_BUSY, 1);
	assert_true(output.retry);
	assert_int_equal(output.action, ACTION_WAKE);
	migration_event(&m, EVENT_SM_LOST, 1);
	assert_int_equal(m.state, STATE_WAKING);
	migration_event(&m, EVENT_SM_BACK, 1);
	assert_int_equal(m.state, STATE_WAKING);
	migration_tick(&m, migration_next_us(&m));
	assert_int_equal(m.state, STATE_BACK_LEASING);
	migration_clear(&m);
}

static void who_is_told_errors_waits_for_no_sweep(void **unused)
{
	struct migration m;

	begin(&m, true);
	done_until(&m, STATE_APPLYING);
	migration_event(&m, EVENT_OVERALL, 1);
	done_until(&m, STATE_UNLEASING);
	migration_event(&m, EVENT_DONE, 1);
	assert_int_equal(m.state, STATE_ATTACHING);
	migration_clear(&m);
}

/* The LID is looked at when the port is there. */
static void what_a_sweep_has_done_is_confirmed_by_the_port(void **unused)
{
	struct migration m;

	begin(&m, true);
	done_until(&m, STATE_APPLYING);
	migration_event(&m, EVENT_STALE, 1);
	migration_event(&m, EVENT_ALREADY, 1);
	assert_int_equal(m.state, STATE_UNLEASING);
	migration_event(&m, EVENT_DONE, 1);
	assert_int_equal(m.state, STATE_WAKING);
	migration_event(&m, EVENT_FAILED, 1);
	assert_int_equal(m.state, STATE_ATTACHING);
	assert_true(m.given_up);
	migration_clear(&m);
}

static void after_a_crash_it_is_driven_to_its_end(void **unused)
{
	for (int s = 0; s < STATE_COUNT; s++) {
		enum migration_phase phase = migration_phase(s);
		struct migration_intent intent = intent_of(true);
		struct migration m;

		if (phase != PHASE_FORWARD || s == STATE_LOOKING || s == STATE_LOOKING_THERE)
			continue;
		migration_init(&m, &intent, deadlines);
		migration_recover(&m, s, false, deadlines->overall_ms, 1);
		done_until(&m, STATE_DONE);
		migration_clear(&m);
	}
}

/* ---- hosts ---- */

static void links_are_ordered_with_the_guids(void **unused)
{
	static const struct {
		enum migration_action action;
		const char *host;
		uint64_t port_guid;
		Tether__SlotLink link;
	} rows[] = {
	        {ACTION_NAME_DESTINATION, "hyp2", 0x2001, TETHER__SLOT_LINK__LINK_KEEP},
	        {ACTION_NAME_SOURCE, "hyp1", 0x2002, TETHER__SLOT_LINK__LINK_DOWN},
	        {ACTION_LINK_DESTINATION, "hyp2", 0x2001, TETHER__SLOT_LINK__LINK_UP},
	        {ACTION_NAME_SOURCE_BACK, "hyp1", 0x2001, TETHER__SLOT_LINK__LINK_KEEP},
	        {ACTION_NAME_DESTINATION_BACK, "hyp2", 0x2002, TETHER__SLOT_LINK__LINK_DOWN},
	        {ACTION_LINK_SOURCE_BACK, "hyp1", 0x2001, TETHER__SLOT_LINK__LINK_UP},
	        {ACTION_DETACH, "hyp1", 0, TETHER__SLOT_LINK__LINK_KEEP},
	        {ACTION_ATTACH_VF, "hyp2", 0, TETHER__SLOT_LINK__LINK_KEEP},
	};
	struct migration m;
	struct order order;

	begin(&m, true);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		m.intent.dynamic = true;
		assert_int_equal(order_fill_host(&order, &m, rows[i].action, NULL, 1000), 0);
		assert_string_equal(order.host.host, rows[i].host);
		assert_int_equal(order.host.port_guid, rows[i].port_guid);
		assert_int_equal(order.host.link, rows[i].link);
		m.intent.dynamic = false;
		order_fill_host(&order, &m, rows[i].action, NULL, 1000);
		assert_int_equal(order.host.link, TETHER__SLOT_LINK__LINK_KEEP);
	}
	migration_clear(&m);
}

/* ---- the SM ---- */

static bool asks(const struct migration *m, enum migration_action action, const char *part)
{
	struct json_object *request = sm_talk_request(m, action);
	bool found = strstr(json_object_to_json_string_ext(request, JSON_C_TO_STRING_PLAIN),
	                     part) != NULL;

	json_object_put(request);
	return found;
}

static void a_copy_is_asked_for(void **unused)
{
	struct migration m;

	begin(&m, true);
	assert_true(asks(&m, ACTION_PREPARE, "\"kind\":\"copy\""));
	assert_true(asks(&m, ACTION_PLAN, "\"kind\":\"copy\""));
	assert_true(asks(&m, ACTION_UNDO, "\"kind\":\"copy\""));
	assert_true(asks(&m, ACTION_WAKE, "\"op\":\"locate\""));
	assert_true(asks(&m, ACTION_UNLEASE, "\"sweep\":true"));
	m.intent.dynamic = false;
	assert_false(asks(&m, ACTION_UNLEASE, "sweep"));
	assert_false(asks(&m, ACTION_PLAN, "kind"));
	assert_false(asks(&m, ACTION_UNDO, "kind"));
	migration_clear(&m);
}

static void a_port_that_a_sweep_has_dropped_is_waited_for(void **unused)
{
	static const char unknown[] = "{\"ok\":false,\"reason\":\"unknown-port\"}";
	static const struct {
		enum migration_action action;
		enum migration_event event;
	} rows[] = {
	        {ACTION_PLAN, EVENT_ALREADY},
	        {ACTION_APPLY, EVENT_STALE},
	        {ACTION_UNDO, EVENT_DONE},
	        {ACTION_WAKE, EVENT_BUSY},
	        {ACTION_LOCATE, EVENT_FAILED},
	        {ACTION_PREPARE, EVENT_FAILED},
	};
	struct migration m;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		begin(&m, true);
		assert_int_equal(told(&m, rows[i].action, unknown), rows[i].event);
		assert_int_equal(m.testimony.finding_count, rows[i].event == EVENT_FAILED);
		m.intent.dynamic = false;
		assert_int_equal(told(&m, rows[i].action, unknown), EVENT_FAILED);
		migration_clear(&m);
	}
}

static enum migration_event woken(struct migration *m, unsigned lid, unsigned place, unsigned state)
{
	char text[200];

	snprintf(text, sizeof(text),
	        "{\"ok\":true,\"lid\":%u,\"gid\":\"fe80::1\",\"switch_guid\":\"0x%x\","
	        "\"switch_port\":%u,\"state\":%u}",
	        lid, 0x100 + place, place, state);
	return told(m, ACTION_WAKE, text);
}

static void packets_pass_when_the_port_is_active_where_its_link_came_up(void **unused)
{
	struct migration m;

	begin(&m, true);
	done_until(&m, STATE_WAKING);
	assert_int_equal(woken(&m, 11, 2, 2), EVENT_BUSY);
	assert_int_equal(woken(&m, 11, 1, 4), EVENT_BUSY);
	assert_int_equal(woken(&m, 0, 2, 4), EVENT_BUSY);
	assert_int_equal(woken(&m, 11, 2, 4), EVENT_DONE);
	assert_int_equal(m.testimony.finding_count, 0);
	assert_int_equal(woken(&m, 12, 2, 4), EVENT_FAILED);
	assert_string_equal(m.testimony.findings[0].reason, "lid-changed");
	m.state = STATE_BACK_WAKING;
	assert_int_equal(woken(&m, 11, 2, 4), EVENT_BUSY);
	assert_int_equal(woken(&m, 11, 1, 4), EVENT_DONE);
	migration_clear(&m);
}

/* The SM answers with the PF, whose routes the VM takes. */
static void who_the_sm_names_beside_the_vm_was_in_no_slot(void **unused)
{
	static const char planned[] =
	        "{\"ok\":true,\"hash\":\"h\",\"other\":{\"port_guid\":\"0x9999\"}}";
	struct migration m;

	begin(&m, true);
	assert_int_equal(told(&m, ACTION_PREPARE, planned), EVENT_DONE);
	migration_clear(&m);
}

/* ---- admission ---- */

static void host_says(struct inventory *inventory, const char *host, char *vm, bool is_dynamic)
{
	Tether__HostVm row = TETHER__HOST_VM__INIT, *vms[] = {&row};
	Tether__Slot slot = TETHER__SLOT__INIT, *slots[] = {&slot};

	row.name = vm;
	row.slot = slot.name = (char *)"vf1";
	slot.vm = vm;
	slot.dynamic = is_dynamic;
	assert_int_equal(inventory_take(inventory, host, vms, *vm != 0, slots, 1), 0);
	inventory_host_connected(inventory, host, true);
}

static void only_slots_of_one_kind_take_a_vm_from_each_other(void **unused)
{
	for (int kinds = 0; kinds < 4; kinds++) {
		struct inventory inventory = {0};
		struct migration_intent intent = {0};
		struct admission admission;

		host_says(&inventory, "a", (char *)"vm1", kinds & 1);
		host_says(&inventory, "b", (char *)"", kinds & 2);
		admission = admission_check(&inventory, NULL, "vm1", "b", &intent);
		if (kinds == 0 || kinds == 3) {
			assert_null(admission.reason);
			assert_int_equal(intent.dynamic, kinds == 3);
			assert_string_equal(migration_kind(&intent), kinds ? "copy" : "swap");
		} else {
			assert_string_equal(admission.reason, "endpoint-differs");
		}
		inventory_clear(&inventory);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(links_follow_the_guids_and_the_sweep_is_waited_for),
	        cmocka_unit_test(without_an_sm_no_link_is_ordered),
	        cmocka_unit_test(the_way_back_takes_the_links_back),
	        cmocka_unit_test(a_sweep_that_does_not_come_leads_back),
	        cmocka_unit_test(who_is_told_errors_waits_for_no_sweep),
	        cmocka_unit_test(what_a_sweep_has_done_is_confirmed_by_the_port),
	        cmocka_unit_test(after_a_crash_it_is_driven_to_its_end),
	        cmocka_unit_test(links_are_ordered_with_the_guids),
	        cmocka_unit_test(a_copy_is_asked_for),
	        cmocka_unit_test(a_port_that_a_sweep_has_dropped_is_waited_for),
	        cmocka_unit_test(packets_pass_when_the_port_is_active_where_its_link_came_up),
	        cmocka_unit_test(who_the_sm_names_beside_the_vm_was_in_no_slot),
	        cmocka_unit_test(only_slots_of_one_kind_take_a_vm_from_each_other),
	};

	return cmocka_run_group_tests_name("smd_dynamic", tests, NULL, NULL);
}
