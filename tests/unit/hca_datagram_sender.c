/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* Two UD queue pairs on a wire: a sender that must wait, and one that has gone wrong. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "unit/hca_datagram_ends.h"

static void only_sends_can_be_posted(void **state)
{
	struct pair *pair = *state;
	struct datagram datagram;

	datagram_make(pair, &datagram, 8);
	for (int opcode = IBV_WR_RDMA_WRITE; opcode <= IBV_WR_ATOMIC_FETCH_AND_ADD; opcode++) {
		datagram.wr.opcode = (enum ibv_wr_opcode)opcode;
		if (datagram.wr.opcode != IBV_WR_SEND && datagram.wr.opcode != IBV_WR_SEND_WITH_IMM)
			assert_int_equal(pair_post(pair, 0, &datagram.wr), -EINVAL);
	}
}

static void sends_wait_while_drained(void **state)
{
	struct pair *pair = *state;
	struct ibv_qp_attr attr = {.qp_state = IBV_QPS_SQD};
	struct ibv_wc wc;

	pair_post_receive(pair, 1, FAR, GRH + 4, 3);
	assert_int_equal(queue_pair_modify(&pair->end[0].qp, &attr, IBV_QP_STATE), 0);
	send_bytes(pair, 4);
	assert_false(pair_poll_send(pair, 0, &wc));
	attr.qp_state = IBV_QPS_RTS;
	assert_int_equal(queue_pair_modify(&pair->end[0].qp, &attr, IBV_QP_STATE), 0);
	assert_true(pair_settle(pair));
	assert_int_equal(sent_with(pair), IBV_WC_SUCCESS);
	assert_true(pair_poll_receive(pair, 1, &wc));
}

static void datagrams_wait_for_room_on_the_wire(void **state)
{
	struct pair *pair = *state;
	struct datagram datagram;
	struct ibv_wc wc;

	datagram_make(pair, &datagram, 4);
	pair->room = 4;
	for (int i = 0; i < 100; i++) {
		pair_post_receive(pair, 1, FAR, GRH + 4, (uint64_t)i);
		datagram.wr.wr_id = (uint64_t)i;
		assert_int_equal(pair_post(pair, 0, &datagram.wr), 0);
	}
	assert_true(pair_settle(pair));
	for (uint64_t i = 0; i < 100; i++) {
		assert_true(pair_poll_receive(pair, 1, &wc));
		assert_int_equal(wc.wr_id, i);
		assert_true(pair_poll_send(pair, 0, &wc));
		assert_int_equal(wc.wr_id, i);
	}
}

static int post_two(struct pair *pair, const struct ibv_send_wr *first)
{
	struct datagram datagram;

	datagram_make(pair, &datagram, 4);
	datagram.wr.wr_id = 8;
	return pair_post(pair, 0, first) || pair_post(pair, 0, &datagram.wr);
}

static void send_queue_stops_at_a_local_error(
        struct pair *pair, const struct ibv_send_wr *wr, enum ibv_wc_status status)
{
	struct ibv_qp_attr attr = {.qp_state = IBV_QPS_RTS};
	struct ibv_wc wc;

	assert_int_equal(post_two(pair, wr), 0);
	assert_true(pair_settle(pair));
	assert_int_equal(pair->end[0].qp.state, IBV_QPS_SQE);
	assert_int_equal(sent_with(pair), status);
	assert_int_equal(sent_with(pair), IBV_WC_WR_FLUSH_ERR);
	assert_int_equal(pair->sent[0], 0);
	/* What is posted in SQE is flushed; back in RTS it is sent. */
	send_bytes(pair, 4);
	assert_int_equal(sent_with(pair), IBV_WC_WR_FLUSH_ERR);
	assert_int_equal(queue_pair_modify(&pair->end[0].qp, &attr, IBV_QP_STATE), 0);
	pair_post_receive(pair, 1, FAR, GRH + 4, 3);
	send_bytes(pair, 4);
	assert_int_equal(sent_with(pair), IBV_WC_SUCCESS);
	assert_true(pair_poll_receive(pair, 1, &wc));
}

