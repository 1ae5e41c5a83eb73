/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* A responder and requests made by hand: late, out of place, against the rules, or just enough. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "unit/hca_by_hand.h"

static enum ibv_qp_state state_of(struct pair *pair, int end)
{
	return pair->end[end].qp.state;
}

static void gap_is_reported_once(void **state)
{
	struct pair *pair = *state;

	for (uint32_t i = 1; i < 5; i++)
		hand_give_request(pair, OP_WRITE_MIDDLE, FIRST_PSN + i);
	hand_assert_answered(pair, FIRST_PSN, SYNDROME_NAK_SEQUENCE);
	hand_assert_silent(pair);
	/* Made good and broken again, it is reported again. */
	hand_give_request(pair, OP_WRITE_FIRST, FIRST_PSN);
	hand_give_request(pair, OP_WRITE_MIDDLE, FIRST_PSN + 2);
	hand_assert_answered(pair, FIRST_PSN, SYNDROME_ACK);
	hand_assert_answered(pair, FIRST_PSN + 1, SYNDROME_NAK_SEQUENCE);
	hand_assert_silent(pair);
}

static void one_acknowledgement_covers_those_before_it(void **state)
{
	struct pair *pair = *state;

	hand_give_request(pair, OP_WRITE_FIRST, FIRST_PSN);
	hand_give_request(pair, OP_WRITE_MIDDLE, FIRST_PSN + 1);
	hand_assert_answered(pair, FIRST_PSN + 1, SYNDROME_ACK);
	hand_assert_silent(pair);
}

static void message_out_of_sequence_is_an_invalid_request(void **state)
{
	static const struct {
		uint8_t first, second; /* 0xff: nothing before */
	} rows[] = {
	        {0xff, OP_SEND_MIDDLE},
	        {0xff, OP_SEND_LAST},
	        {0xff, OP_WRITE_LAST},
	        {OP_WRITE_FIRST, OP_WRITE_FIRST},
	        {OP_WRITE_FIRST, OP_SEND_MIDDLE},
	        {OP_WRITE_FIRST, OP_SEND_ONLY},
	        {OP_WRITE_FIRST, OP_READ_REQUEST},
	        {OP_WRITE_FIRST, OP_FETCH_ADD},
	        {0xff, 0x15}, /* reserved */
	        {0xff, 0x1f},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		void *fresh;

		hand_open(&fresh);
		if (rows[i].first != 0xff) {
			hand_give_request(fresh, rows[i].first, FIRST_PSN);
			hand_next(fresh);
		}
		hand_give_request(fresh, rows[i].second, FIRST_PSN + (rows[i].first != 0xff));
		hand_assert_answered(
		        fresh, FIRST_PSN + (rows[i].first != 0xff), SYNDROME_NAK_INVALID_REQUEST);
		assert_int_equal(state_of(fresh, 1), IBV_QPS_ERR);
		hand_close(&fresh);
	}
}

static void packet_of_the_wrong_size_is_an_invalid_request(void **state)
{
	struct pair *pair = *state;
	struct packet packet = hand_request(pair, OP_WRITE_FIRST, FIRST_PSN);

	packet.payload_length = BYTES - 1;
	hand_give(pair, 1, &packet);
	hand_assert_answered(pair, FIRST_PSN, SYNDROME_NAK_INVALID_REQUEST);
}

static void write_must_end_where_it_said(void **state)
{
	struct pair *pair = *state;
	struct packet packet = hand_request(pair, OP_WRITE_LAST, FIRST_PSN + 1);

	hand_give_request(pair, OP_WRITE_FIRST, FIRST_PSN);
	hand_next(pair);
	packet.payload_length = BYTES; /* of 3 MTUs two have come */
	hand_give(pair, 1, &packet);
	hand_assert_answered(pair, FIRST_PSN + 1, SYNDROME_NAK_INVALID_REQUEST);
}

static void no_bytes_need_no_key(void **state)
{
	static const uint8_t ops[] = {OP_WRITE_ONLY, OP_READ_REQUEST};
	struct pair *pair = *state;

	for (uint32_t i = 0; i < 2; i++) {
		struct packet packet = hand_request(pair, ops[i], FIRST_PSN + i);

		packet.reth.length = 0;
		packet.reth.rkey ^= 1;
		hand_give(pair, 1, &packet);
		assert_int_equal(hand_next(pair)->aeth.syndrome, SYNDROME_ACK);
		assert_int_equal(state_of(pair, 1), IBV_QPS_RTS);
	}
}

static void more_reads_than_agreed_are_an_invalid_request(void **state)
{
	struct pair *pair = *state;

	for (uint32_t i = 0; i < 3; i++) {
		struct packet packet = hand_request(pair, OP_READ_REQUEST, FIRST_PSN + i);

		packet.reth.length = 8;
		hand_give(pair, 1, &packet);
	}
	assert_int_equal(hand_next(pair)->psn, FIRST_PSN);
	assert_int_equal(hand_next(pair)->psn, FIRST_PSN + 1);
	hand_assert_answered(pair, FIRST_PSN + 2, SYNDROME_NAK_INVALID_REQUEST);
}

static void operation_that_is_not_granted_is_an_invalid_request(void **state)
{
	static const struct {
		uint8_t op;
		unsigned without;
	} rows[] = {
	        {OP_WRITE_FIRST, IBV_ACCESS_REMOTE_WRITE},
	        {OP_READ_REQUEST, IBV_ACCESS_REMOTE_READ},
	        {OP_FETCH_ADD, IBV_ACCESS_REMOTE_ATOMIC},
	        {OP_COMPARE_SWAP, IBV_ACCESS_REMOTE_ATOMIC},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		void *fresh;
		struct pair *pair;

		hand_open(&fresh);
		pair = fresh;
		pair->end[1].qp.attr.qp_access_flags &= ~rows[i].without;
		hand_give_request(pair, rows[i].op, FIRST_PSN);
		hand_assert_answered(pair, FIRST_PSN, SYNDROME_NAK_INVALID_REQUEST);
		hand_close(&fresh);
	}
}

