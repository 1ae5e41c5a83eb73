/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* One queue pair and packets made by hand: late, out of place, against the rules, or just enough.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "unit/hca_pair.h"

enum {
	FIRST_PSN = 100, /* of both directions; see open_pair */
	BYTES = 1024,    /* one MTU */
	FAR = 0x40000,
};

static int open_pair(void **state)
{
	struct pair_options options = pair_default;
	struct pair *pair;

	options.first_psn = FIRST_PSN;
	options.reads = 2;
	pair = pair_open(&options);
	*state = pair;
	return 0;
}

static int close_pair(void **state)
{
	pair_close(*state);
	return 0;
}

/* A request to end 1 as end 0 would send it. */
static struct packet request(struct pair *pair, uint8_t op, uint32_t psn)
{
	struct packet packet = {.opcode = op,
	        .slid = pair_lid(0),
	        .dlid = pair_lid(1),
	        .dest_qpn = 0x101,
	        .psn = psn,
	        .ack_request = 1};

	if (packet_traits[op] & IS_WRITE)
		packet.reth.length = 3 * BYTES;
	packet.reth.address = pair->end[1].region.address + FAR;
	packet.reth.rkey = pair->end[1].region.key;
	if (!(packet_traits[op] & (IS_LAST | IS_READ | IS_ATOMIC)))
		packet.payload_length = BYTES;
	return packet;
}

/* A response to end 0 as end 1 would send it. */
static struct packet response(uint8_t op, uint32_t psn, uint8_t syndrome)
{
	return (struct packet){.opcode = op,
	        .slid = pair_lid(1),
	        .dlid = pair_lid(0),
	        .dest_qpn = 0x100,
	        .psn = psn,
	        .aeth = {.syndrome = syndrome}};
}

static void give(struct pair *pair, int end, const struct packet *packet)
{
	queue_pair_receive(&pair->end[end].qp, packet);
}

static void give_request(struct pair *pair, uint8_t op, uint32_t psn)
{
	struct packet packet = request(pair, op, psn);

	give(pair, 1, &packet);
}

static void give_response(struct pair *pair, uint8_t op, uint32_t psn, uint8_t syndrome)
{
	struct packet packet = response(op, psn, syndrome);

	give(pair, 0, &packet);
}

/* The next packet that end 1 sends, taken off the wire. */
static struct packet *answer(struct pair *pair)
{
	static struct packet packet;

	pair_transmit(pair);
	assert_true(pair->on_wire > 0);
	packet = *pair->wire[0].packet;
	free(pair->wire[0].packet);
	memmove(pair->wire, pair->wire + 1, --pair->on_wire * sizeof(pair->wire[0]));
	return &packet;
}

static void assert_silent(struct pair *pair)
{
	pair_transmit(pair);
	assert_int_equal(pair->on_wire, 0);
}

static void assert_answered(struct pair *pair, uint32_t psn, uint8_t syndrome)
{
	const struct packet *packet = answer(pair);

	assert_int_equal(packet->opcode, OP_ACKNOWLEDGE);
	assert_int_equal(packet->psn, psn);
	assert_int_equal(packet->aeth.syndrome, syndrome);
}

static enum ibv_qp_state state_of(struct pair *pair, int end)
{
	return pair->end[end].qp.state;
}

/* ---- the responder ---- */

static void gap_is_reported_once(void **state)
{
	struct pair *pair = *state;

	for (uint32_t i = 1; i < 5; i++)
		give_request(pair, OP_WRITE_MIDDLE, FIRST_PSN + i);
	assert_answered(pair, FIRST_PSN, SYNDROME_NAK_SEQUENCE);
	assert_silent(pair);
	/* Made good and broken again, it is reported again. */
	give_request(pair, OP_WRITE_FIRST, FIRST_PSN);
	give_request(pair, OP_WRITE_MIDDLE, FIRST_PSN + 2);
	assert_answered(pair, FIRST_PSN, SYNDROME_ACK);
	assert_answered(pair, FIRST_PSN + 1, SYNDROME_NAK_SEQUENCE);
	assert_silent(pair);
}

