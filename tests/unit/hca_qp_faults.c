/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* Rules for the work of one queue pair: which packets they reach. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "simfabric/qp_faults.h"

enum { LID = 3, PEER = 7, QPN = 0x45, PEER_QPN = 0x99 };

static const struct qp_name asks = {LID, QPN};

static struct qp_faults with(const char *setting)
{
	struct qp_faults faults = {0};

	assert_int_equal(qp_faults_set(&faults, setting), 0);
	return faults;
}

/* The first packet of a message that was never sent. */
static bool begin(struct qp_faults *faults, uint32_t psn)
{
	return qp_faults_hold(faults, &asks, psn, true);
}

static bool loses_request(struct qp_faults *faults, uint32_t psn)
{
	struct packet packet = {.opcode = OP_WRITE_MIDDLE,
	        .slid = LID,
	        .dlid = PEER,
	        .src_qpn = QPN,
	        .dest_qpn = PEER_QPN,
	        .psn = psn};

	return qp_faults_lose(faults, &packet);
}

static bool loses_answer(struct qp_faults *faults, uint8_t opcode, uint8_t syndrome, uint32_t psn)
{
	struct packet packet = {.opcode = opcode,
	        .slid = PEER,
	        .dlid = LID,
	        .src_qpn = PEER_QPN,
	        .dest_qpn = QPN,
	        .psn = psn,
	        .aeth = {.syndrome = syndrome}};

	return qp_faults_lose(faults, &packet);
}

static void messages_are_counted_from_the_rule_on(void **state)
{
	struct qp_faults faults = with("3/0x45:lose=2.1");

	/* A message that began before is nobody's. */
	qp_faults_hold(&faults, &asks, 99, false);
	begin(&faults, 100);
	begin(&faults, 100); /* asked again, since there was no room */
	begin(&faults, 101);
	assert_false(loses_request(&faults, 104));
	begin(&faults, 105);
	assert_false(loses_request(&faults, 105));
	assert_true(loses_request(&faults, 106));
	assert_true(loses_request(&faults, 120));
	/* Those before are sent again in peace. */
	assert_false(loses_request(&faults, 100));
}

static void a_psn_names_a_message_as_well(void **state)
{
	struct qp_faults faults = with("3/69:lose=@0xfffffe.3");

	assert_false(loses_request(&faults, 0xffffff));
	assert_false(loses_request(&faults, 0));
	assert_true(loses_request(&faults, 1));
}

static void held_is_what_is_not_sent(void **state)
{
	struct qp_faults faults = with("3/0x45:hold=1.2");

	assert_false(begin(&faults, 10));
	assert_false(begin(&faults, 11));
	assert_false(qp_faults_hold(&faults, &asks, 12, false));
	assert_true(qp_faults_hold(&faults, &asks, 13, false));
	assert_false(qp_faults_hold(&faults, &asks, 11, false));
	assert_false(loses_request(&faults, 13));
}

static void the_first_message_can_be_held_whole(void **state)
{
	struct qp_faults faults = with("3/0x45:hold=0");

	for (int i = 0; i < 3; i++)
		assert_true(begin(&faults, 10));
}

static void nothing_that_acknowledges_passes(void **state)
{
	struct qp_faults faults = with("3/0x45:lose_acks=@10");

	assert_false(loses_answer(&faults, OP_ACKNOWLEDGE, SYNDROME_ACK, 9));
	assert_true(loses_answer(&faults, OP_ACKNOWLEDGE, SYNDROME_ACK, 10));
	/* A NAK says that all before it was accepted. */
	assert_false(loses_answer(&faults, OP_ACKNOWLEDGE, SYNDROME_NAK_SEQUENCE, 10));
	assert_true(loses_answer(&faults, OP_ACKNOWLEDGE, SYNDROME_NAK_SEQUENCE, 11));
	assert_true(loses_answer(&faults, OP_ACKNOWLEDGE, SYNDROME_RNR_NAK | 12, 11));
	/* The answer to a READ says so of all before it, and of itself. */
	assert_true(loses_answer(&faults, OP_READ_RESPONSE_ONLY, SYNDROME_ACK, 10));
	assert_true(loses_answer(&faults, OP_ATOMIC_ACKNOWLEDGE, SYNDROME_ACK, 10));
	assert_false(loses_request(&faults, 10));
}

static void answers_are_lost_from_a_packet_on(void **state)
{
	struct qp_faults faults = with("3/0x45:lose_answers=0.2");

	begin(&faults, 50);
	assert_false(loses_answer(&faults, OP_READ_RESPONSE_MIDDLE, SYNDROME_ACK, 51));
	assert_true(loses_answer(&faults, OP_READ_RESPONSE_MIDDLE, SYNDROME_ACK, 52));
	assert_true(loses_answer(&faults, OP_ATOMIC_ACKNOWLEDGE, SYNDROME_ACK, 60));
	assert_false(loses_answer(&faults, OP_ACKNOWLEDGE, SYNDROME_ACK, 60));
}

