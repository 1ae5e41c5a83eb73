/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* A requester and responses made by hand: late, never asked for, or of another kind. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "unit/hca_by_hand.h"
#include "unit/hca_pair_checks.h"

static void post(struct pair *pair, enum ibv_wr_opcode opcode, uint32_t length, uint64_t wr_id)
{
	struct ibv_sge sge = pair_sge(pair, 0, 0, length);
	struct ibv_send_wr wr = pair_request(pair, 0, opcode, &sge, FAR, wr_id);

	assert_int_equal(pair_post(pair, 0, &wr), 0);
	while (pair->end[0].is_ready)
		hand_next(pair);
}

static void assert_waiting(struct pair *pair)
{
	struct ibv_wc wc;

	assert_false(pair_poll_send(pair, 0, &wc));
	assert_int_equal(pair->end[0].qp.state, IBV_QPS_RTS);
	hand_assert_silent(pair);
}

static void answer_to_what_was_never_sent_is_ignored(void **state)
{
	struct pair *pair = *state;

	post(pair, IBV_WR_RDMA_WRITE, 8, 1);
	hand_give_response(pair, OP_ACKNOWLEDGE, FIRST_PSN + 1, SYNDROME_ACK);
	hand_give_response(pair, OP_ACKNOWLEDGE, FIRST_PSN + 1, SYNDROME_NAK_ACCESS);
	hand_give_response(pair, OP_ACKNOWLEDGE, FIRST_PSN + 1, SYNDROME_RNR_NAK);
	assert_waiting(pair);
	hand_give_response(pair, OP_ACKNOWLEDGE, FIRST_PSN, SYNDROME_ACK);
	pair_assert_sent(pair, 0, 1, IBV_WC_SUCCESS);
}

static void late_answer_to_what_is_acknowledged_is_ignored(void **state)
{
	struct pair *pair = *state;

	post(pair, IBV_WR_RDMA_WRITE, 8, 1);
	post(pair, IBV_WR_RDMA_WRITE, 8, 2);
	hand_give_response(pair, OP_ACKNOWLEDGE, FIRST_PSN, SYNDROME_ACK);
	pair_assert_sent(pair, 0, 1, IBV_WC_SUCCESS);
	hand_give_response(pair, OP_ACKNOWLEDGE, FIRST_PSN, SYNDROME_NAK_ACCESS);
	hand_give_response(pair, OP_ACKNOWLEDGE, FIRST_PSN, SYNDROME_NAK_SEQUENCE);
	hand_give_response(pair, OP_ACKNOWLEDGE, FIRST_PSN, SYNDROME_RNR_NAK);
	assert_waiting(pair);
}

static void second_report_of_one_loss_is_ignored(void **state)
{
	struct pair *pair = *state;

	post(pair, IBV_WR_RDMA_WRITE, 8, 1);
	post(pair, IBV_WR_RDMA_WRITE, 8, 2);
	hand_give_response(pair, OP_ACKNOWLEDGE, FIRST_PSN, SYNDROME_NAK_SEQUENCE);
	assert_int_equal(hand_next(pair)->psn, FIRST_PSN);
	assert_int_equal(hand_next(pair)->psn, FIRST_PSN + 1);
	hand_give_response(pair, OP_ACKNOWLEDGE, FIRST_PSN, SYNDROME_NAK_SEQUENCE);
	assert_waiting(pair);
}

static void answer_of_another_kind_is_ignored(void **state)
{
	struct pair *pair = *state;

	post(pair, IBV_WR_RDMA_READ, 8, 1);
	hand_give_response(pair, OP_ATOMIC_ACKNOWLEDGE, FIRST_PSN, SYNDROME_ACK);
	assert_waiting(pair);
}

static void acknowledgement_of_a_read_says_that_its_data_is_lost(void **state)
{
	struct pair *pair = *state;

	post(pair, IBV_WR_RDMA_READ, 8, 1);
	post(pair, IBV_WR_RDMA_WRITE, 8, 2);
	hand_give_response(pair, OP_ACKNOWLEDGE, FIRST_PSN + 1, SYNDROME_ACK);
	assert_int_equal(hand_next(pair)->opcode, OP_READ_REQUEST);
	assert_int_equal(hand_next(pair)->opcode, OP_WRITE_ONLY);
	assert_waiting(pair);
}

static void read_data_of_the_wrong_length_is_a_bad_response(void **state)
{
	struct pair *pair = *state;
	struct packet packet = hand_response(OP_READ_RESPONSE_ONLY, FIRST_PSN, SYNDROME_ACK);

	post(pair, IBV_WR_RDMA_READ, 8, 1);
	packet.payload_length = 9;
	hand_give(pair, 0, &packet);
	pair_assert_sent(pair, 0, 1, IBV_WC_BAD_RESP_ERR);
	assert_int_equal(pair->end[0].memory[8], 0);
}

static void read_goes_on_after_the_part_that_came(void **state)
{
	struct pair *pair = *state;
	struct packet first = hand_response(OP_READ_RESPONSE_FIRST, FIRST_PSN, SYNDROME_ACK);
	const struct packet *again;

	post(pair, IBV_WR_RDMA_READ, 3 * BYTES, 1);
	first.payload_length = BYTES;
	hand_give(pair, 0, &first);
	/* The second of three is lost; the third tells. */
	first.opcode = OP_READ_RESPONSE_LAST;
	first.psn = FIRST_PSN + 2;
	hand_give(pair, 0, &first);
	again = hand_next(pair);
	assert_int_equal(again->psn, FIRST_PSN + 1);
	assert_int_equal(again->reth.address, pair->end[1].region.address + FAR + BYTES);
	assert_int_equal(again->reth.length, 2 * BYTES);
}

static void window_bounds_what_is_not_acknowledged(void **state)
{
	struct pair *pair = *state;
	struct ibv_sge sge = pair_sge(pair, 0, 0, PAIR_MEMORY / 2);
	unsigned sent = 0;

	for (uint64_t i = 0; i < 8; i++) {
		struct ibv_send_wr wr = pair_request(pair, 0, IBV_WR_RDMA_WRITE, &sge, 0, i);

		assert_int_equal(pair_post(pair, 0, &wr), 0);
	}
	for (; pair_transmit(pair); sent += pair->on_wire, pair->on_wire = 0) {
		for (unsigned i = 0; i < pair->on_wire; i++)
			free(pair->wire[i].packet);
	}
	assert_int_equal(sent, REQUEST_WINDOW);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, hand_open, hand_close)
	const struct CMUnitTest tests[] = {
	        TEST(answer_to_what_was_never_sent_is_ignored),
	        TEST(late_answer_to_what_is_acknowledged_is_ignored),
	        TEST(second_report_of_one_loss_is_ignored),
	        TEST(answer_of_another_kind_is_ignored),
	        TEST(acknowledgement_of_a_read_says_that_its_data_is_lost),
	        TEST(read_data_of_the_wrong_length_is_a_bad_response),
	        TEST(read_goes_on_after_the_part_that_came),
	        TEST(window_bounds_what_is_not_acknowledged),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