static void one_acknowledgement_covers_those_before_it(void **state)
{
	struct pair *pair = *state;

	give_request(pair, OP_WRITE_FIRST, FIRST_PSN);
	give_request(pair, OP_WRITE_MIDDLE, FIRST_PSN + 1);
	assert_answered(pair, FIRST_PSN + 1, SYNDROME_ACK);
	assert_silent(pair);
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

		open_pair(&fresh);
		if (rows[i].first != 0xff) {
			give_request(fresh, rows[i].first, FIRST_PSN);
			answer(fresh);
		}
		give_request(fresh, rows[i].second, FIRST_PSN + (rows[i].first != 0xff));
		assert_answered(
		        fresh, FIRST_PSN + (rows[i].first != 0xff), SYNDROME_NAK_INVALID_REQUEST);
		assert_int_equal(state_of(fresh, 1), IBV_QPS_ERR);
		close_pair(&fresh);
	}
}

static void packet_of_the_wrong_size_is_an_invalid_request(void **state)
{
	struct pair *pair = *state;
	struct packet packet = request(pair, OP_WRITE_FIRST, FIRST_PSN);

	packet.payload_length = BYTES - 1;
	give(pair, 1, &packet);
	assert_answered(pair, FIRST_PSN, SYNDROME_NAK_INVALID_REQUEST);
}

static void write_must_end_where_it_said(void **state)
{
	struct pair *pair = *state;
	struct packet packet = request(pair, OP_WRITE_LAST, FIRST_PSN + 1);

	give_request(pair, OP_WRITE_FIRST, FIRST_PSN);
	answer(pair);
	packet.payload_length = BYTES; /* of 3 MTUs two have come */
	give(pair, 1, &packet);
	assert_answered(pair, FIRST_PSN + 1, SYNDROME_NAK_INVALID_REQUEST);
}

static void no_bytes_need_no_key(void **state)
{
	static const uint8_t ops[] = {OP_WRITE_ONLY, OP_READ_REQUEST};
	struct pair *pair = *state;

	for (uint32_t i = 0; i < 2; i++) {
		struct packet packet = request(pair, ops[i], FIRST_PSN + i);

		packet.reth.length = 0;
		packet.reth.rkey ^= 1;
		give(pair, 1, &packet);
		assert_int_equal(answer(pair)->aeth.syndrome, SYNDROME_ACK);
		assert_int_equal(state_of(pair, 1), IBV_QPS_RTS);
	}
}

static void more_reads_than_agreed_are_an_invalid_request(void **state)
{
	struct pair *pair = *state;

	for (uint32_t i = 0; i < 3; i++) {
		struct packet packet = request(pair, OP_READ_REQUEST, FIRST_PSN + i);

		packet.reth.length = 8;
		give(pair, 1, &packet);
	}
	assert_int_equal(answer(pair)->psn, FIRST_PSN);
	assert_int_equal(answer(pair)->psn, FIRST_PSN + 1);
	assert_answered(pair, FIRST_PSN + 2, SYNDROME_NAK_INVALID_REQUEST);
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

		open_pair(&fresh);
		pair = fresh;
		pair->end[1].qp.attr.qp_access_flags &= ~rows[i].without;
		give_request(pair, rows[i].op, FIRST_PSN);
		assert_answered(pair, FIRST_PSN, SYNDROME_NAK_INVALID_REQUEST);
		close_pair(&fresh);
	}
}

static void repeated_request_is_answered_and_not_executed(void **state)
{
	struct pair *pair = *state;
	struct packet packet = request(pair, OP_FETCH_ADD, FIRST_PSN);
	uint64_t *word = (uint64_t *)(void *)(pair->end[1].memory + FAR);

	packet.atomic.swap_or_add = 5;
	*word = 10;
	for (int i = 0; i < 3; i++) {
		give(pair, 1, &packet);
		assert_int_equal(answer(pair)->aeth.original, 10);
	}
	assert_int_equal(*word, 15);
	assert_silent(pair);
}

static void atomic_that_was_answered_long_ago_is_not_answered_again(void **state)
{
	struct pair *pair = *state;

	for (uint32_t i = 0; i < 3; i++) {
		give_request(pair, OP_FETCH_ADD, FIRST_PSN + i);
		answer(pair);
	}
	/* Two were agreed on, so the first is forgotten: the requester cannot ask for it. */
	give_request(pair, OP_FETCH_ADD, FIRST_PSN);
	assert_silent(pair);
	assert_int_equal(state_of(pair, 1), IBV_QPS_RTS);
}

