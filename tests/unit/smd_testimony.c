/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* What is kept of answers, and what later steps say of it. */
#include <errno.h>
#include <stdlib.h>

#include "notifier/wire/frame.h"
#include "sm-side/migration/orders.h"
#include "tests/unit/migration_said.h"

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

static void malformed_tables_are_a_failure(void **unused)
{
	struct migration m;
	struct said said;

	drive_to(&m, STATE_SETTLING);
	said_init(&said, TETHER__STEP__STEP_SETTLE, TETHER__OUTCOME__OUTCOME_DONE);
	said_qp(&said, 11, 0x100, 12, 0x200);
	said.qps.n_context = 0;
	migration_tree_answered(&m, &said.answer, 2);
	assert_int_equal(m.state, STATE_MENDING_STOPPING);
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
	        cmocka_unit_test(settle_says_what_was_sent_before_the_stop),
	        cmocka_unit_test(settle_goes_without_what_does_not_fit),
	        cmocka_unit_test(attach_supersedes_the_vms_numbers_only),
	        cmocka_unit_test(attach_is_asked_of_the_vm_and_keeps_the_peers),
	        cmocka_unit_test(malformed_tables_are_a_failure),
	        cmocka_unit_test(testimony_survives_the_journal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