static void receives_are_hidden_for_as_long_as_the_rule_stands(void **state)
{
	struct qp_faults faults = with("3/0x45:hold_receives=@10:1");

	assert_false(qp_faults_hold_receive(&faults, &asks, 9, true));
	assert_true(qp_faults_hold_receive(&faults, &asks, 10, true));
	/* One only, but that one stays hidden. */
	assert_false(qp_faults_hold_receive(&faults, &asks, 11, true));
	assert_true(qp_faults_hold_receive(&faults, &asks, 10, false));
	assert_int_equal(qp_faults_set(&faults, "3/0x45:pass"), 0);
	assert_false(qp_faults_hold_receive(&faults, &asks, 10, false));
}

static void rnr_comes_so_often(void **state)
{
	struct qp_faults faults = with("3/0x45:rnr=@10:2");

	assert_true(qp_faults_refuse(&faults, &asks, 10));
	assert_true(qp_faults_refuse(&faults, &asks, 10));
	assert_false(qp_faults_refuse(&faults, &asks, 10));
}

static void other_queue_pairs_are_left_alone(void **state)
{
	struct qp_faults faults = with("3/0x45:lose=@0");
	struct qp_name other_qp = {LID, QPN + 1}, other_port = {PEER, QPN};

	assert_int_equal(qp_faults_set(&faults, "3/0x45:rnr=@0"), 0);
	assert_int_equal(qp_faults_set(&faults, "3/0x45:hold=@0"), 0);
	assert_false(qp_faults_refuse(&faults, &other_qp, 10));
	assert_false(qp_faults_refuse(&faults, &other_port, 10));
	assert_false(qp_faults_hold(&faults, &other_qp, 10, true));
	assert_int_equal(qp_faults_set(&faults, "3/0x46:pass"), 0);
	assert_true(qp_faults_refuse(&faults, &asks, 10));
	assert_int_equal(qp_faults_set(&faults, "3/0x45:pass"), 0);
	assert_false(qp_faults_refuse(&faults, &asks, 10));
	assert_false(loses_request(&faults, 10));
	assert_false(begin(&faults, 10));
}

static void what_is_not_understood_changes_nothing(void **state)
{
	static const char *const wrong[] = {"", "3", "3/", "3/5", "3/5:", "3/5:pass=1", "3/5:hold",
	        "3/5:hold=", "3/5:hold=x", "3/5:hold=1:1", "3/5:hold=1.",
	        "3/5:lose=1:", "3/5:lose=1.2.3", "3/5:lose=-1", "3/5:lose=@", "3/5:lose=@0x1000000",
	        "3/5:lost=1", "70000/5:lose=1", "3/0x1000000:lose=1", "x/5:lose=1"};
	struct qp_faults faults = {0};

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		assert_int_equal(qp_faults_set(&faults, wrong[i]), -EINVAL);
		assert_int_equal(faults.count, 0);
	}
}

static void rows_are_used_again(void **state)
{
	struct qp_faults faults = {0};
	char setting[32];

	for (int i = 0; i < QP_FAULTS_MAX; i++) {
		snprintf(setting, sizeof(setting), "3/%d:rnr=0", i);
		assert_int_equal(qp_faults_set(&faults, setting), 0);
	}
	assert_int_equal(qp_faults_set(&faults, "3/0x45:rnr=@10"), -ENOSPC);
	assert_int_equal(qp_faults_set(&faults, "3/5:pass"), 0);
	assert_int_equal(qp_faults_set(&faults, "3/0x45:rnr=@10"), 0);
	assert_true(qp_faults_refuse(&faults, &asks, 10));
	qp_faults_clear(&faults);
	assert_false(qp_faults_refuse(&faults, &asks, 10));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(messages_are_counted_from_the_rule_on),
	        cmocka_unit_test(a_psn_names_a_message_as_well),
	        cmocka_unit_test(held_is_what_is_not_sent),
	        cmocka_unit_test(the_first_message_can_be_held_whole),
	        cmocka_unit_test(nothing_that_acknowledges_passes),
	        cmocka_unit_test(answers_are_lost_from_a_packet_on),
	        cmocka_unit_test(receives_are_hidden_for_as_long_as_the_rule_stands),
	        cmocka_unit_test(rnr_comes_so_often),
	        cmocka_unit_test(other_queue_pairs_are_left_alone),
	        cmocka_unit_test(what_is_not_understood_changes_nothing),
	        cmocka_unit_test(rows_are_used_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