static void repeated_read_tells_what_is_there_now(void **state)
{
	struct pair *pair = *state;
	struct packet packet = request(pair, OP_READ_REQUEST, FIRST_PSN);

	packet.reth.length = 1;
	pair->end[1].memory[FAR] = 1;
	give(pair, 1, &packet);
	assert_int_equal(answer(pair)->payload[0], 1);
	pair->end[1].memory[FAR] = 2;
	give(pair, 1, &packet);
	assert_int_equal(answer(pair)->payload[0], 2);
}

static void late_copy_of_a_read_whose_region_is_gone_harms_nobody(void **state)
{
	struct pair *pair = *state;
	struct packet packet = request(pair, OP_READ_REQUEST, FIRST_PSN);

	packet.reth.length = 1;
	give(pair, 1, &packet);
	answer(pair);
	memory_keys_remove(pair->end[1].host.keys, &pair->end[1].region);
	give(pair, 1, &packet);
	assert_silent(pair);
	assert_int_equal(state_of(pair, 1), IBV_QPS_RTS);
}

static void first_packet_before_rts_establishes_the_connection(void **state)
{
	struct pair *pair = *state;
	struct queue_pair *qp = &pair->end[1].qp;

	qp->state = IBV_QPS_RTR;
	give_request(pair, OP_WRITE_FIRST, FIRST_PSN);
	give_request(pair, OP_WRITE_MIDDLE, FIRST_PSN + 1);
	assert_int_equal(pair->end[1].event_count, 1);
	assert_int_equal(pair->end[1].events[0], IBV_EVENT_COMM_EST);
}

static void queue_pair_that_is_not_ready_hears_nothing(void **state)
{
	static const enum ibv_qp_state deaf[] = {IBV_QPS_RESET, IBV_QPS_INIT, IBV_QPS_ERR};
	struct pair *pair = *state;

	for (size_t i = 0; i < sizeof(deaf) / sizeof(deaf[0]); i++) {
		pair->end[1].qp.state = deaf[i];
		give_request(pair, OP_WRITE_FIRST, FIRST_PSN);
		assert_silent(pair);
		assert_int_equal(pair->end[1].qp.responder.expected_psn, FIRST_PSN);
	}
}

/* ---- the requester ---- */

static void post(struct pair *pair, enum ibv_wr_opcode opcode, uint32_t length, uint64_t wr_id)
{
	struct ibv_sge sge = pair_sge(pair, 0, 0, length);
	struct ibv_send_wr wr = pair_request(pair, 0, opcode, &sge, FAR, wr_id);

	assert_int_equal(pair_post(pair, 0, &wr), 0);
	while (pair->end[0].is_ready)
		answer(pair);
}

static void assert_completed(struct pair *pair, uint64_t wr_id, enum ibv_wc_status status)
{
	struct ibv_wc wc = {0};

	assert_true(pair_poll_send(pair, 0, &wc));
	assert_int_equal(wc.wr_id, wr_id);
	assert_int_equal(wc.status, status);
}

static void assert_waiting(struct pair *pair)
{
	struct ibv_wc wc;

	assert_false(pair_poll_send(pair, 0, &wc));
	assert_int_equal(state_of(pair, 0), IBV_QPS_RTS);
	assert_silent(pair);
}

static void answer_to_what_was_never_sent_is_ignored(void **state)
{
	struct pair *pair = *state;

	post(pair, IBV_WR_RDMA_WRITE, 8, 1);
	give_response(pair, OP_ACKNOWLEDGE, FIRST_PSN + 1, SYNDROME_ACK);
	give_response(pair, OP_ACKNOWLEDGE, FIRST_PSN + 1, SYNDROME_NAK_ACCESS);
	give_response(pair, OP_ACKNOWLEDGE, FIRST_PSN + 1, SYNDROME_RNR_NAK);
	assert_waiting(pair);
	give_response(pair, OP_ACKNOWLEDGE, FIRST_PSN, SYNDROME_ACK);
	assert_completed(pair, 1, IBV_WC_SUCCESS);
}

