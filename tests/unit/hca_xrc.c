/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* XRC: an initiator at end 0, a target at end 1 with SRQs that the packets name. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "simfabric/xrc.h"
#include "unit/hca_pair_checks.h"

enum {
	FIRST_SRQ = 7,
	SRQS = 2,
	BYTES = 1024, /* one MTU */
};

static const char domain_a, domain_b;

/* An SRQ with a PD of its own, which has a region over the upper half of end 1's memory. */
static struct shared {
	struct xrc_srq srq;
	struct receive_queue queue;
	struct completion_queue completions;
	struct memory_region region;
	bool is_gone;
} shared[SRQS];

static unsigned taken[SRQS];
static int drops;

static const struct xrc_srq *find_srq(const struct queue_pair *qp, uint32_t number)
{
	for (int i = 0; i < SRQS; i++)
		if (shared[i].srq.number == number && !shared[i].is_gone &&
		        shared[i].srq.domain == qp->xrc_domain)
			return &shared[i].srq;
	return NULL;
}

static void srq_taken(struct queue_pair *qp, struct receive_queue *queue)
{
	for (int i = 0; i < SRQS; i++)
		taken[i] += queue == &shared[i].queue;
}

static void open_srq(struct pair *pair, int i)
{
	struct pair_end *target = &pair->end[1];

	memset(&shared[i], 0, sizeof(shared[i]));
	receive_queue_init(&shared[i].queue, 16, 1);
	completion_queue_init(&shared[i].completions, 16);
	shared[i].region = target->region;
	shared[i].region.pd = &shared[i];
	memory_keys_add(target->host.keys, &shared[i].region);
	shared[i].srq = (struct xrc_srq){.number = FIRST_SRQ + (uint32_t)i,
	        .domain = &domain_a,
	        .pd = &shared[i],
	        .queue = &shared[i].queue,
	        .completions = &shared[i].completions};
	taken[i] = 0;
}

static int open_pair(void **state)
{
	struct pair_options options = pair_default;
	struct pair *pair;

	options.types[0] = IBV_QPT_XRC_SEND;
	options.types[1] = IBV_QPT_XRC_RECV;
	pair = pair_open(&options);
	for (int i = 0; i < SRQS; i++)
		open_srq(pair, i);
	pair->end[1].qp.xrc_domain = &domain_a;
	pair->end[1].host.find_srq = find_srq;
	pair->end[1].host.srq_taken = srq_taken;
	drops = 0;
	*state = pair;
	return 0;
}

static int close_pair(void **state)
{
	for (int i = 0; i < SRQS; i++) {
		receive_queue_fini(&shared[i].queue);
		completion_queue_fini(&shared[i].completions);
	}
	pair_close(*state);
	return 0;
}

static void post_to_srq(int i, uint64_t offset, uint32_t length, uint64_t wr_id)
{
	struct ibv_sge sge = {.addr = shared[i].region.address + offset,
	        .length = length,
	        .lkey = shared[i].region.key};
	struct ibv_recv_wr wr = {.wr_id = wr_id, .sg_list = &sge, .num_sge = 1};

	assert_int_equal(receive_queue_post(&shared[i].queue, &wr), 0);
}

/* A request for SRQ @i with a key of its PD. */
static void post(struct pair *pair, enum ibv_wr_opcode opcode, int i, uint64_t local,
        uint32_t length, uint64_t remote, uint64_t wr_id)
{
	struct ibv_sge sge = pair_sge(pair, 0, local, length);
	struct ibv_send_wr wr = pair_request(pair, 0, opcode, &sge, remote, wr_id);

	if (opcode == IBV_WR_ATOMIC_FETCH_AND_ADD)
		wr.wr.atomic.rkey = shared[i].region.key;
	else
		wr.wr.rdma.rkey = shared[i].region.key;
	wr.qp_type.xrc.remote_srqn = FIRST_SRQ + (uint32_t)i;
	assert_int_equal(pair_post(pair, 0, &wr), 0);
}

static void assert_sent(struct pair *pair, uint64_t wr_id, enum ibv_wc_status status)
{
	assert_true(pair_settle(pair));
	pair_assert_sent(pair, 0, wr_id, status);
}

static void assert_received(struct pair *pair, int i, uint64_t wr_id, enum ibv_wc_status status)
{
	struct ibv_wc wc = {0};

	assert_true(pair_poll(&shared[i].completions, pair->now_ns, &wc));
	assert_int_equal(wc.wr_id, wr_id);
	assert_int_equal(wc.status, status);
	assert_int_equal(wc.qp_num, pair->end[1].qp.qpn);
}

static void assert_nothing_received(struct pair *pair, int i)
{
	assert_null(completion_queue_peek(&shared[i].completions, pair->now_ns));
}

