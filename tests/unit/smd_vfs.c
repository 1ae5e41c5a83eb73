/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* Migrations of a VM with several VFs: how long each state and order may take, and what becomes of
 * VFs that a sweep has moved. */
#include <stdio.h>

#include "notifier/base/cleanup.h"
#include "sm-side/plugin/sm_request.h"
#include "tests/unit/smd_several.h"

/* ---- time ---- */

static void each_order_has_the_time_of_one(void **unused)
{
	for (unsigned others = 0; others < MIGRATION_VFS_MAX; others++) {
		unsigned count = 1 + others;
		struct migration m;

		begin(&m, others);
		assert_int_equal(time_of(&m, deadlines.plan_ms), count);
		done_until(&m, STATE_STOPPING);
		assert_int_equal(time_of(&m, deadlines.stop_ms), 1);
		done_until(&m, STATE_DETACHING);
		assert_int_equal(time_of(&m, deadlines.detach_ms), count);
		done_until(&m, STATE_MOVING);
		assert_int_equal(time_of(&m, deadlines.move_ms), 1);
		done_until(&m, STATE_LEASING);
		assert_int_equal(time_of(&m, deadlines.apply_ms), 1);
		done_until(&m, STATE_NAMING);
		assert_int_equal(time_of(&m, deadlines.guids_ms), count);
		done_until(&m, STATE_ATTACHING);
		assert_int_equal(time_of(&m, deadlines.attach_ms), count);
		migration_time_stop(&m);
		migration_time_run(&m, 1);
		assert_int_equal(time_of(&m, deadlines.attach_ms), count);
		migration_event(&m, EVENT_FAILED, 1);
		done_until(&m, STATE_BACK_VACATING);
		assert_int_equal(time_of(&m, deadlines.detach_ms), others ? 2 * count : 1);
		done_until(&m, STATE_BACK_GIVING);
		assert_int_equal(time_of(&m, deadlines.attach_ms), count);
		done_until(&m, STATE_BACK_REBUILDING);
		assert_int_equal(time_of(&m, deadlines.attach_ms), 1);
		migration_clear(&m);
	}
}

/* A driver that hangs has the time of one, and not of those behind it as well. */
static void no_order_has_the_time_of_the_others(void **unused)
{
	unsigned detach_ms, sent_us = 1;
	struct migration m;
	struct order order;

	begin(&m, MIGRATION_VFS_MAX - 1);
	done_until(&m, STATE_PREPARING);
	order_fill_step(&order, &m, ACTION_PREPARE, 1);
	assert_int_equal(order.event.deadline_ms, deadlines.prepare_ms);
	done_until(&m, STATE_DETACHING);
	detach_ms = deadlines.detach_ms;
	for (unsigned i = 0; i < MIGRATION_VFS_MAX; i++) {
		order_fill_host(&order, &m, ACTION_DETACH, NULL, sent_us);
		assert_int_equal(order.event.deadline_ms, detach_ms);
		migration_answered(&m, PARTY_HOST, true, 1);
	}
	migration_event(&m, EVENT_FAILED, 1);
	done_until(&m, STATE_BACK_GIVING);
	sent_us = 1 + (MIGRATION_VFS_MAX * deadlines.attach_ms - 7) * 1000;
	order_fill_host(&order, &m, ACTION_GIVE_BACK, NULL, sent_us);
	assert_int_equal(order.event.deadline_ms, 7);
	migration_clear(&m);
}

static unsigned leased_ms(const struct migration *m)
{
	struct json_object *request = sm_talk_request(m, ACTION_LEASE);
	unsigned ms = 0;

	assert_int_equal(json_read_unsigned(request, "ms", &ms), 0);
	json_object_put(request);
	return ms;
}

static void one_lease_is_for_all_as_long_as_the_plugin_gives_it(void **unused)
{
	struct migration m;

	for (unsigned others = 0; others < MIGRATION_VFS_MAX; others++) {
		begin(&m, others);
		deadlines.sm_lease_ms = SM_LEASE_MS_MAX / MIGRATION_VFS_MAX;
		assert_int_equal(leased_ms(&m), deadlines.sm_lease_ms * (1 + others));
		deadlines.sm_lease_ms = SM_LEASE_MS_MAX;
		assert_int_equal(leased_ms(&m), SM_LEASE_MS_MAX);
		migration_clear(&m);
	}
}

