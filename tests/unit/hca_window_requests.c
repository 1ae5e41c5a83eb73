/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* The requests that bind and invalidate a memory window, and the peer that uses it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "unit/hca_pair.h"

enum {
	START = 0x1000, /* of the window in its region */
	SIZE = 0x200,
};

static struct memory_window window; /* of type 2, at end 1, which binds; end 0 uses it */
static int lost;

static int open_pair(void **state)
{
	struct pair *pair = pair_open(&pair_default);

	pair->end[1].region.access |= IBV_ACCESS_MW_BIND;
	if (memory_window_add(pair->end[1].host.keys, &window, pair_pd(), true))
		return -1;
	lost = 0;
	*state = pair;
	return 0;
}

static int close_pair(void **state)
{
	struct pair *pair = *state;

	memory_window_remove(pair->end[1].host.keys, &window);
	pair_close(pair);
	return 0;
}

static struct ibv_mw public_window;

static int post_bind(struct pair *pair, uint64_t wr_id, uint64_t offset, unsigned flags)
{
	struct ibv_mr mr = {.lkey = pair->end[1].region.key};
	struct ibv_send_wr wr = {.wr_id = wr_id, .opcode = IBV_WR_BIND_MW, .send_flags = flags};

	public_window.type = IBV_MW_TYPE_2;
	public_window.rkey = window.region.key;
	wr.bind_mw.mw = &public_window;
	wr.bind_mw.rkey = ibv_inc_rkey(window.region.key);
	wr.bind_mw.bind_info = (struct ibv_mw_bind_info){.mr = &mr,
	        .addr = pair->end[1].region.address + offset,
	        .length = SIZE,
	        .mw_access_flags = IBV_ACCESS_REMOTE_READ | IBV_ACCESS_REMOTE_WRITE};
	return pair_post(pair, 1, &wr);
}

static void post_invalidate(struct pair *pair, int end, enum ibv_wr_opcode opcode, uint64_t wr_id,
        uint32_t rkey, unsigned flags)
{
	struct ibv_sge sge = pair_sge(pair, end, 0, 64);
	struct ibv_send_wr wr = {.wr_id = wr_id,
	        .opcode = opcode,
	        .sg_list = &sge,
	        .num_sge = opcode == IBV_WR_SEND_WITH_INV,
	        .send_flags = IBV_SEND_SIGNALED | flags,
	        .invalidate_rkey = rkey};

	assert_int_equal(pair_post(pair, end, &wr), 0);
}

static void post_transfer(
        struct pair *pair, int end, enum ibv_wr_opcode opcode, uint64_t wr_id, uint32_t rkey)
{
	struct ibv_sge sge = pair_sge(pair, end, 0, 64);
	struct ibv_send_wr wr = pair_request(pair, end, opcode, &sge, START, wr_id);

	if (rkey)
		wr.wr.rdma.rkey = rkey;
	assert_int_equal(pair_post(pair, end, &wr), 0);
}

static void assert_completes(
        struct pair *pair, int end, uint64_t wr_id, enum ibv_wc_opcode opcode, int status)
{
	struct ibv_wc wc = {0};

	assert_true(pair_settle(pair));
	assert_true(pair_poll_send(pair, end, &wc));
	assert_int_equal(wc.wr_id, wr_id);
	assert_int_equal(wc.status, status);
	if (status == IBV_WC_SUCCESS)
		assert_int_equal(wc.opcode, opcode);
}

static void bind_opens_a_window_to_the_peer(void **state)
{
	struct pair *pair = *state;

	assert_int_equal(post_bind(pair, 1, START, IBV_SEND_SIGNALED), 0);
	assert_completes(pair, 1, 1, IBV_WC_BIND_MW, IBV_WC_SUCCESS);
	assert_int_equal(pair->sent[1], 0);
	post_transfer(pair, 0, IBV_WR_RDMA_WRITE, 2, window.region.key);
	assert_completes(pair, 0, 2, IBV_WC_RDMA_WRITE, IBV_WC_SUCCESS);
	post_transfer(pair, 0, IBV_WR_RDMA_READ, 3, window.region.key);
	assert_completes(pair, 0, 3, IBV_WC_RDMA_READ, IBV_WC_SUCCESS);
	post_invalidate(pair, 1, IBV_WR_LOCAL_INV, 4, window.region.key, 0);
	assert_completes(pair, 1, 4, IBV_WC_LOCAL_INV, IBV_WC_SUCCESS);
	post_transfer(pair, 0, IBV_WR_RDMA_WRITE, 5, window.region.key);
	assert_completes(pair, 0, 5, IBV_WC_RDMA_WRITE, IBV_WC_REM_ACCESS_ERR);
}

