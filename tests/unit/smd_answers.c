/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* What answers of the tree do to a migration once it is prepared: who is waited for, who has a
 * vote. */
#include "tests/unit/migration_said.h"

static void stop_that_finds_a_vote_is_not_plainly_aborted(void **unused)
{
	struct evidence_row row = {
	        .local_lid = 11, .flags = TETHER__EVIDENCE_FLAG__EVIDENCE_BROKEN};
	struct migration m;
	struct said said;

	drive_to(&m, STATE_STOPPING);
	said_init(&said, TETHER__STEP__STEP_STOP, TETHER__OUTCOME__OUTCOME_PARTIAL);
	said_missing(&said, "vm2/3.4");
	evidence_rows_append(&said.evidence, &row);
	migration_tree_answered(&m, &said.answer, 2);
	assert_int_equal(m.state, STATE_MENDING_SETTLING);
	said_clear(&said);
	migration_clear(&m);
}

static void broken_qps_do_not_keep_the_good_road_from_going_on(void **unused)
{
	struct evidence_row row = {.flags = TETHER__EVIDENCE_FLAG__EVIDENCE_BROKEN};
	struct migration m;
	struct said said;

	drive_to(&m, STATE_STOPPING);
	said_init(&said, TETHER__STEP__STEP_STOP, TETHER__OUTCOME__OUTCOME_DONE);
	evidence_rows_append(&said.evidence, &row);
	migration_tree_answered(&m, &said.answer, 2);
	assert_int_equal(m.state, STATE_SETTLING);
	said_clear(&said);
	migration_clear(&m);
}

static enum migration_state after_partial(
        enum migration_state at, Tether__Step step, const char *answered, const char *missing)
{
	enum migration_state state;
	struct migration m;
	struct said said;

	drive_to(&m, at);
	said_init(&said, step, TETHER__OUTCOME__OUTCOME_PARTIAL);
	if (answered)
		said_answered(&said, answered);
	said_missing(&said, missing);
	migration_tree_answered(&m, &said.answer, 2);
	state = m.state;
	assert_int_equal(m.testimony.finding_count, 1);
	said_clear(&said);
	migration_clear(&m);
	return state;
}

static void after_the_commit_a_missing_peer_is_left_behind(void **unused)
{
	assert_int_equal(
	        after_partial(STATE_SETTLING, TETHER__STEP__STEP_SETTLE, "vm1/1.1", "vm2/2.2"),
	        STATE_MENDING_STOPPING);
	assert_int_equal(
	        after_partial(STATE_RELEASING, TETHER__STEP__STEP_RELEASE, "vm1/1.1", "vm2/2.2"),
	        STATE_DETACHING);
	assert_int_equal(
	        after_partial(STATE_RECONNECTING, TETHER__STEP__STEP_RECONNECT, "vm1/1.1", "hyp3"),
	        STATE_RESUMING);
}

static void after_the_commit_the_vms_own_processes_decide(void **unused)
{
	assert_int_equal(
	        after_partial(STATE_RELEASING, TETHER__STEP__STEP_RELEASE, "vm1/1.1", "vm1/2.2"),
	        STATE_BACK_REBUILDING);
	assert_int_equal(after_partial(STATE_RELEASING, TETHER__STEP__STEP_RELEASE, NULL, "hyp1"),
	        STATE_BACK_REBUILDING);
	/* vm11 is another VM. */
	assert_int_equal(
	        after_partial(STATE_RELEASING, TETHER__STEP__STEP_RELEASE, "vm1/1.1", "vm11/2.2"),
	        STATE_DETACHING);
	assert_int_equal(
	        after_partial(STATE_REBUILDING, TETHER__STEP__STEP_ATTACH, "vm1/1.1", "vm1/2.2"),
	        STATE_RECONNECTING);
	/* Its host is there to miss it: it has ended, or hangs. */
	assert_int_equal(
	        after_partial(STATE_REBUILDING, TETHER__STEP__STEP_ATTACH, NULL, "vm1/2.2"),
	        STATE_RECONNECTING);
	assert_int_equal(after_partial(STATE_REBUILDING, TETHER__STEP__STEP_ATTACH, NULL, "hyp2"),
	        STATE_ERRORING);
}

