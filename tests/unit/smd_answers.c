/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* What answers of the tree, the hosts and the SM do to a migration, and what is kept of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "notifier/wire/frame.h"
#include "notifier/wire/rows.h"
#include "sm-side/migration/orders.h"
#include "tests/unit/migration_drive.h"

struct said {
	Tether__Answer answer;
	Tether__EvidenceRows evidence;
	Tether__QpRows qps;
	Tether__KeyRows keys;
	char *answered[4], *missing[4], *ended[4];
	Tether__Refusal refusal;
	Tether__Refusal *refusals[1];
};

static void said_init(struct said *said, Tether__Step step, Tether__Outcome outcome)
{
	memset(said, 0, sizeof(*said));
	tether__answer__init(&said->answer);
	tether__evidence_rows__init(&said->evidence);
	tether__qp_rows__init(&said->qps);
	tether__key_rows__init(&said->keys);
	tether__refusal__init(&said->refusal);
	said->refusals[0] = &said->refusal;
	said->answer.step = step;
	said->answer.outcome = outcome;
	said->answer.evidence = &said->evidence;
	said->answer.qps = &said->qps;
	said->answer.keys = &said->keys;
	said->answer.answered = said->answered;
	said->answer.missing = said->missing;
	said->answer.ended = said->ended;
	said->answer.refusals = said->refusals;
}

static void said_clear(struct said *said)
{
	rows_clear(&said->evidence.base);
	rows_clear(&said->qps.base);
	rows_clear(&said->keys.base);
}

static void said_qp(struct said *said, uint32_t lid, uint32_t qpn, uint32_t to_lid, uint32_t to_qpn)
{
	struct qp_row row = {.local_lid = lid,
	        .local_qpn = qpn,
	        .real_qpn = qpn,
	        .remote_lid = to_lid,
	        .remote_qpn = to_qpn};

	assert_int_equal(qp_rows_append(&said->qps, &row), 0);
}

static void said_answered(struct said *said, const char *name)
{
	said->answered[said->answer.n_answered++] = (char *)name;
}

static void said_missing(struct said *said, const char *name)
{
	said->missing[said->answer.n_missing++] = (char *)name;
}

static void said_refusal(struct said *said, const char *who)
{
	said->refusal.who = (char *)who;
	said->refusal.reason = (char *)"veto-device-memory";
	said->refusal.text = (char *)"uses device memory";
	said->answer.n_refusals = 1;
}

static void preparing_waits_for_all_three(void **unused)
{
	struct migration m;
	struct said said;

	drive_to(&m, STATE_PREPARING);
	said_init(&said, TETHER__STEP__STEP_PREPARE, TETHER__OUTCOME__OUTCOME_DONE);
	said_qp(&said, 11, 0x100, 12, 0x200);
	said_qp(&said, 12, 0x200, 11, 0x100);
	migration_answered(&m, PARTY_SM, true, 2);
	migration_tree_answered(&m, &said.answer, 2);
	assert_int_equal(m.state, STATE_PREPARING);
	migration_tree_answered(&m, &said.answer, 2);
	assert_int_equal(m.state, STATE_PREPARING);
	migration_answered(&m, PARTY_HOST, true, 2);
	assert_int_equal(m.state, STATE_STOPPING);
	said_clear(&said);
	migration_clear(&m);
}

static void a_veto_waits_for_the_others_reasons(void **unused)
{
	struct migration m;
	struct said said;

	drive_to(&m, STATE_PREPARING);
	said_init(&said, TETHER__STEP__STEP_PREPARE, TETHER__OUTCOME__OUTCOME_REFUSED);
	said_refusal(&said, "hyp1/vm1/12 prog");
	migration_tree_answered(&m, &said.answer, 2);
	migration_answered(&m, PARTY_HOST, false, 2);
	assert_int_equal(m.state, STATE_PREPARING);
	migration_answered(&m, PARTY_SM, true, 2);
	assert_int_equal(m.state, STATE_DROPPING);
	assert_int_equal(m.testimony.finding_count, 1);
	assert_string_equal(m.testimony.findings[0].reason, "veto-device-memory");
	said_clear(&said);
	migration_clear(&m);
}