static void late_answer_to_what_is_acknowledged_is_ignored(void **state)
{
	struct pair *pair = *state;

	post(pair, IBV_WR_RDMA_WRITE, 8, 1);
	post(pair, IBV_WR_RDMA_WRITE, 8, 2);
	give_response(pair, OP_ACKNOWLEDGE, FIRST_PSN, SYNDROME_ACK);
	assert_completed(pair, 1, IBV_WC_SUCCESS);
	give_response(pair, OP_ACKNOWLEDGE, FIRST_PSN, SYNDROME_NAK_ACCESS);
	give_response(pair, OP_ACKNOWLEDGE, FIRST_PSN, SYNDROME_NAK_SEQUENCE);
	give_response(pair, OP_ACKNOWLEDGE, FIRST_PSN, SYNDROME_RNR_NAK);
	assert_waiting(pair);
}

static void second_report_of_one_loss_is_ignored(void **state)
{
	struct pair *pair = *state;

	post(pair, IBV_WR_RDMA_WRITE, 8, 1);
	post(pair, IBV_WR_RDMA_WRITE, 8, 2);
	give_response(pair, OP_ACKNOWLEDGE, FIRST_PSN, SYNDROME_NAK_SEQUENCE);
	assert_int_equal(answer(pair)->psn, FIRST_PSN);
	assert_int_equal(answer(pair)->psn, FIRST_PSN + 1);
	give_response(pair, OP_ACKNOWLEDGE, FIRST_PSN, SYNDROME_NAK_SEQUENCE);
	assert_waiting(pair);
}

static void answer_of_another_kind_is_ignored(void **state)
{
	struct pair *pair = *state;

	post(pair, IBV_WR_RDMA_READ, 8, 1);
	give_response(pair, OP_ATOMIC_ACKNOWLEDGE, FIRST_PSN, SYNDROME_ACK);
	assert_waiting(pair);
}

static void acknowledgement_of_a_read_says_that_its_data_is_lost(void **state)
{
	struct pair *pair = *state;

	post(pair, IBV_WR_RDMA_READ, 8, 1);
	post(pair, IBV_WR_RDMA_WRITE, 8, 2);
	give_response(pair, OP_ACKNOWLEDGE, FIRST_PSN + 1, SYNDROME_ACK);
	assert_int_equal(answer(pair)->opcode, OP_READ_REQUEST);
	assert_int_equal(answer(pair)->opcode, OP_WRITE_ONLY);
	assert_waiting(pair);
}

static void read_data_of_the_wrong_length_is_a_bad_response(void **state)
{
	struct pair *pair = *state;
	struct packet packet = response(OP_READ_RESPONSE_ONLY, FIRST_PSN, SYNDROME_ACK);

	post(pair, IBV_WR_RDMA_READ, 8, 1);
	packet.payload_length = 9;
	give(pair, 0, &packet);
	assert_completed(pair, 1, IBV_WC_BAD_RESP_ERR);
	assert_int_equal(pair->end[0].memory[8], 0);
}

static void read_goes_on_after_the_part_that_came(void **state)
{
	struct pair *pair = *state;
	struct packet first = response(OP_READ_RESPONSE_FIRST, FIRST_PSN, SYNDROME_ACK);
	const struct packet *again;

	post(pair, IBV_WR_RDMA_READ, 3 * BYTES, 1);
	first.payload_length = BYTES;
	give(pair, 0, &first);
	/* The second of three is lost; the third tells. */
	first.opcode = OP_READ_RESPONSE_LAST;
	first.psn = FIRST_PSN + 2;
	give(pair, 0, &first);
	again = answer(pair);
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

static void full_receive_queue_takes_no_more(void **state)
{
	struct pair *pair = *state;

	for (uint32_t i = 0; i < pair_cap.max_recv_wr; i++)
		assert_int_equal(pair_post_receive(pair, 0, 0, 8, i), 0);
	assert_int_equal(pair_post_receive(pair, 0, 0, 8, 0), -ENOMEM);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, open_pair, close_pair)
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
	        TEST(first_packet_before_rts_establishes_the_connection),
	        TEST(queue_pair_that_is_not_ready_hears_nothing),
	        TEST(answer_to_what_was_never_sent_is_ignored),
	        TEST(late_answer_to_what_is_acknowledged_is_ignored),
	        TEST(second_report_of_one_loss_is_ignored),
	        TEST(answer_of_another_kind_is_ignored),
	        TEST(acknowledgement_of_a_read_says_that_its_data_is_lost),
	        TEST(read_data_of_the_wrong_length_is_a_bad_response),
	        TEST(read_goes_on_after_the_part_that_came),
	        TEST(window_bounds_what_is_not_acknowledged),
	        TEST(full_receive_queue_takes_no_more),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