/* vm1/1.1 and its peer vm2/2.2 have answered the step before @state; of @state, too, the peer tells
 * at least. */
static void drive_to_both(struct migration *m, struct said *said, enum migration_state before,
        enum migration_state state)
{
	drive_to(m, before);
	said_init(said, TETHER__STEP__STEP_STOP, TETHER__OUTCOME__OUTCOME_DONE);
	said_answered(said, "vm2/2.2");
	said_answered(said, "vm1/1.1");
	migration_tree_answered(m, &said->answer, 2);
	while (m->state != state)
		migration_event(m, EVENT_DONE, 2);
	said->answer.n_answered = 1;
}

/* The tree says that all is done, and tells of one of them nothing. */
static void done_without_the_vms_vote_is_not_done(void **unused)
{
	struct migration m;
	struct said said;

	drive_to_both(&m, &said, STATE_STOPPING, STATE_SETTLING);
	migration_tree_answered(&m, &said.answer, 2);
	assert_int_equal(m.state, STATE_MENDING_STOPPING);
	assert_false(m.committed);
	assert_int_equal(m.testimony.finding_count, 1);
	assert_string_equal(m.testimony.findings[0].who, "vm1/1.1");
	assert_string_equal(m.testimony.findings[0].reason, "no-answer");
	migration_clear(&m);
}

static void who_has_ended_has_no_vote(void **unused)
{
	struct migration m;
	struct said said;

	drive_to_both(&m, &said, STATE_STOPPING, STATE_SETTLING);
	said.ended[said.answer.n_ended++] = (char *)"vm1/1.1";
	migration_tree_answered(&m, &said.answer, 2);
	assert_true(m.committed);
	assert_int_equal(m.testimony.finding_count, 0);
	migration_clear(&m);
}

/* One that nobody tells of may hold the device. */
static void vm_is_not_released_without_word_of_all_its_processes(void **unused)
{
	struct migration m;
	struct said said;

	drive_to_both(&m, &said, STATE_SETTLING, STATE_RELEASING);
	said.answer.step = TETHER__STEP__STEP_RELEASE;
	migration_tree_answered(&m, &said.answer, 2);
	assert_int_equal(migration_phase(m.state), PHASE_BACK);
	assert_string_equal(m.testimony.findings[0].who, "vm1/1.1");
	migration_clear(&m);
}

/* As where it is said to be missing. */
static void peer_that_nobody_tells_of_is_left_behind_after_the_commit(void **unused)
{
	struct migration m;
	struct said said;

	drive_to_both(&m, &said, STATE_RECONNECTING, STATE_RESUMING);
	said.answer.step = TETHER__STEP__STEP_RESUME;
	said.answered[0] = (char *)"vm1/1.1";
	migration_tree_answered(&m, &said.answer, 2);
	assert_int_equal(m.state, STATE_DONE);
	assert_int_equal(m.testimony.finding_count, 1);
	assert_string_equal(m.testimony.findings[0].who, "vm2/2.2");
	migration_clear(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(stop_that_finds_a_vote_is_not_plainly_aborted),
	        cmocka_unit_test(broken_qps_do_not_keep_the_good_road_from_going_on),
	        cmocka_unit_test(after_the_commit_a_missing_peer_is_left_behind),
	        cmocka_unit_test(after_the_commit_the_vms_own_processes_decide),
	        cmocka_unit_test(done_without_the_vms_vote_is_not_done),
	        cmocka_unit_test(who_has_ended_has_no_vote),
	        cmocka_unit_test(vm_is_not_released_without_word_of_all_its_processes),
	        cmocka_unit_test(peer_that_nobody_tells_of_is_left_behind_after_the_commit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