static void repeated_request_is_answered_and_not_executed(void **state)
{
	struct pair *pair = *state;
	struct packet packet = hand_request(pair, OP_FETCH_ADD, FIRST_PSN);
	uint64_t *word = (uint64_t *)(void *)(pair->end[1].memory + FAR);

	packet.atomic.swap_or_add = 5;
	*word = 10;
	for (int i = 0; i < 3; i++) {
		hand_give(pair, 1, &packet);
		assert_int_equal(hand_next(pair)->aeth.original, 10);
	}
	assert_int_equal(*word, 15);
	hand_assert_silent(pair);
}

static void atomic_that_was_answered_long_ago_is_not_answered_again(void **state)
{
	struct pair *pair = *state;

	for (uint32_t i = 0; i < 3; i++) {
		hand_give_request(pair, OP_FETCH_ADD, FIRST_PSN + i);
		hand_next(pair);
	}
	/* Two were agreed on, so the first is forgotten: the requester cannot ask for it. */
	hand_give_request(pair, OP_FETCH_ADD, FIRST_PSN);
	hand_assert_silent(pair);
	assert_int_equal(state_of(pair, 1), IBV_QPS_RTS);
}

static void repeated_read_tells_what_is_there_now(void **state)
{
	struct pair *pair = *state;
	struct packet packet = hand_request(pair, OP_READ_REQUEST, FIRST_PSN);

	packet.reth.length = 1;
	pair->end[1].memory[FAR] = 1;
	hand_give(pair, 1, &packet);
	assert_int_equal(hand_next(pair)->payload[0], 1);
	pair->end[1].memory[FAR] = 2;
	hand_give(pair, 1, &packet);
	assert_int_equal(hand_next(pair)->payload[0], 2);
}

/* A READ of one byte that has been answered: who asks again gives it once more. */
static struct packet answered_read(struct pair *pair)
{
	struct packet packet = hand_request(pair, OP_READ_REQUEST, FIRST_PSN);

	packet.reth.length = 1;
	hand_give(pair, 1, &packet);
	hand_next(pair);
	return packet;
}

static void late_copy_of_a_read_whose_region_is_gone_harms_nobody(void **state)
{
	struct pair *pair = *state;
	struct packet packet = answered_read(pair);

	memory_keys_remove(pair->end[1].host.keys, &pair->end[1].region);
	hand_give(pair, 1, &packet);
	hand_assert_silent(pair);
	assert_int_equal(state_of(pair, 1), IBV_QPS_RTS);
}

static void repeated_read_whose_region_goes_before_the_answer_harms_nobody(void **state)
{
	struct pair *pair = *state;
	struct packet packet = answered_read(pair);

	hand_give(pair, 1, &packet);
	memory_keys_remove(pair->end[1].host.keys, &pair->end[1].region);
	hand_assert_silent(pair);
	assert_int_equal(state_of(pair, 1), IBV_QPS_RTS);
}

static void first_packet_before_rts_establishes_the_connection(void **state)
{
	struct pair *pair = *state;
	struct queue_pair *qp = &pair->end[1].qp;

	qp->state = IBV_QPS_RTR;
	hand_give_request(pair, OP_WRITE_FIRST, FIRST_PSN);
	hand_give_request(pair, OP_WRITE_MIDDLE, FIRST_PSN + 1);
	assert_int_equal(pair->end[1].event_count, 1);
	assert_int_equal(pair->end[1].events[0], IBV_EVENT_COMM_EST);
}

static void queue_pair_that_is_not_ready_hears_nothing(void **state)
{
	static const enum ibv_qp_state deaf[] = {IBV_QPS_RESET, IBV_QPS_INIT, IBV_QPS_ERR};
	struct pair *pair = *state;

	for (size_t i = 0; i < sizeof(deaf) / sizeof(deaf[0]); i++) {
		pair->end[1].qp.state = deaf[i];
		hand_give_request(pair, OP_WRITE_FIRST, FIRST_PSN);
		hand_assert_silent(pair);
		assert_int_equal(pair->end[1].qp.responder.expected_psn, FIRST_PSN);
	}
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, hand_open, hand_close)
	const struct CMUnitTest tests[] = {
	        TEST(gap_is_reported_once),
	        TEST(one_acknowledgement_covers_those_before_it),
	        TEST(message_out_of_sequence_is_an_invalid_request),
	        TEST(packet_of_the_wrong_size_is_an_invalid_request),
	        TEST(write_must_end_where_it_said),
	        TEST(no_bytes_need_no_key),
	        TEST(more_reads_than_agreed_are_an_invalid_request),
	        TEST(operation_that_is_not_granted_is_an_invalid_request),
	        TEST(repeated_request_is_answered_and_not_executed),
	        TEST(atomic_that_was_answered_long_ago_is_not_answered_again),
	        TEST(repeated_read_tells_what_is_there_now),
	        TEST(late_copy_of_a_read_whose_region_is_gone_harms_nobody),
	        TEST(repeated_read_whose_region_goes_before_the_answer_harms_nobody),
	        TEST(first_packet_before_rts_establishes_the_connection),
	        TEST(queue_pair_that_is_not_ready_hears_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
