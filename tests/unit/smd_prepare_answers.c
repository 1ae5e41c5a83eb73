/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* What answers to PREPARE do to a migration: who waits for whom, and who is refused. */
#include "tests/unit/migration_said.h"

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

/* Its process shows it as one that is connected to nobody; the other end does not know yet. */
static void the_other_end_of_one_that_has_ended_is_shown(void **unused)
{
	struct migration m;
	struct said said;

	drive_to(&m, STATE_PREPARING);
	said_init(&said, TETHER__STEP__STEP_PREPARE, TETHER__OUTCOME__OUTCOME_DONE);
	said_qp(&said, 11, 0x100, 0, 0);
	said_qp(&said, 12, 0x200, 11, 0x100);
	said_qp(&said, 11, 0x101, 12, 0x201);
	said_qp(&said, 12, 0x201, 0, 0);
	migration_answered(&m, PARTY_SM, true, 2);
	migration_answered(&m, PARTY_HOST, true, 2);
	migration_tree_answered(&m, &said.answer, 2);
	assert_int_equal(m.state, STATE_STOPPING);
	assert_int_equal(m.testimony.finding_count, 0);
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

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(preparing_waits_for_all_three),
	        cmocka_unit_test(a_veto_waits_for_the_others_reasons),
	        cmocka_unit_test(a_peer_without_shim_is_refused_by_name),
	        cmocka_unit_test(a_datagram_qp_needs_no_other_end),
	        cmocka_unit_test(the_other_end_of_one_that_has_ended_is_shown),
	        cmocka_unit_test(a_qp_of_the_vm_that_nobody_shows_is_refused_by_name),
	        cmocka_unit_test(force_moves_in_spite_of_a_peer_without_shim),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