static void more_than_one_mtu_stops_the_send_queue(void **state)
{
	struct pair *pair = *state;
	struct datagram datagram;

	datagram_make(pair, &datagram, MTU + 1);
	send_queue_stops_at_a_local_error(pair, &datagram.wr, IBV_WC_LOC_LEN_ERR);
}

static void key_that_is_none_stops_the_send_queue(void **state)
{
	struct pair *pair = *state;
	struct datagram datagram;

	datagram_make(pair, &datagram, 4);
	datagram.sge.lkey ^= 0xff;
	send_queue_stops_at_a_local_error(pair, &datagram.wr, IBV_WC_LOC_PROT_ERR);
}

static void gid_index_that_is_none_stops_the_send_queue(void **state)
{
	struct pair *pair = *state;
	struct datagram datagram;

	datagram_make(pair, &datagram, 4);
	datagram.handle = global_to(1);
	datagram.handle.attr.grh.sgid_index = 1;
	send_queue_stops_at_a_local_error(pair, &datagram.wr, IBV_WC_LOC_QP_OP_ERR);
}

static void receives_go_on_while_the_send_queue_stands(void **state)
{
	struct pair *pair = *state;
	struct ibv_wc wc;

	send_bytes(pair, MTU + 1);
	assert_int_equal(pair->end[0].qp.state, IBV_QPS_SQE);
	pair_post_receive(pair, 0, FAR, GRH + 4, 5);
	queue_pair_receive(&pair->end[0].qp, &(struct packet){.opcode = TRANSPORT_UD | OP_SEND_ONLY,
	                                             .slid = pair_lid(1),
	                                             .dlid = pair_lid(0),
	                                             .src_qpn = 0x999,
	                                             .deth.qkey = pair_default.qkey});
	assert_true(pair_poll_receive(pair, 0, &wc));
	assert_int_equal(wc.src_qp, 0x999);
}

static void flushed(struct pair *pair, uint64_t wr_id)
{
	struct ibv_wc wc;

	assert_true(pair_poll_send(pair, 0, &wc));
	assert_int_equal(wc.wr_id, wr_id);
	assert_int_equal(wc.status, IBV_WC_WR_FLUSH_ERR);
}

/* A device that knows only of what it has completed; its PSN says what it has sent. */
static void err_gives_back_what_was_sent_if_told_to(void **state)
{
	struct pair *pair = *state;
	struct ibv_qp_attr attr = {.qp_state = IBV_QPS_ERR};
	struct datagram datagram;
	struct ibv_wc wc;

	pair->end[0].host.err_gives_back_sent = true;
	for (uint64_t n = 0; n < 4; n++) {
		pair_post_receive(pair, 1, FAR, GRH + 4, n);
		datagram_make(pair, &datagram, 4);
		datagram.wr.wr_id = n;
		datagram.wr.send_flags = n == 1 ? IBV_SEND_SIGNALED : 0;
		post(pair, &datagram.wr);
		assert_true(pair_poll_receive(pair, 1, &wc));
	}
	assert_true(pair_poll_send(pair, 0, &wc));
	assert_int_equal(wc.wr_id, 1);
	assert_false(pair_poll_send(pair, 0, &wc));
	assert_int_equal(queue_pair_modify(&pair->end[0].qp, &attr, IBV_QP_STATE), 0);
	flushed(pair, 2);
	flushed(pair, 3);
	queue_pair_query(&pair->end[0].qp, &attr);
	assert_int_equal(attr.sq_psn, (pair_default.first_psn + 4) & PACKET_PSN_MASK);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, ud_open, ud_close)

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TEST(only_sends_can_be_posted),
	        TEST(sends_wait_while_drained),
	        TEST(datagrams_wait_for_room_on_the_wire),
	        TEST(more_than_one_mtu_stops_the_send_queue),
	        TEST(key_that_is_none_stops_the_send_queue),
	        TEST(gid_index_that_is_none_stops_the_send_queue),
	        TEST(receives_go_on_while_the_send_queue_stands),
	        TEST(err_gives_back_what_was_sent_if_told_to),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