static void send_goes_to_the_srq_that_it_names(void **state)
{
	struct pair *pair = *state;

	pair_fill(pair, 0, 0, 3 * BYTES, 1);
	post_to_srq(0, 0x1000, 4 * BYTES, 10);
	post_to_srq(1, 0x8000, 4 * BYTES, 20);
	post(pair, IBV_WR_SEND, 1, 0, 3 * BYTES, 0, 1);
	assert_sent(pair, 1, IBV_WC_SUCCESS);
	assert_received(pair, 1, 20, IBV_WC_SUCCESS);
	assert_nothing_received(pair, 0);
	pair_assert_filled(pair, 1, 0x8000, 3 * BYTES, 1);
	assert_int_equal(taken[0], 0);
	assert_int_equal(taken[1], 1);
	post(pair, IBV_WR_SEND, 0, 0, 100, 0, 2);
	assert_sent(pair, 2, IBV_WC_SUCCESS);
	assert_received(pair, 0, 10, IBV_WC_SUCCESS);
}

static void packets_are_of_xrc_and_name_the_srq(void **state)
{
	struct pair *pair = *state;

	post(pair, IBV_WR_RDMA_READ, 1, 0, 100, 0, 1);
	pair_transmit(pair);
	assert_int_equal(pair->on_wire, 1);
	assert_int_equal(pair->wire[0].packet->opcode, TRANSPORT_XRC | OP_READ_REQUEST);
	assert_int_equal(pair->wire[0].packet->srqn, FIRST_SRQ + 1);
	pair_deliver(pair, &pair->wire[0]);
	pair_transmit(pair);
	assert_int_equal(pair->wire[0].packet->opcode, TRANSPORT_XRC | OP_READ_RESPONSE_ONLY);
	assert_sent(pair, 1, IBV_WC_SUCCESS);
}

/* Each with the key of the named SRQ's PD, and with another's. */
static void keys_are_checked_in_the_pd_of_the_srq(void **state)
{
	static const enum ibv_wr_opcode opcodes[] = {
	        IBV_WR_RDMA_WRITE, IBV_WR_RDMA_READ, IBV_WR_ATOMIC_FETCH_AND_ADD};
	struct pair *pair = *state;
	struct ibv_wc wc = {0};

	for (size_t i = 0; i < 3; i++) {
		post(pair, opcodes[i], 1, 0, 8, 0x100, i);
		assert_sent(pair, i, IBV_WC_SUCCESS);
	}
	shared[1].srq.pd = &shared[0];
	post(pair, opcodes[0], 1, 0, 8, 0x100, 9);
	assert_sent(pair, 9, IBV_WC_REM_ACCESS_ERR);
	assert_int_equal(pair->end[1].qp.state, IBV_QPS_ERR);
	assert_false(pair_poll_send(pair, 0, &wc));
}

static void write_with_immediate_completes_on_the_srq(void **state)
{
	struct pair *pair = *state;

	pair_fill(pair, 0, 0, 2 * BYTES, 9);
	post_to_srq(0, 0, 0, 10);
	post(pair, IBV_WR_RDMA_WRITE_WITH_IMM, 0, 0, 2 * BYTES, 0x4000, 1);
	assert_sent(pair, 1, IBV_WC_SUCCESS);
	assert_received(pair, 0, 10, IBV_WC_SUCCESS);
	pair_assert_filled(pair, 1, 0x4000, 2 * BYTES, 9);
}

static void empty_srq_is_not_ready(void **state)
{
	struct pair *pair = *state;

	post_to_srq(0, 0, BYTES, 10);
	post(pair, IBV_WR_SEND, 1, 0, 100, 0, 1);
	for (int i = 0; i < 50 && !pair->end[0].qp.requester.in_rnr_wait; i++)
		pair_step(pair);
	assert_true(pair->end[0].qp.requester.in_rnr_wait);
	post_to_srq(1, 0, BYTES, 20);
	assert_sent(pair, 1, IBV_WC_SUCCESS);
	assert_received(pair, 1, 20, IBV_WC_SUCCESS);
	assert_nothing_received(pair, 0);
}

static void srq_of_another_domain_or_none_is_an_invalid_request(void **state)
{
	struct pair *pair = *state;

	post_to_srq(0, 0, BYTES, 10);
	pair->end[1].qp.xrc_domain = &domain_b;
	post(pair, IBV_WR_SEND, 0, 0, 100, 0, 1);
	assert_sent(pair, 1, IBV_WC_REM_INV_REQ_ERR);
	assert_int_equal(pair->end[1].events[pair->end[1].event_count - 1], IBV_EVENT_QP_REQ_ERR);
	assert_nothing_received(pair, 0);
}

/* Half a message has come when its SRQ goes; what it held must not be touched any more. */
static void srq_destroyed_under_a_message_ends_it(void **state)
{
	struct pair *pair = *state;

	post_to_srq(0, 0, 4 * BYTES, 10);
	post(pair, IBV_WR_SEND, 0, 0, 4 * BYTES, 0, 1);
	pair_transmit(pair);
	pair_deliver(pair, pair_first_to_arrive(pair));
	assert_true(pair->end[1].qp.responder.has_receive);
	shared[0].is_gone = true;
	assert_sent(pair, 1, IBV_WC_REM_INV_REQ_ERR);
	assert_nothing_received(pair, 0);
}

