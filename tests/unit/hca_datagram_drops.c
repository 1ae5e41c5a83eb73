/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* Two UD queue pairs on a wire: what a receiver does not take, and who learns of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "unit/hca_datagram_ends.h"

/* The sender learns nothing of any of these. */
static void dropped(struct pair *pair, const struct ibv_send_wr *wr)
{
	post(pair, wr);
	assert_int_equal(sent_with(pair), IBV_WC_SUCCESS);
	nothing_received(pair);
	assert_int_equal(pair->end[1].qp.state, IBV_QPS_RTS);
}

static void datagram_without_a_buffer_is_dropped(void **state)
{
	struct pair *pair = *state;
	struct datagram datagram;

	datagram_make(pair, &datagram, 4);
	dropped(pair, &datagram.wr);
}

static void another_qkey_is_dropped_and_takes_no_buffer(void **state)
{
	struct pair *pair = *state;
	struct datagram datagram;
	struct ibv_wc wc;

	datagram_make(pair, &datagram, 4);
	pair_post_receive(pair, 1, FAR, GRH + 4, 3);
	datagram.wr.wr.ud.remote_qkey++;
	dropped(pair, &datagram.wr);
	send_bytes(pair, 4);
	assert_true(pair_poll_receive(pair, 1, &wc));
	assert_int_equal(wc.wr_id, 3);
}

static void controlled_qkey_stands_for_the_senders_own(void **state)
{
	struct pair *pair = *state;
	struct datagram datagram;
	struct ibv_wc wc;

	datagram_make(pair, &datagram, 4);
	pair_post_receive(pair, 1, FAR, GRH + 4, 3);
	datagram.wr.wr.ud.remote_qkey = CONTROLLED_QKEY | 5;
	post(pair, &datagram.wr);
	assert_true(pair_poll_receive(pair, 1, &wc));
	/* One that is not the receiver's by then is dropped as any other. */
	pair_post_receive(pair, 1, FAR, GRH + 4, 4);
	pair->end[0].qp.attr.qkey++;
	dropped(pair, &(struct ibv_send_wr){.num_sge = 0,
	                      .opcode = IBV_WR_SEND,
	                      .send_flags = IBV_SEND_SIGNALED,
	                      .wr.ud = datagram.wr.wr.ud});
}

static void packets_of_another_transport_are_dropped(void **state)
{
	struct pair *pair = *state;
	struct packet packet = {.opcode = TRANSPORT_RC | OP_SEND_ONLY,
	        .slid = pair_lid(0),
	        .deth.qkey = pair_default.qkey};

	pair_post_receive(pair, 1, FAR, GRH + 4, 3);
	queue_pair_receive(&pair->end[1].qp, &packet);
	packet.opcode = TRANSPORT_UD | OP_SEND_FIRST;
	queue_pair_receive(&pair->end[1].qp, &packet);
	nothing_received(pair);
	packet.opcode = TRANSPORT_UD | OP_SEND_ONLY;
	queue_pair_receive(&pair->end[1].qp, &packet);
	assert_true(pair_poll_receive(pair, 1, &(struct ibv_wc){0}));
}

static void datagram_longer_than_the_buffer_leaves_it_for_another(void **state)
{
	struct pair *pair = *state;
	struct datagram datagram;
	struct ibv_wc wc;

	datagram_make(pair, &datagram, 11);
	pair_post_receive(pair, 1, FAR, GRH + 10, 3);
	dropped(pair, &datagram.wr);
	send_bytes(pair, 10);
	assert_true(pair_poll_receive(pair, 1, &wc));
	assert_int_equal(wc.status, IBV_WC_SUCCESS);
}

static void shared_buffer_that_is_too_short_completes_with_the_error(void **state)
{
	struct pair *pair = *state;
	struct ibv_wc wc;

	pair_post_receive(pair, 1, FAR, GRH + 10, 3);
	send_bytes(pair, 11);
	assert_true(pair_poll_receive(pair, 1, &wc));
	assert_int_equal(wc.status, IBV_WC_LOC_LEN_ERR);
	assert_int_equal(pair->end[1].qp.state, IBV_QPS_RTS);
	pair_post_receive(pair, 1, FAR, GRH + 10, 4);
	send_bytes(pair, 10);
	assert_true(pair_poll_receive(pair, 1, &wc));
	assert_int_equal(wc.wr_id, 4);
	assert_int_equal(wc.status, IBV_WC_SUCCESS);
}

static void buffer_that_is_not_writable_brings_the_queue_pair_down(void **state)
{
	struct pair *pair = *state;
	struct ibv_wc wc;

	pair_post_receive(pair, 1, FAR, GRH + 4, 3);
	pair->end[1].region.access = 0;
	send_bytes(pair, 4);
	assert_true(pair_poll_receive(pair, 1, &wc));
	assert_int_equal(wc.status, IBV_WC_LOC_PROT_ERR);
	assert_int_equal(pair->end[1].qp.state, IBV_QPS_ERR);
	assert_int_equal(pair->end[1].events[0], IBV_EVENT_QP_FATAL);
	assert_int_equal(sent_with(pair), IBV_WC_SUCCESS);
}

#define TEST(name)     cmocka_unit_test_setup_teardown(name, ud_open, ud_close)
#define SRQ_TEST(name) cmocka_unit_test_setup_teardown(name, ud_open_with_srq, ud_close)

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TEST(datagram_without_a_buffer_is_dropped),
	        SRQ_TEST(datagram_without_a_buffer_is_dropped),
	        TEST(another_qkey_is_dropped_and_takes_no_buffer),
	        TEST(controlled_qkey_stands_for_the_senders_own),
	        TEST(packets_of_another_transport_are_dropped),
	        TEST(datagram_longer_than_the_buffer_leaves_it_for_another),
	        SRQ_TEST(shared_buffer_that_is_too_short_completes_with_the_error),
	        TEST(buffer_that_is_not_writable_brings_the_queue_pair_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