/* Done when its turn comes to be sent, completed when all before it is. */
static void bind_completes_in_its_turn(void **state)
{
	struct pair *pair = *state;
	struct ibv_wc wc = {0};

	post_transfer(pair, 1, IBV_WR_RDMA_WRITE, 1, 0);
	assert_int_equal(post_bind(pair, 2, START, IBV_SEND_SIGNALED), 0);
	post_transfer(pair, 1, IBV_WR_RDMA_WRITE, 3, 0);
	pair_transmit(pair);
	assert_non_null(window.of);
	assert_false(pair_poll_send(pair, 1, &wc));
	assert_completes(pair, 1, 1, IBV_WC_RDMA_WRITE, IBV_WC_SUCCESS);
	assert_completes(pair, 1, 2, IBV_WC_BIND_MW, IBV_WC_SUCCESS);
	assert_completes(pair, 1, 3, IBV_WC_RDMA_WRITE, IBV_WC_SUCCESS);
}

static void unsignalled_bind_says_nothing(void **state)
{
	struct pair *pair = *state;
	struct ibv_wc wc = {0};

	assert_int_equal(post_bind(pair, 1, START, 0), 0);
	assert_true(pair_settle(pair));
	assert_non_null(window.of);
	assert_false(pair_poll_send(pair, 1, &wc));
	assert_int_equal(pair->end[1].qp.requester.queue.oldest, 1);
}

static int lose_the_first_three(
        void *test, int from, const struct packet *packet, uint64_t *delay_ns)
{
	return lost++ >= 3;
}

/* The WRITE before it goes out again; a second bind of a window of type 2 would fail. */
static void repeated_packets_do_not_repeat_a_bind(void **state)
{
	struct pair *pair = *state;

	pair->fate = lose_the_first_three;
	post_transfer(pair, 1, IBV_WR_RDMA_WRITE, 1, 0);
	assert_int_equal(post_bind(pair, 2, START, IBV_SEND_SIGNALED), 0);
	post_transfer(pair, 1, IBV_WR_RDMA_WRITE, 3, 0);
	assert_completes(pair, 1, 1, IBV_WC_RDMA_WRITE, IBV_WC_SUCCESS);
	assert_completes(pair, 1, 2, IBV_WC_BIND_MW, IBV_WC_SUCCESS);
	assert_completes(pair, 1, 3, IBV_WC_RDMA_WRITE, IBV_WC_SUCCESS);
	assert_true(lost > 3);
}

static void failed_bind_is_told_in_its_turn_and_ends_the_queue_pair(void **state)
{
	struct pair *pair = *state;

	post_transfer(pair, 1, IBV_WR_RDMA_WRITE, 1, 0);
	assert_int_equal(post_bind(pair, 2, PAIR_MEMORY, IBV_SEND_SIGNALED), 0);
	post_transfer(pair, 1, IBV_WR_RDMA_WRITE, 3, 0);
	assert_completes(pair, 1, 1, IBV_WC_RDMA_WRITE, IBV_WC_SUCCESS);
	assert_completes(pair, 1, 2, IBV_WC_BIND_MW, IBV_WC_MW_BIND_ERR);
	assert_completes(pair, 1, 3, IBV_WC_RDMA_WRITE, IBV_WC_WR_FLUSH_ERR);
	assert_int_equal(pair->end[1].qp.state, IBV_QPS_ERR);
}

static void invalidation_of_what_is_no_window_fails(void **state)
{
	struct pair *pair = *state;

	post_invalidate(pair, 1, IBV_WR_LOCAL_INV, 1, pair->end[1].region.key, 0);
	assert_completes(pair, 1, 1, IBV_WC_LOCAL_INV, IBV_WC_MW_BIND_ERR);
}

static void fenced_invalidation_waits_for_reads(void **state)
{
	struct pair *pair = *state;

	assert_int_equal(post_bind(pair, 1, START, IBV_SEND_SIGNALED), 0);
	assert_completes(pair, 1, 1, IBV_WC_BIND_MW, IBV_WC_SUCCESS);
	post_transfer(pair, 1, IBV_WR_RDMA_READ, 2, 0);
	post_invalidate(pair, 1, IBV_WR_LOCAL_INV, 3, window.region.key, IBV_SEND_FENCE);
	pair_transmit(pair);
	pair_transmit(pair);
	assert_non_null(window.of);
	assert_completes(pair, 1, 2, IBV_WC_RDMA_READ, IBV_WC_SUCCESS);
	assert_completes(pair, 1, 3, IBV_WC_LOCAL_INV, IBV_WC_SUCCESS);
	assert_null(window.of);
}