static void prepared_with_lonely_qp(struct migration *m, bool force)
{
	struct said said;

	drive_to(m, STATE_PREPARING);
	m->intent.force = force;
	said_init(&said, TETHER__STEP__STEP_PREPARE, TETHER__OUTCOME__OUTCOME_DONE);
	said_qp(&said, 11, 0x100, 12, 0x200);
	said_qp(&said, 12, 0x201, 13, 0x300);
	migration_answered(m, PARTY_SM, true, 2);
	migration_answered(m, PARTY_HOST, true, 2);
	migration_tree_answered(m, &said.answer, 2);
	said_clear(&said);
}

static void a_peer_without_shim_is_refused_by_name(void **unused)
{
	struct migration m;

	prepared_with_lonely_qp(&m, false);
	assert_int_equal(m.state, STATE_DROPPING);
	assert_int_equal(m.testimony.finding_count, 1);
	assert_string_equal(m.testimony.findings[0].reason, "peer-without-shim");
	assert_string_equal(m.testimony.findings[0].who, "lid 12 qp 0x200");
	migration_clear(&m);
}

/* Who sends datagrams is connected to nobody. */
static void a_datagram_qp_needs_no_other_end(void **unused)
{
	struct migration m;
	struct said said;

	drive_to(&m, STATE_PREPARING);
	said_init(&said, TETHER__STEP__STEP_PREPARE, TETHER__OUTCOME__OUTCOME_DONE);
	said_qp(&said, 11, 0x100, 0, 0);
	said_qp(&said, 11, 0x101, 0, 0);
	migration_answered(&m, PARTY_SM, true, 2);
	migration_answered(&m, PARTY_HOST, true, 2);
	migration_tree_answered(&m, &said.answer, 2);
	assert_int_equal(m.state, STATE_STOPPING);
	assert_int_equal(m.testimony.finding_count, 0);
	said_clear(&said);
	migration_clear(&m);
}

static void a_qp_of_the_vm_that_nobody_shows_is_refused_by_name(void **unused)
{
	struct migration m;
	struct said said;

	drive_to(&m, STATE_PREPARING);
	said_init(&said, TETHER__STEP__STEP_PREPARE, TETHER__OUTCOME__OUTCOME_DONE);
	said_qp(&said, 12, 0x200, 11, 0x100);
	migration_answered(&m, PARTY_SM, true, 2);
	migration_answered(&m, PARTY_HOST, true, 2);
	migration_tree_answered(&m, &said.answer, 2);
	assert_int_equal(m.state, STATE_DROPPING);
	assert_string_equal(m.testimony.findings[0].reason, "vm-qp-without-shim");
	assert_string_equal(m.testimony.findings[0].who, "lid 11 qp 0x100");
	said_clear(&said);
	migration_clear(&m);
}

static void force_moves_in_spite_of_a_peer_without_shim(void **unused)
{
	struct migration m;

	prepared_with_lonely_qp(&m, true);
	assert_int_equal(m.state, STATE_STOPPING);
	assert_int_equal(m.testimony.finding_count, 1);
	migration_clear(&m);
}

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

static void stopped_with_sent(struct migration *m, size_t rows)
{
	struct evidence_row row = {.local_lid = 48000,
	        .local_qpn = 1 << 23,
	        .remote_lid = 11,
	        .remote_qpn = 1 << 23,
	        .flags = TETHER__EVIDENCE_FLAG__EVIDENCE_SENT,
	        .sent = 1U << 31};
	struct said said;

	drive_to(m, STATE_STOPPING);
	said_init(&said, TETHER__STEP__STEP_STOP, TETHER__OUTCOME__OUTCOME_DONE);
	for (size_t i = 0; i < rows; i++)
		evidence_rows_append(&said.evidence, &row);
	migration_tree_answered(m, &said.answer, 2);
	said_clear(&said);
	assert_int_equal(m->state, STATE_SETTLING);
	assert_false(m->testimony.broken);
}

