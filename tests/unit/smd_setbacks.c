/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* What a migration must not do where a record, a lease or a slot's GUIDs are missing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "sm-side/migration/sm_talk.h"
#include "tests/unit/migration_drive.h"

static void recover_at(struct migration *m, enum migration_state journalled)
{
	drive_to(m, STATE_LOCATING);
	migration_recover(m, journalled, false, 1000, 1);
}

/* ---- the commit's record ---- */

static void a_commit_that_cannot_be_recorded_is_none(void **unused)
{
	struct migration_output output;
	struct migration m;

	drive_to(&m, STATE_RELEASING);
	output = migration_event(&m, EVENT_JOURNAL_FAILED, 2);
	assert_true(output.entered);
	assert_int_equal(m.state, STATE_MENDING_SETTLING);
	assert_false(m.committed);
	migration_clear(&m);
}

static void a_commit_of_the_journal_is_not_taken_back(void **unused)
{
	struct migration_output output;
	struct migration m;

	recover_at(&m, STATE_RELEASING);
	migration_event(&m, EVENT_DONE, 2);
	assert_int_equal(m.state, STATE_RELEASING);
	output = migration_event(&m, EVENT_JOURNAL_FAILED, 2);
	assert_false(output.entered);
	assert_int_equal(m.state, STATE_RELEASING);
	assert_true(m.committed);
	migration_clear(&m);
}

static void a_vm_that_has_moved_is_not_aborted(void **unused)
{
	static const enum migration_state journalled[] = {
	        STATE_SETTLING, STATE_MENDING_STOPPING, STATE_MENDING_SETTLING};
	static const struct {
		enum migration_fact fact;
		enum migration_state end;
	} rows[] = {
	        {FACT_AT_SOURCE, STATE_ABORTED},
	        {FACT_AT_SOURCE_WITHOUT_VF, STATE_FAILED_AT_SOURCE},
	        {FACT_AT_DESTINATION, STATE_DONE},
	        {FACT_AT_DESTINATION_WITHOUT_VF, STATE_DONE},
	};

	for (size_t k = 0; k < 3 * sizeof(rows) / sizeof(rows[0]); k++) {
		struct migration m;

		recover_at(&m, journalled[k % 3]);
		m.fact = rows[k / 3].fact;
		migration_event(&m, EVENT_DONE, 2);
		assert_int_equal(m.committed, rows[k / 3].end != STATE_ABORTED);
		assert_int_equal(m.overall_us != 0, rows[k / 3].end != STATE_ABORTED);
		for (int i = 0; !migration_ended(&m) && i < STATE_COUNT; i++)
			migration_event(&m, EVENT_DONE, 2);
		assert_int_equal(m.state, rows[k / 3].end);
		migration_clear(&m);
	}
}

/* ---- undo ---- */

/* A sweep between the exchange of the GUIDs and APPLY has moved LID and place without a plan. */
static void guids_that_were_touched_are_undone_in_the_fabric(void **unused)
{
	static const enum migration_state left[] = {STATE_NAMING, STATE_VACATING};

	for (size_t i = 0; i < sizeof(left) / sizeof(left[0]); i++) {
		bool undone = false;
		struct migration m;

		drive_to(&m, left[i]);
		migration_event(&m, EVENT_FAILED, 2);
		for (int k = 0; !migration_ended(&m) && k < STATE_COUNT; k++) {
			undone |= m.state == STATE_BACK_UNDOING;
			migration_event(&m, EVENT_DONE, 2);
		}
		assert_true(undone);
		assert_int_equal(m.state, STATE_FAILED_AT_SOURCE);
		migration_clear(&m);
	}
}

static void without_touched_guids_there_is_nothing_to_undo(void **unused)
{
	struct migration m;

	drive_to(&m, STATE_LEASING);
	migration_event(&m, EVENT_FAILED, 2);
	for (int k = 0; !migration_ended(&m) && k < STATE_COUNT; k++) {
		assert_int_not_equal(m.state, STATE_BACK_UNDOING);
		migration_event(&m, EVENT_DONE, 2);
	}
	migration_clear(&m);
}

/* ---- GUIDs at two slots after a restart ---- */

static void goes_on_with(struct migration *m, const enum migration_state *states, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		migration_event(m, EVENT_DONE, 2);
		assert_int_equal(m->state, states[i]);
	}
	migration_clear(m);
}

