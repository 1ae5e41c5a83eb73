/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* Two UC queue pairs on a wire: whole messages arrive, of others nothing is heard. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "unit/hca_pair_checks.h"

enum {
	MTU = 1024,
	LONG = 3 * MTU + 17, /* four packets */
	FAR = 0x40000,       /* where end 1 receives or is written to */
	NOTHING = 1 << 30,
};

/* Loses packet number @lose that end 0 sends, counted from 0. */
struct wire {
	int lose, sent;
};

static int lose_one(void *test, int from, const struct packet *packet, uint64_t *delay_ns)
{
	struct wire *wire = test;

	return from || wire->sent++ != wire->lose;
}

static struct wire wire;

static struct pair *open_with(bool with_srq)
{
	struct pair_options options = pair_default;
	struct pair *pair;

	options.types[0] = options.types[1] = IBV_QPT_UC;
	options.with_srq = with_srq;
	pair = pair_open(&options);
	wire = (struct wire){.lose = NOTHING};
	pair->fate = lose_one;
	pair->test = &wire;
	pair_fill(pair, 0, 0, LONG, 1);
	return pair;
}

static int open_pair(void **state)
{
	*state = open_with(false);
	return 0;
}

static int open_srq_pair(void **state)
{
	*state = open_with(true);
	return 0;
}

static int close_pair(void **state)
{
	pair_close(*state);
	return 0;
}

static void post(struct pair *pair, enum ibv_wr_opcode opcode, uint32_t bytes, uint64_t wr_id)
{
	struct ibv_sge sge = pair_sge(pair, 0, 0, bytes);
	struct ibv_send_wr wr = pair_request(pair, 0, opcode, &sge, FAR, wr_id);

	wr.imm_data = 0x11223344;
	assert_int_equal(pair_post(pair, 0, &wr), 0);
	assert_true(pair_settle(pair));
}

static struct ibv_wc received(struct pair *pair, uint64_t wr_id, enum ibv_wc_status status)
{
	struct ibv_wc wc;

	assert_true(pair_poll_receive(pair, 1, &wc));
	assert_int_equal(wc.wr_id, wr_id);
	assert_int_equal(wc.status, status);
	return wc;
}

static void nothing_received(struct pair *pair)
{
	struct ibv_wc wc;

	assert_false(pair_poll_receive(pair, 1, &wc));
	assert_int_equal(pair->end[1].qp.state, IBV_QPS_RTS);
}

static void assert_arrived(struct pair *pair, uint32_t bytes)
{
	assert_memory_equal(pair->end[1].memory + FAR, pair->end[0].memory, bytes);
}

static void message_arrives_whole_at_every_length(void **state)
{
	static const uint32_t lengths[] = {0, 1, MTU - 1, MTU, MTU + 1, 2 * MTU, LONG};
	struct pair *pair = *state;

	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		memset(pair->end[1].memory + FAR, 0, LONG);
		pair_post_receive(pair, 1, FAR, LONG, i);
		post(pair, IBV_WR_SEND, lengths[i], i);
		pair_assert_sent(pair, 0, i, IBV_WC_SUCCESS);
		assert_int_equal(received(pair, i, IBV_WC_SUCCESS).byte_len, lengths[i]);
		assert_arrived(pair, lengths[i]);
	}
	/* Nobody acknowledges. */
	assert_int_equal(pair->sent[1], 0);
}

static void write_arrives_and_only_its_immediate_is_seen(void **state)
{
	struct pair *pair = *state;
	struct ibv_wc wc;

	post(pair, IBV_WR_RDMA_WRITE, LONG, 1);
	assert_arrived(pair, LONG);
	nothing_received(pair);
	pair_post_receive(pair, 1, 0, 0, 7);
	post(pair, IBV_WR_RDMA_WRITE_WITH_IMM, LONG, 2);
	wc = received(pair, 7, IBV_WC_SUCCESS);
	assert_int_equal(wc.opcode, IBV_WC_RECV_RDMA_WITH_IMM);
	assert_int_equal(wc.byte_len, LONG);
	assert_int_equal(wc.imm_data, 0x11223344);
}

static void send_completes_though_nobody_hears_it(void **state)
{
	struct pair *pair = *state;

	post(pair, IBV_WR_SEND, LONG, 1);
	pair_assert_sent(pair, 0, 1, IBV_WC_SUCCESS);
	nothing_received(pair);
}

static void any_lost_packet_loses_its_message_and_no_other(void **state)
{
	struct pair *pair = *state;

	for (int lose = 0; lose < 4; lose++) {
		pair_post_receive(pair, 1, FAR, LONG, 10);
		wire = (struct wire){.lose = lose};
		post(pair, IBV_WR_SEND, LONG, 1);
		pair_assert_sent(pair, 0, 1, IBV_WC_SUCCESS);
		nothing_received(pair);
		post(pair, IBV_WR_SEND, LONG, 2);
		pair_assert_sent(pair, 0, 2, IBV_WC_SUCCESS);
		received(pair, 10, IBV_WC_SUCCESS);
		assert_arrived(pair, LONG);
	}
}