static void half_a_message_is_flushed_to_its_srq(void **state)
{
	struct pair *pair = *state;

	post_to_srq(1, 0, 4 * BYTES, 10);
	post_to_srq(1, 0, 4 * BYTES, 11);
	post(pair, IBV_WR_SEND, 1, 0, 4 * BYTES, 0, 1);
	pair_transmit(pair);
	pair_deliver(pair, pair_first_to_arrive(pair));
	queue_pair_fail(&pair->end[1].qp);
	assert_received(pair, 1, 10, IBV_WC_WR_FLUSH_ERR);
	assert_nothing_received(pair, 1);
	for (unsigned i = 0; i < pair->end[1].event_count; i++)
		assert_int_not_equal(pair->end[1].events[i], IBV_EVENT_QP_LAST_WQE_REACHED);
}

static int lose_read_data(void *test, int from, const struct packet *packet, uint64_t *delay_ns)
{
	return !(from == 1 && (packet_is(packet) & IS_READ) && drops++ == 0);
}

/* The repeated READ is for one SRQ, the message that it comes into is for another. */
static void repeated_read_does_not_disturb_a_message(void **state)
{
	struct pair *pair = *state;

	pair_fill(pair, 0, 0x8000, 4 * BYTES, 3);
	pair_fill(pair, 1, 0x100, 64, 5);
	post_to_srq(1, 0x20000, 4 * BYTES, 20);
	pair->fate = lose_read_data;
	post(pair, IBV_WR_RDMA_READ, 0, 0, 64, 0x100, 1);
	post(pair, IBV_WR_SEND, 1, 0x8000, 4 * BYTES, 0, 2);
	pair_transmit(pair);
	/* The READ and half of the SEND; then the peer asks for the READ again. */
	for (int i = 0; i < 3; i++)
		pair_deliver(pair, pair_first_to_arrive(pair));
	assert_sent(pair, 1, IBV_WC_SUCCESS);
	assert_sent(pair, 2, IBV_WC_SUCCESS);
	assert_int_equal(drops > 1, true);
	pair_assert_filled(pair, 0, 0, 64, 5);
	assert_received(pair, 1, 20, IBV_WC_SUCCESS);
	pair_assert_filled(pair, 1, 0x20000, 4 * BYTES, 3);
}

static void message_that_changes_its_srq_is_an_invalid_request(void **state)
{
	struct pair *pair = *state;

	post_to_srq(0, 0, 4 * BYTES, 10);
	post_to_srq(1, 0, 4 * BYTES, 20);
	post(pair, IBV_WR_SEND, 0, 0, 4 * BYTES, 0, 1);
	pair_transmit(pair);
	pair->wire[1].packet->srqn = FIRST_SRQ + 1;
	assert_sent(pair, 1, IBV_WC_REM_INV_REQ_ERR);
	assert_received(pair, 0, 10, IBV_WC_WR_FLUSH_ERR);
	assert_nothing_received(pair, 1);
}

static void each_half_takes_its_own_work_only(void **state)
{
	struct pair *pair = *state;
	struct ibv_recv_wr receive = {.wr_id = 1};

	assert_int_equal(queue_pair_post_receive(&pair->end[0].qp, &receive), -EINVAL);
	assert_int_equal(queue_pair_post_receive(&pair->end[1].qp, &receive), -EINVAL);
	assert_int_equal(queue_pair_post_send(&pair->end[1].qp, 0), -EINVAL);
	assert_int_equal(queue_pair_post_send(&pair->end[0].qp, 0), 0);
}

static void requests_to_an_initiator_are_not_heard(void **state)
{
	struct pair *pair = *state;
	struct packet packet = {.opcode = TRANSPORT_XRC | OP_SEND_ONLY,
	        .slid = 2,
	        .dlid = 1,
	        .psn = pair->end[0].qp.responder.expected_psn,
	        .ack_request = 1};

	queue_pair_receive(&pair->end[0].qp, &packet);
	assert_false(pair_transmit(pair) && pair->on_wire);
	assert_int_equal(pair->end[0].event_count, 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, open_pair, close_pair)
	const struct CMUnitTest tests[] = {
	        TEST(send_goes_to_the_srq_that_it_names),
	        TEST(packets_are_of_xrc_and_name_the_srq),
	        TEST(keys_are_checked_in_the_pd_of_the_srq),
	        TEST(write_with_immediate_completes_on_the_srq),
	        TEST(empty_srq_is_not_ready),
	        TEST(srq_of_another_domain_or_none_is_an_invalid_request),
	        TEST(srq_destroyed_under_a_message_ends_it),
	        TEST(half_a_message_is_flushed_to_its_srq),
	        TEST(repeated_read_does_not_disturb_a_message),
	        TEST(message_that_changes_its_srq_is_an_invalid_request),
	        TEST(each_half_takes_its_own_work_only),
	        TEST(requests_to_an_initiator_are_not_heard),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