/* ---- a sweep has moved one of two ---- */

static const char unknown[] = "{\"ok\":false,\"reason\":\"unknown-port\"}";
static const char same_place[] = "{\"ok\":false,\"reason\":\"same-place\"}";
static const char planned[] = "{\"ok\":true,\"hash\":\"h\"}";
static const char applied[] = "{\"ok\":true,\"verified\":true}";

static void sm_says(struct migration *m, const char *text)
{
	enum migration_event event = told(m, migration_state_action(m->state), text);

	if (event == EVENT_DONE || event == EVENT_FAILED)
		migration_answered(m, PARTY_SM, event == EVENT_DONE, 1);
	else if (event == EVENT_ALREADY)
		migration_is_there(m, 1);
	else
		migration_event(m, event, 1);
}

static void begin_replanned(struct migration *m, bool dynamic, const char *first)
{
	begin(m, 1);
	m->intent.dynamic = dynamic;
	done_until(m, STATE_APPLYING);
	migration_event(m, EVENT_STALE, 1);
	assert_int_equal(m->state, STATE_REPLANNING);
	sm_says(m, first);
	assert_int_equal(m->state, STATE_REPLANNING);
	sm_says(m, planned);
	assert_int_equal(m->state, STATE_APPLYING);
}

/* With dynamic LIDs, and the sweep has found no link of it. */
static void of_a_port_that_is_dropped_the_others_are_applied(void **unused)
{
	struct migration m;

	begin_replanned(&m, true, unknown);
	sm_says(&m, unknown);
	assert_int_equal(m.state, STATE_APPLYING);
	sm_says(&m, applied);
	assert_int_equal(m.state, STATE_UNLEASING);
	assert_int_equal(m.testimony.finding_count, 0);
	migration_event(&m, EVENT_DONE, 1);
	assert_int_equal(m.state, STATE_WAKING);
	migration_clear(&m);
}

static const char *located(char text[200], unsigned lid)
{
	snprintf(text, 200,
	        "{\"ok\":true,\"lid\":%u,\"gid\":\"fe80::1\",\"switch_guid\":\"0x102\","
	        "\"switch_port\":2}",
	        lid);
	return text;
}

static void of_a_swept_move_the_lid_is_confirmed_when_all_are_there(void **unused)
{
	struct migration m;
	char text[200];

	for (unsigned wrong = 0; wrong < 2; wrong++) {
		begin_replanned(&m, false, same_place);
		sm_says(&m, located(text, 11 + 9 * wrong));
		assert_int_equal(m.state, STATE_APPLYING);
		sm_says(&m, applied);
		assert_int_equal(m.state, STATE_CONFIRMING);
		sm_says(&m, located(text, 11 + 9 * wrong));
		if (!wrong)
			sm_says(&m, located(text, 12));
		assert_int_equal(m.state, STATE_UNLEASING);
		assert_int_equal(m.given_up, wrong);
		assert_int_equal(m.testimony.finding_count, wrong);
		migration_clear(&m);
	}
}

/* ---- who is known to the SM ---- */

static const char *const from_source =
        "{\"ok\":true,\"lid\":11,\"gid\":\"fe80::1\",\"switch_guid\":\"0x101\","
        "\"switch_port\":1}";