static void guids_are_set_right_before_the_lease_is_asked_for(void **unused)
{
	static const enum migration_state there[] = {STATE_RENAMING, STATE_REVACATING,
	        STATE_LEASING_AGAIN, STATE_NAMING, STATE_VACATING, STATE_APPLYING};
	static const enum migration_state back[] = {STATE_BACK_RENAMING, STATE_BACK_REVACATING,
	        STATE_BACK_LEASING, STATE_BACK_VACATING, STATE_BACK_UNDOING};
	struct migration m;

	recover_at(&m, STATE_NAMING);
	goes_on_with(&m, there, sizeof(there) / sizeof(there[0]));
	recover_at(&m, STATE_VACATING);
	goes_on_with(&m, there, sizeof(there) / sizeof(there[0]));
	recover_at(&m, STATE_BACK_NAMING);
	m.vacated = true;
	goes_on_with(&m, back, sizeof(back) / sizeof(back[0]));
	/* The source's slot has never been another's, or is the VM's again. */
	recover_at(&m, STATE_BACK_VACATING);
	goes_on_with(&m, back + 1, sizeof(back) / sizeof(back[0]) - 1);
}

static void who_cannot_set_them_right_goes_back(void **unused)
{
	static const enum migration_state back[] = {
	        STATE_BACK_REVACATING, STATE_BACK_LEASING, STATE_BACK_VACATING};
	static const enum migration_state stay[] = {
	        STATE_STAY_UNLEASING, STATE_STAYING, STATE_LOST};
	struct migration m;

	recover_at(&m, STATE_VACATING);
	migration_event(&m, EVENT_DONE, 2);
	migration_event(&m, EVENT_FAILED, 2);
	assert_int_equal(m.state, STATE_BACK_RENAMING);
	goes_on_with(&m, back, sizeof(back) / sizeof(back[0]));
	/* A slot is given other GUIDs only when the other one certainly shows the VM's. */
	recover_at(&m, STATE_VACATING);
	migration_event(&m, EVENT_DONE, 2);
	migration_event(&m, EVENT_TIMEOUT, 2);
	migration_event(&m, EVENT_TIMEOUT, 2);
	assert_int_equal(m.state, STATE_STAY_APPLYING);
	goes_on_with(&m, stay, sizeof(stay) / sizeof(stay[0]));
}

static void links_and_aliases_need_nothing_before_the_lease(void **unused)
{
	static const enum migration_state dynamic[] = {STATE_LEASING_AGAIN, STATE_NAMING},
	                                  shared[] = {STATE_NAMING, STATE_VACATING};
	struct migration m;

	recover_at(&m, STATE_NAMING);
	m.intent.dynamic = true;
	goes_on_with(&m, dynamic, 2);
	recover_at(&m, STATE_NAMING);
	m.intent.shared_port = true;
	goes_on_with(&m, shared, 2);
	recover_at(&m, STATE_BACK_VACATING);
	m.intent.dynamic = true;
	goes_on_with(&m, (enum migration_state[]){STATE_BACK_LEASING, STATE_BACK_VACATING}, 2);
	recover_at(&m, STATE_BACK_VACATING);
	m.intent.shared_port = true;
	goes_on_with(&m, (enum migration_state[]){STATE_BACK_VACATING}, 1);
}

/* ---- a lease that ran out ---- */

static void a_lease_that_ran_out_is_taken_again_but_not_for_ever(void **unused)
{
	struct json_object *answer = json_tokener_parse("{\"ok\":false,\"reason\":\"no-lease\"}");
	enum migration_event event;
	struct migration m;
	int times = 0;
	bool carried;

	drive_to(&m, STATE_APPLYING);
	event = sm_talk_take(&m, ACTION_APPLY, answer, &carried);
	migration_event(&m, event, 2);
	assert_int_equal(m.state, STATE_LEASING_AGAIN);
	m.state = STATE_BACK_UNDOING;
	event = sm_talk_take(&m, ACTION_UNDO, answer, &carried);
	migration_event(&m, event, 2);
	assert_int_equal(m.state, STATE_BACK_LEASING);
	while (sm_talk_take(&m, ACTION_UNDO, answer, &carried) != EVENT_FAILED)
		assert_true(times++ < 100);
	json_object_put(answer);
	migration_clear(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(a_commit_that_cannot_be_recorded_is_none),
	        cmocka_unit_test(a_commit_of_the_journal_is_not_taken_back),
	        cmocka_unit_test(a_vm_that_has_moved_is_not_aborted),
	        cmocka_unit_test(guids_that_were_touched_are_undone_in_the_fabric),
	        cmocka_unit_test(without_touched_guids_there_is_nothing_to_undo),
	        cmocka_unit_test(guids_are_set_right_before_the_lease_is_asked_for),
	        cmocka_unit_test(who_cannot_set_them_right_goes_back),
	        cmocka_unit_test(links_and_aliases_need_nothing_before_the_lease),
	        cmocka_unit_test(a_lease_that_ran_out_is_taken_again_but_not_for_ever),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
