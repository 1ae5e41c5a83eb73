/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* Migrations of a VM with several VFs: how long each state may take, who is taken back, and what
 * becomes of VFs that a sweep has moved. */
#include <stdio.h>

#include "notifier/base/cleanup.h"
#include "sm-side/migration/orders.h"
#include "sm-side/plugin/sm_request.h"
#include "tests/unit/smd_told.h"

static struct deadlines deadlines;

static void begin(struct migration *m, unsigned others)
{
	struct migration_intent intent = intent_between_slots();

	deadlines = deadlines_default;
	intent.others = others;
	for (unsigned i = 1; i <= others; i++) {
		intent.vfs[i] = intent.vfs[0];
		intent.vfs[i].address.lid = (uint16_t)(11 + i);
	}
	migration_init(m, &intent, &deadlines);
	migration_start(m, 1);
}

static void done_until(struct migration *m, enum migration_state state)
{
	for (int i = 0; m->state != state && !migration_ended(m) && i < STATE_COUNT; i++)
		migration_event(m, EVENT_DONE, 1);
	assert_int_equal(m->state, state);
}

/* ---- time ---- */

/* In orders, entered by the way that leads there. */
static uint64_t time_of(struct migration *m, unsigned ms)
{
	return (m->timer_us - 1) / ms / 1000;
}

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

/* ---- the way back ---- */

/* Which orders of @m's state @host gets, a letter each: Detach, Guids, all @port_guid. */
static void asked_of(const char *host, uint64_t port_guid, struct migration *m, char *orders)
{
	enum migration_state state = m->state;
	struct order order;

	for (; m->state == state; migration_answered(m, PARTY_HOST, true, 1)) {
		assert_int_equal(
		        order_fill_host(&order, m, migration_state_action(state), NULL, 1), 0);
		assert_string_equal(order.host.host, host);
		if (order.host.action == TETHER__HOST_ACTION__HOST_SET_GUIDS)
			assert_int_equal(order.host.port_guid, port_guid);
		*orders++ = order.host.action == TETHER__HOST_ACTION__HOST_DETACH ? 'D' : 'G';
	}
	*orders = '\0';
}

/* Some drivers fail where there is no such device. */
static void who_was_never_attached_is_not_detached(void **unused)
{
	static const struct {
		unsigned attached; /* done; the next one has failed */
		bool called;
		const char *orders;
	} rows[] = {
	        {0, false, "DGGG"}, {1, false, "DGDGG"}, {2, false, "DGDGDG"}, {0, true, "DGDGDG"}};
	char orders[16];

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct migration m;

		begin(&m, 2);
		m.intent.called = rows[i].called;
		done_until(&m, STATE_ATTACHING);
		for (unsigned k = 0; k < rows[i].attached; k++)
			migration_answered(&m, PARTY_HOST, true, 1);
		migration_answered(&m, PARTY_HOST, false, 1);
		done_until(&m, STATE_BACK_VACATING);
		asked_of("hyp2", 0x2002, &m, orders);
		assert_string_equal(orders, rows[i].orders);
		migration_clear(&m);
	}
}

static void before_any_was_attached_none_is_detached(void **unused)
{
	struct migration m;
	char orders[16];

	begin(&m, 2);
	done_until(&m, STATE_APPLYING);
	migration_event(&m, EVENT_FAILED, 1);
	done_until(&m, STATE_BACK_VACATING);
	asked_of("hyp2", 0x2002, &m, orders);
	assert_string_equal(orders, "GGG");
	migration_clear(&m);
}

static void of_a_predecessor_it_is_not_known(void **unused)
{
	struct migration m;
	char orders[16];

	begin(&m, 1);
	migration_recover(&m, STATE_BACK_LEASING, false, deadlines.overall_ms, 1);
	done_until(&m, STATE_BACK_VACATING);
	asked_of("hyp2", 0x2002, &m, orders);
	assert_string_equal(orders, "DGDG");
	migration_clear(&m);
}