static void drained_queue_starts_no_local_work(void **state)
{
	struct pair *pair = *state;
	struct ibv_qp_attr attr = {.qp_state = IBV_QPS_SQD};

	assert_int_equal(queue_pair_modify(&pair->end[1].qp, &attr, IBV_QP_STATE), 0);
	assert_int_equal(post_bind(pair, 1, START, IBV_SEND_SIGNALED), 0);
	assert_true(pair_settle(pair));
	assert_null(window.of);
	attr.qp_state = IBV_QPS_RTS;
	assert_int_equal(queue_pair_modify(&pair->end[1].qp, &attr, IBV_QP_STATE), 0);
	assert_completes(pair, 1, 1, IBV_WC_BIND_MW, IBV_WC_SUCCESS);
}

static void flushed_bind_is_not_done(void **state)
{
	struct pair *pair = *state;

	queue_pair_fail(&pair->end[1].qp);
	assert_int_equal(post_bind(pair, 1, START, 0), 0);
	assert_completes(pair, 1, 1, IBV_WC_BIND_MW, IBV_WC_WR_FLUSH_ERR);
	assert_null(window.of);
}

/* A SEND of the peer's with @key; what its receiver hears of it. */
static struct ibv_wc sent_to_invalidate(struct pair *pair, uint32_t key)
{
	struct ibv_wc wc = {0};

	assert_int_equal(pair_post_receive(pair, 1, 0x8000, 64, 9), 0);
	post_invalidate(pair, 0, IBV_WR_SEND_WITH_INV, 2, key, 0);
	assert_completes(pair, 0, 2, IBV_WC_SEND, IBV_WC_SUCCESS);
	assert_true(pair_poll_receive(pair, 1, &wc));
	return wc;
}

static void peers_send_closes_the_window(void **state)
{
	struct pair *pair = *state;
	uint32_t key = ibv_inc_rkey(window.region.key);
	struct ibv_wc wc;

	assert_int_equal(post_bind(pair, 1, START, 0), 0);
	wc = sent_to_invalidate(pair, key);
	assert_int_equal(wc.status, IBV_WC_SUCCESS);
	assert_int_equal(wc.wc_flags, IBV_WC_WITH_INV);
	assert_int_equal(wc.invalidated_rkey, key);
	assert_null(window.of);
	post_transfer(pair, 0, IBV_WR_RDMA_WRITE, 3, key);
	assert_completes(pair, 0, 3, IBV_WC_RDMA_WRITE, IBV_WC_REM_ACCESS_ERR);
}

static int lose_the_first_answer(
        void *test, int from, const struct packet *packet, uint64_t *delay_ns)
{
	return !((packet_is(packet) & IS_RESPONSE) && lost++ == 0);
}

static void repeated_send_does_not_invalidate_twice(void **state)
{
	struct pair *pair = *state;
	uint32_t key = ibv_inc_rkey(window.region.key);

	assert_int_equal(post_bind(pair, 1, START, 0), 0);
	pair->fate = lose_the_first_answer;
	assert_int_equal(sent_to_invalidate(pair, key).status, IBV_WC_SUCCESS);
	assert_int_equal(lost, 2);
	assert_int_equal(pair->end[1].qp.state, IBV_QPS_RTS);
}

/* IBA class J: what was sent has been received, but the key cannot be ended. */
static void key_that_cannot_be_invalidated_fails_the_receiver(void **state)
{
	struct pair *pair = *state;
	struct ibv_wc wc = sent_to_invalidate(pair, pair->end[1].region.key);

	assert_int_equal(wc.wr_id, 9);
	assert_int_equal(wc.status, IBV_WC_REM_INV_REQ_ERR);
	assert_int_equal(pair->end[1].qp.state, IBV_QPS_ERR);
	assert_int_equal(
	        pair->end[1].events[pair->end[1].event_count - 1], IBV_EVENT_QP_ACCESS_ERR);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, open_pair, close_pair)
	const struct CMUnitTest tests[] = {
	        TEST(bind_opens_a_window_to_the_peer),
	        TEST(bind_completes_in_its_turn),
	        TEST(unsignalled_bind_says_nothing),
	        TEST(repeated_packets_do_not_repeat_a_bind),
	        TEST(failed_bind_is_told_in_its_turn_and_ends_the_queue_pair),
	        TEST(invalidation_of_what_is_no_window_fails),
	        TEST(fenced_invalidation_waits_for_reads),
	        TEST(drained_queue_starts_no_local_work),
	        TEST(flushed_bind_is_not_done),
	        TEST(peers_send_closes_the_window),
	        TEST(repeated_send_does_not_invalidate_twice),
	        TEST(key_that_cannot_be_invalidated_fails_the_receiver),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