static void any_lost_packet_of_a_write_loses_its_immediate(void **state)
{
	struct pair *pair = *state;

	for (int lose = 0; lose < 4; lose++) {
		pair_post_receive(pair, 1, 0, 0, 10);
		wire = (struct wire){.lose = lose};
		post(pair, IBV_WR_RDMA_WRITE_WITH_IMM, LONG, 1);
		nothing_received(pair);
		post(pair, IBV_WR_RDMA_WRITE_WITH_IMM, LONG, 2);
		received(pair, 10, IBV_WC_SUCCESS);
	}
}

/* The last packet of one message and the first of the next may be lost together. */
static void halves_of_two_messages_do_not_make_one(void **state)
{
	struct pair *pair = *state;
	uint32_t psn = pair_default.first_psn;
	struct packet half = {.opcode = TRANSPORT_UC | OP_SEND_FIRST,
	        .slid = pair_lid(0),
	        .psn = psn,
	        .payload_length = MTU};

	pair_post_receive(pair, 1, FAR, LONG, 10);
	queue_pair_receive(&pair->end[1].qp, &half);
	half.opcode = TRANSPORT_UC | OP_SEND_LAST;
	half.psn = psn_add(psn, 3);
	queue_pair_receive(&pair->end[1].qp, &half);
	nothing_received(pair);
	/* The end of another kind does not either, though it is the next packet. */
	half.opcode = TRANSPORT_UC | OP_SEND_FIRST;
	half.psn = psn_add(psn, 4);
	queue_pair_receive(&pair->end[1].qp, &half);
	half.opcode = TRANSPORT_UC | OP_WRITE_LAST;
	half.psn = psn_add(psn, 5);
	half.payload_length = 8;
	queue_pair_receive(&pair->end[1].qp, &half);
	half.opcode = TRANSPORT_UC | OP_SEND_LAST;
	half.psn = psn_add(psn, 6);
	queue_pair_receive(&pair->end[1].qp, &half);
	nothing_received(pair);
}

static void shared_buffer_of_a_message_given_up_completes_with_an_error(void **state)
{
	struct pair *pair = *state;

	pair_post_receive(pair, 1, FAR, LONG, 10);
	pair_post_receive(pair, 1, FAR, LONG, 11);
	wire = (struct wire){.lose = 2};
	post(pair, IBV_WR_SEND, LONG, 1);
	received(pair, 10, IBV_WC_REM_INV_REQ_ERR);
	nothing_received(pair);
	post(pair, IBV_WR_SEND, LONG, 2);
	received(pair, 11, IBV_WC_SUCCESS);
}

/* Nothing told that it had no end before the next one began. */
static void shared_buffer_of_a_message_without_end_does_not_serve_the_next(void **state)
{
	struct pair *pair = *state;

	pair_post_receive(pair, 1, FAR, LONG, 10);
	pair_post_receive(pair, 1, FAR, LONG, 11);
	wire = (struct wire){.lose = 3};
	post(pair, IBV_WR_SEND, LONG, 1);
	nothing_received(pair);
	post(pair, IBV_WR_SEND, LONG, 2);
	received(pair, 10, IBV_WC_REM_INV_REQ_ERR);
	received(pair, 11, IBV_WC_SUCCESS);
}

static void packet_of_the_wrong_size_loses_its_message(void **state)
{
	struct pair *pair = *state;
	struct packet packet = {.opcode = TRANSPORT_UC | OP_SEND_FIRST,
	        .slid = pair_lid(0),
	        .psn = pair_default.first_psn,
	        .payload_length = MTU - 1};

	pair_post_receive(pair, 1, FAR, LONG, 10);
	queue_pair_receive(&pair->end[1].qp, &packet);
	packet.opcode = TRANSPORT_UC | OP_SEND_LAST;
	packet.psn = psn_add(packet.psn, 1);
	queue_pair_receive(&pair->end[1].qp, &packet);
	nothing_received(pair);
}

static void message_longer_than_the_buffer_leaves_it_for_the_next(void **state)
{
	struct pair *pair = *state;

	pair_post_receive(pair, 1, FAR, MTU + 1, 10);
	post(pair, IBV_WR_SEND, MTU + 2, 1);
	nothing_received(pair);
	post(pair, IBV_WR_SEND, MTU + 1, 2);
	received(pair, 10, IBV_WC_SUCCESS);
	assert_arrived(pair, MTU + 1);
}