/* The source takes the GUIDs of so many of three, and then no more. */
static void what_the_source_took_leaves_it_again_when_the_vm_stays(void **unused)
{
	for (unsigned taken = 0; taken < 3; taken++) {
		struct migration m;
		char orders[16];

		begin(&m, 2);
		done_until(&m, STATE_ATTACHING);
		migration_event(&m, EVENT_FAILED, 1);
		done_until(&m, STATE_BACK_NAMING);
		for (unsigned i = 0; i < taken; i++)
			migration_answered(&m, PARTY_HOST, true, 1);
		migration_answered(&m, PARTY_HOST, false, 1);
		migration_event(&m, EVENT_TIMEOUT, 1);
		assert_true(m.given_up);
		if (taken) {
			assert_int_equal(m.state, STATE_STAY_NAMING);
			assert_int_equal(time_of(&m, deadlines.detach_ms), taken);
			asked_of("hyp2", 0x2001, &m, orders);
			assert_int_equal(strlen(orders), taken);
			assert_int_equal(m.state, STATE_STAY_VACATING);
			asked_of("hyp1", 0x2002, &m, orders);
			assert_int_equal(strlen(orders), taken);
		}
		assert_int_equal(m.state, STATE_STAY_APPLYING);
		migration_clear(&m);
	}
}

/* It is not known how many; nothing leaves the source that the destination may not have. */
static void a_successor_names_all_and_a_destination_that_cannot_keeps_them(void **unused)
{
	struct migration m;
	char orders[16];

	begin(&m, 1);
	migration_recover(&m, STATE_STAY_VACATING, true, deadlines.overall_ms, 1);
	done_until(&m, STATE_STAY_NAMING);
	asked_of("hyp2", 0x2001, &m, orders);
	assert_string_equal(orders, "GG");
	asked_of("hyp1", 0x2002, &m, orders);
	assert_string_equal(orders, "GG");
	migration_recover(&m, STATE_STAY_NAMING, true, deadlines.overall_ms, 1);
	done_until(&m, STATE_STAY_NAMING);
	migration_event(&m, EVENT_TIMEOUT, 1);
	assert_int_equal(m.state, STATE_STAY_APPLYING);
	migration_clear(&m);
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

/* ---- the table, walked ---- */

static bool is_asked_once(enum migration_state state)
{
	switch (state) {
	case STATE_LEASING:
	case STATE_UNLEASING:
	case STATE_MOVING:
	case STATE_LOOKING:
	case STATE_LOOKING_THERE:
	case STATE_BACK_LEASING:
	case STATE_BACK_UNLEASING:
	case STATE_BACK_MOVING:
		return true;
	default:
		return false;
	}
}

/* In which state, and for which of the VFs, @party fails; once. */
struct failure {
	enum migration_state state;
	unsigned party, vf;
};

/* All answers of @party in this state, or up to the one that fails; true: it did. */
static bool party_answers(struct migration *m, unsigned party, const struct failure *failure)
{
	unsigned count =
	        is_asked_once(m->state) || party == PARTY_TREE ? 1 : migration_vf_count(&m->intent);
	const unsigned *vf = party == PARTY_SM ? &m->sm_vf : &m->host_vf;
	enum migration_state state = m->state;

	for (unsigned i = 0; i < count; i++) {
		bool fails = failure && failure->state == state && failure->party == party &&
		             failure->vf == i;

		assert_true(m->state == state && m->awaited & party);
		if (party != PARTY_TREE)
			assert_int_equal(*vf, i);
		if (party == PARTY_HOST && migration_takes_back(m))
			migration_answered(m, party, true, 1);
		migration_answered(m, party, !fails, 1);
		if (fails)
			return true;
	}
	assert_true(m->state != state || !(m->awaited & party));
	return false;
}

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
	        cmocka_unit_test(one_lease_is_for_all_as_long_as_the_plugin_gives_it),
	        cmocka_unit_test(who_was_never_attached_is_not_detached),
	        cmocka_unit_test(before_any_was_attached_none_is_detached),
	        cmocka_unit_test(what_the_source_took_leaves_it_again_when_the_vm_stays),
	        cmocka_unit_test(a_successor_names_all_and_a_destination_that_cannot_keeps_them),
	        cmocka_unit_test(of_a_predecessor_it_is_not_known),
	        cmocka_unit_test(of_a_port_that_is_dropped_the_others_are_applied),
	        cmocka_unit_test(of_a_swept_move_the_lid_is_confirmed_when_all_are_there),
	        cmocka_unit_test(whoever_fails_for_whichever_vf_all_go_or_stay),
	};

	return cmocka_run_group_tests_name("smd_vfs", tests, NULL, NULL);
}