/* One that has not swept yet knows none of them; then it is asked again before long. */
static void only_who_knows_one_of_them_has_not_the_other_on_its_subnet(void **unused)
{
	static const struct {
		bool dynamic;
		const char *first, *second, *reason, *slot;
	} rows[] = {
	        {false, unknown, unknown, "unknown-port", ""},
	        {false, unknown, from_source, "several-vfs", "vf1"},
	        {false, from_source, unknown, "several-vfs", "second"},
	        {true, unknown, NULL, "unknown-port", ""},
	        {true, from_source, unknown, "unknown-port", ""},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct migration m;

		begin(&m, 1);
		m.intent.dynamic = rows[i].dynamic;
		strcpy(m.intent.vfs[1].source.slot, "second");
		sm_says(&m, rows[i].first);
		if (rows[i].second) {
			assert_int_equal(m.state, STATE_LOCATING);
			assert_int_equal(m.sm_vf, 1);
			sm_says(&m, rows[i].second);
		}
		assert_int_equal(m.state, STATE_REFUSED);
		assert_int_equal(m.testimony.finding_count, 1);
		assert_string_equal(m.testimony.findings[0].reason, rows[i].reason);
		assert_non_null(strstr(m.testimony.findings[0].text, rows[i].slot));
		migration_clear(&m);
	}
}

/* Another attempt asks all of them again. */
static void what_was_not_known_in_an_attempt_before_does_not_count(void **unused)
{
	struct migration m;

	begin(&m, 1);
	sm_says(&m, unknown);
	m.yields = true;
	sm_says(&m, unknown);
	assert_int_equal(m.state, STATE_LOCATING);
	sm_says(&m, from_source);
	sm_says(&m, from_source);
	assert_int_equal(m.state, STATE_PREPARING);
	migration_clear(&m);
}

/* ---- the table, walked ---- */

/* To its end; false: what was to fail is never asked. */
static bool walk(struct migration *m, const struct failure *failure)
{
	bool failed = false;

	for (int i = 0; !migration_ended(m) && i < 2 * STATE_COUNT; i++) {
		enum migration_state state = m->state;

		for (unsigned party = 1; party <= (PARTY_TREE | PARTY_HOST | PARTY_SM); party <<= 1)
			if (m->state == state && m->awaited & party)
				failed |= party_answers(m, party, failed ? NULL : failure);
	}
	assert_true(migration_ended(m));
	return failed;
}

static enum migration_state end_after(enum migration_state failed)
{
	if (failed == STATE_UNLEASING)
		return STATE_DONE;
	return migration_phase(failed) == PHASE_TRYING ? STATE_REFUSED : STATE_FAILED_AT_SOURCE;
}

static void whoever_fails_for_whichever_vf_all_go_or_stay(void **unused)
{
	unsigned failures = 0;

	for (unsigned s = 0; s < STATE_COUNT * 2 * MIGRATION_VFS_MAX; s++) {
		struct failure failure = {s / (2 * MIGRATION_VFS_MAX),
		        s / MIGRATION_VFS_MAX % 2 ? PARTY_SM : PARTY_HOST, s % MIGRATION_VFS_MAX};
		enum migration_phase phase = migration_phase(failure.state);
		struct migration m;

		if (phase != PHASE_TRYING && phase != PHASE_FORWARD)
			continue;
		begin(&m, MIGRATION_VFS_MAX - 1);
		if (walk(&m, &failure)) {
			failures++;
			assert_int_equal(m.state, end_after(failure.state));
		} else {
			assert_int_equal(m.state, STATE_DONE);
		}
		migration_clear(&m);
	}
	/* LOCATING, PREPARING twice, DETACHING, NAMING, VACATING, APPLYING, ATTACHING of each VF;
	 * MOVING, LEASING, UNLEASING. */
	assert_int_equal(failures, 8 * MIGRATION_VFS_MAX + 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(each_order_has_the_time_of_one),
	        cmocka_unit_test(no_order_has_the_time_of_the_others),
	        cmocka_unit_test(one_lease_is_for_all_as_long_as_the_plugin_gives_it),
	        cmocka_unit_test(of_a_port_that_is_dropped_the_others_are_applied),
	        cmocka_unit_test(of_a_swept_move_the_lid_is_confirmed_when_all_are_there),
	        cmocka_unit_test(only_who_knows_one_of_them_has_not_the_other_on_its_subnet),
	        cmocka_unit_test(what_was_not_known_in_an_attempt_before_does_not_count),
	        cmocka_unit_test(whoever_fails_for_whichever_vf_all_go_or_stay),
	};

	return cmocka_run_group_tests_name("smd_vfs", tests, NULL, NULL);
}