/* A buffer that a message given up has left serves a WRITE with immediate as well. */
static void buffer_that_is_left_is_the_next_one(void **state)
{
	struct pair *pair = *state;

	pair_post_receive(pair, 1, FAR, LONG, 10);
	pair_post_receive(pair, 1, FAR, LONG, 11);
	wire = (struct wire){.lose = 3};
	post(pair, IBV_WR_SEND, LONG, 1);
	post(pair, IBV_WR_RDMA_WRITE_WITH_IMM, 8, 2);
	received(pair, 10, IBV_WC_SUCCESS);
	post(pair, IBV_WR_SEND, LONG, 3);
	received(pair, 11, IBV_WC_SUCCESS);
}

static void left_buffer_is_flushed(void **state)
{
	struct pair *pair = *state;
	struct ibv_qp_attr attr = {.qp_state = IBV_QPS_ERR};

	pair_post_receive(pair, 1, FAR, LONG, 10);
	pair_post_receive(pair, 1, FAR, LONG, 11);
	wire = (struct wire){.lose = 3};
	post(pair, IBV_WR_SEND, LONG, 1);
	assert_int_equal(queue_pair_modify(&pair->end[1].qp, &attr, IBV_QP_STATE), 0);
	received(pair, 10, IBV_WC_WR_FLUSH_ERR);
	received(pair, 11, IBV_WC_WR_FLUSH_ERR);
}

static void write_that_is_not_allowed_is_dropped(void **state)
{
	struct pair *pair = *state;
	struct ibv_sge sge = pair_sge(pair, 0, 0, LONG);
	struct ibv_send_wr wr = pair_request(pair, 0, IBV_WR_RDMA_WRITE, &sge, FAR, 1);

	wr.wr.rdma.rkey ^= 0xff;
	assert_int_equal(pair_post(pair, 0, &wr), 0);
	assert_true(pair_settle(pair));
	pair_assert_sent(pair, 0, 1, IBV_WC_SUCCESS);
	assert_int_equal(pair->end[1].memory[FAR], 0);
	pair->end[1].qp.attr.qp_access_flags = 0;
	post(pair, IBV_WR_RDMA_WRITE, LONG, 2);
	assert_int_equal(pair->end[1].memory[FAR], 0);
	assert_int_equal(pair->end[1].qp.state, IBV_QPS_RTS);
	assert_int_equal(pair->end[1].event_count, 0);
	/* And what comes behind it is heard. */
	pair_post_receive(pair, 1, FAR, 8, 10);
	post(pair, IBV_WR_SEND, 8, 3);
	received(pair, 10, IBV_WC_SUCCESS);
}

static void local_error_stops_the_send_queue(void **state)
{
	struct pair *pair = *state;
	struct ibv_qp_attr attr = {.qp_state = IBV_QPS_RTS};
	struct ibv_sge sge[2] = {pair_sge(pair, 0, 0, MTU), pair_sge(pair, 0, 0, MTU)};
	struct ibv_send_wr wr = pair_request(pair, 0, IBV_WR_SEND, sge, 0, 1);

	/* It shows only once the first packet is out. */
	sge[1].lkey ^= 0xff;
	wr.num_sge = 2;
	pair_post_receive(pair, 1, FAR, LONG, 10);
	assert_int_equal(pair_post(pair, 0, &wr), 0);
	post(pair, IBV_WR_SEND, 8, 2);
	pair_assert_sent(pair, 0, 1, IBV_WC_LOC_PROT_ERR);
	pair_assert_sent(pair, 0, 2, IBV_WC_WR_FLUSH_ERR);
	assert_int_equal(pair->end[0].qp.state, IBV_QPS_SQE);
	nothing_received(pair);
	assert_int_equal(queue_pair_modify(&pair->end[0].qp, &attr, IBV_QP_STATE), 0);
	post(pair, IBV_WR_SEND, 8, 3);
	pair_assert_sent(pair, 0, 3, IBV_WC_SUCCESS);
	received(pair, 10, IBV_WC_SUCCESS);
}

static void message_longer_than_any_may_be_stops_the_send_queue(void **state)
{
	struct pair *pair = *state;
	struct ibv_sge sge[2] = {
	        pair_sge(pair, 0, 0, QUEUE_PAIR_MAX_MESSAGE), pair_sge(pair, 0, 0, 1)};
	struct ibv_send_wr wr = pair_request(pair, 0, IBV_WR_SEND, sge, 0, 1);

	wr.num_sge = 2;
	assert_int_equal(pair_post(pair, 0, &wr), 0);
	assert_true(pair_settle(pair));
	pair_assert_sent(pair, 0, 1, IBV_WC_LOC_LEN_ERR);
	assert_int_equal(pair->sent[0], 0);
	assert_int_equal(pair->end[0].qp.state, IBV_QPS_SQE);
}