static void settle_says_what_was_sent_before_the_stop(void **unused)
{
	struct migration m;
	struct order order;
	struct said said;

	stopped_with_sent(&m, 2);
	assert_int_equal(order_fill_step(&order, &m, ACTION_SETTLE, 2), 0);
	assert_int_equal(order.event.evidence->n_sent, 2);
	/* It is no evidence, and gives way to it. */
	said_init(&said, TETHER__STEP__STEP_SETTLE, TETHER__OUTCOME__OUTCOME_DONE);
	migration_tree_answered(&m, &said.answer, 2);
	assert_int_equal(order_fill_step(&order, &m, ACTION_RELEASE, 2), 0);
	assert_int_equal(order.event.evidence->n_sent, 0);
	said_clear(&said);
	migration_clear(&m);
}

static void settle_goes_without_what_does_not_fit(void **unused)
{
	struct migration m;
	struct order order;

	stopped_with_sent(&m, FRAME_MAX_BYTES / 16);
	assert_int_equal(order_fill_step(&order, &m, ACTION_SETTLE, 2), 0);
	assert_true(tether__event__get_packed_size(&order.event) + 16 <= FRAME_MAX_BYTES);
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
	        STATE_MENDING_SETTLING);
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

static void attach_supersedes_the_vms_numbers_only(void **unused)
{
	struct qp_row row;
	struct migration m;
	struct said said;

	drive_to(&m, STATE_SETTLING);
	said_init(&said, TETHER__STEP__STEP_SETTLE, TETHER__OUTCOME__OUTCOME_DONE);
	said_qp(&said, 11, 0x100, 12, 0x200);
	said_qp(&said, 12, 0x200, 11, 0x100);
	migration_tree_answered(&m, &said.answer, 2);
	said_clear(&said);
	while (m.state != STATE_REBUILDING)
		migration_event(&m, EVENT_DONE, 2);
	said_init(&said, TETHER__STEP__STEP_ATTACH, TETHER__OUTCOME__OUTCOME_DONE);
	said_qp(&said, 11, 0x100, 12, 0x200);
	said.qps.real_qpn[0] = 0x999;
	migration_tree_answered(&m, &said.answer, 2);
	assert_int_equal(m.testimony.qps.n_local_qpn, 2);
	row = qp_rows_get(&m.testimony.qps, 0);
	assert_int_equal(row.local_lid, 12);
	row = qp_rows_get(&m.testimony.qps, 1);
	assert_int_equal(row.real_qpn, 0x999);
	said_clear(&said);
	migration_clear(&m);
}