static void begun_message_ends_before_the_queue_is_drained(void **state)
{
	struct pair *pair = *state;
	struct ibv_qp_attr attr = {.qp_state = IBV_QPS_SQD, .en_sqd_async_notify = 1};
	struct ibv_sge sge = pair_sge(pair, 0, 0, LONG);
	struct ibv_send_wr wr = pair_request(pair, 0, IBV_WR_SEND, &sge, 0, 1);

	pair->room = 3; /* two packets at a time */
	pair_post_receive(pair, 1, FAR, LONG, 10);
	pair_post_receive(pair, 1, FAR, LONG, 11);
	assert_int_equal(pair_post(pair, 0, &wr), 0);
	wr.wr_id = 2;
	assert_int_equal(pair_post(pair, 0, &wr), 0);
	queue_pair_transmit(&pair->end[0].qp);
	assert_int_equal(queue_pair_modify(&pair->end[0].qp, &attr,
	                         IBV_QP_STATE | IBV_QP_EN_SQD_ASYNC_NOTIFY),
	        0);
	assert_int_equal(pair->end[0].event_count, 0);
	assert_true(pair_settle(pair));
	assert_int_equal(pair->end[0].event_count, 1);
	assert_int_equal(pair->end[0].events[0], IBV_EVENT_SQ_DRAINED);
	pair_assert_sent(pair, 0, 1, IBV_WC_SUCCESS);
	received(pair, 10, IBV_WC_SUCCESS);
	nothing_received(pair);
}

static void reads_and_atomics_cannot_be_posted(void **state)
{
	static const enum ibv_wr_opcode opcodes[] = {
	        IBV_WR_RDMA_READ, IBV_WR_ATOMIC_CMP_AND_SWP, IBV_WR_ATOMIC_FETCH_AND_ADD};
	struct pair *pair = *state;
	struct ibv_sge sge = pair_sge(pair, 0, 0, 8);

	for (size_t i = 0; i < sizeof(opcodes) / sizeof(opcodes[0]); i++) {
		struct ibv_send_wr wr = pair_request(pair, 0, opcodes[i], &sge, FAR, 1);

		assert_int_equal(pair_post(pair, 0, &wr), -EINVAL);
	}
}

static void packets_of_rc_and_of_strangers_are_ignored(void **state)
{
	struct pair *pair = *state;
	struct packet packet = {.opcode = TRANSPORT_RC | OP_SEND_ONLY,
	        .slid = pair_lid(0),
	        .psn = pair_default.first_psn};

	pair_post_receive(pair, 1, FAR, LONG, 10);
	queue_pair_receive(&pair->end[1].qp, &packet);
	packet.opcode = TRANSPORT_UC | OP_SEND_ONLY;
	packet.slid = 99;
	queue_pair_receive(&pair->end[1].qp, &packet);
	packet.slid = pair_lid(0);
	packet.opcode = TRANSPORT_UC | OP_READ_REQUEST;
	queue_pair_receive(&pair->end[1].qp, &packet);
	nothing_received(pair);
	packet.opcode = TRANSPORT_UC | OP_SEND_ONLY;
	queue_pair_receive(&pair->end[1].qp, &packet);
	received(pair, 10, IBV_WC_SUCCESS);
}

#define TEST(name)     cmocka_unit_test_setup_teardown(name, open_pair, close_pair)
#define SRQ_TEST(name) cmocka_unit_test_setup_teardown(name, open_srq_pair, close_pair)

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TEST(message_arrives_whole_at_every_length),
	        SRQ_TEST(message_arrives_whole_at_every_length),
	        TEST(write_arrives_and_only_its_immediate_is_seen),
	        TEST(send_completes_though_nobody_hears_it),
	        TEST(any_lost_packet_loses_its_message_and_no_other),
	        TEST(any_lost_packet_of_a_write_loses_its_immediate),
	        TEST(halves_of_two_messages_do_not_make_one),
	        SRQ_TEST(shared_buffer_of_a_message_given_up_completes_with_an_error),
	        SRQ_TEST(shared_buffer_of_a_message_without_end_does_not_serve_the_next),
	        TEST(packet_of_the_wrong_size_loses_its_message),
	        TEST(message_longer_than_the_buffer_leaves_it_for_the_next),
	        TEST(buffer_that_is_left_is_the_next_one),
	        TEST(left_buffer_is_flushed),
	        TEST(write_that_is_not_allowed_is_dropped),
	        TEST(local_error_stops_the_send_queue),
	        TEST(message_longer_than_any_may_be_stops_the_send_queue),
	        TEST(begun_message_ends_before_the_queue_is_drained),
	        TEST(reads_and_atomics_cannot_be_posted),
	        TEST(packets_of_rc_and_of_strangers_are_ignored),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