static void attach_is_asked_of_the_vm_and_keeps_the_peers(void **unused)
{
	struct migration m;
	struct said said;
	struct order order;

	drive_to(&m, STATE_RELEASING);
	said_init(&said, TETHER__STEP__STEP_RELEASE, TETHER__OUTCOME__OUTCOME_DONE);
	said_answered(&said, "vm2/2.2");
	said_answered(&said, "vm1/1.1");
	said_answered(&said, "vm1/1.2");
	migration_tree_answered(&m, &said.answer, 2);
	while (m.state != STATE_REBUILDING)
		migration_event(&m, EVENT_DONE, 2);
	assert_int_equal(order_fill_step(&order, &m, ACTION_ATTACH, 2), 0);
	assert_int_equal(order.event.n_expected, 2);
	assert_true(testimony_is_of_vm(order.event.expected[0], "vm1"));
	assert_true(testimony_is_of_vm(order.event.expected[1], "vm1"));
	said.answer.step = TETHER__STEP__STEP_ATTACH;
	said.answer.n_answered = 0;
	said_answered(&said, "vm1/1.1");
	migration_tree_answered(&m, &said.answer, 2);
	assert_int_equal(m.state, STATE_RECONNECTING);
	assert_int_equal(order_fill_step(&order, &m, ACTION_RECONNECT, 2), 0);
	assert_int_equal(order.event.n_expected, 2);
	assert_string_equal(order.event.expected[0], "vm1/1.1");
	assert_string_equal(order.event.expected[1], "vm2/2.2");
	said_clear(&said);
	migration_clear(&m);
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
	assert_int_equal(m.state, STATE_MENDING_SETTLING);
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

static void malformed_tables_are_a_failure(void **unused)
{
	struct migration m;
	struct said said;

	drive_to(&m, STATE_SETTLING);
	said_init(&said, TETHER__STEP__STEP_SETTLE, TETHER__OUTCOME__OUTCOME_DONE);
	said_qp(&said, 11, 0x100, 12, 0x200);
	said.qps.n_context = 0;
	migration_tree_answered(&m, &said.answer, 2);
	assert_int_equal(m.state, STATE_MENDING_SETTLING);
	said.qps.n_context = 1;
	said_clear(&said);
	migration_clear(&m);
}

static void testimony_survives_the_journal(void **unused)
{
	struct testimony back;
	struct migration m;
	struct said said;
	uint8_t *bytes;
	size_t length;

	drive_to(&m, STATE_SETTLING);
	said_init(&said, TETHER__STEP__STEP_SETTLE, TETHER__OUTCOME__OUTCOME_DONE);
	said_qp(&said, 11, 0x100, 12, 0xabcdef);
	said_answered(&said, "vm1/1.1");
	migration_tree_answered(&m, &said.answer, 2);
	assert_int_equal(testimony_pack(&m.testimony, &bytes, &length), 0);
	testimony_init(&back);
	assert_int_equal(testimony_unpack(&back, "vm1", bytes, length), 0);
	assert_int_equal(back.qps.n_local_qpn, 1);
	assert_int_equal(back.qps.remote_qpn[0], 0xabcdef);
	assert_int_equal(back.process_count, 1);
	assert_string_equal(back.processes[0], "vm1/1.1");
	assert_int_equal(testimony_unpack(&back, "vm1", bytes, length - 1), -EBADMSG);
	free(bytes);
	testimony_clear(&back);
	said_clear(&said);
	migration_clear(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(preparing_waits_for_all_three),
	        cmocka_unit_test(a_veto_waits_for_the_others_reasons),
	        cmocka_unit_test(a_peer_without_shim_is_refused_by_name),
	        cmocka_unit_test(a_datagram_qp_needs_no_other_end),
	        cmocka_unit_test(a_qp_of_the_vm_that_nobody_shows_is_refused_by_name),
	        cmocka_unit_test(settle_says_what_was_sent_before_the_stop),
	        cmocka_unit_test(settle_goes_without_what_does_not_fit),
	        cmocka_unit_test(force_moves_in_spite_of_a_peer_without_shim),
	        cmocka_unit_test(stop_that_finds_a_vote_is_not_plainly_aborted),
	        cmocka_unit_test(broken_qps_do_not_keep_the_good_road_from_going_on),
	        cmocka_unit_test(after_the_commit_a_missing_peer_is_left_behind),
	        cmocka_unit_test(after_the_commit_the_vms_own_processes_decide),
	        cmocka_unit_test(attach_supersedes_the_vms_numbers_only),
	        cmocka_unit_test(attach_is_asked_of_the_vm_and_keeps_the_peers),
	        cmocka_unit_test(done_without_the_vms_vote_is_not_done),
	        cmocka_unit_test(who_has_ended_has_no_vote),
	        cmocka_unit_test(vm_is_not_released_without_word_of_all_its_processes),
	        cmocka_unit_test(peer_that_nobody_tells_of_is_left_behind_after_the_commit),
	        cmocka_unit_test(malformed_tables_are_a_failure),
	        cmocka_unit_test(testimony_survives_the_journal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
