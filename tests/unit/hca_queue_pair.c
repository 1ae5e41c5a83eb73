/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* Two queue pairs against each other: each promise of the transport, one packet lost at a time. */
#include <endian.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "unit/hca_pair.h"

enum {
	LOCAL = 0x10000, /* where things lie in each end's memory */
	REMOTE = 0x40000,
};

static void fill(struct pair *pair, int index, uint64_t offset, uint32_t length, uint8_t seed)
{
	for (uint32_t i = 0; i < length; i++)
		pair->end[index].memory[offset + i] = (uint8_t)(seed + i * 7);
}

static void assert_same(struct pair *pair, uint64_t at0, uint64_t at1, uint32_t length)
{
	assert_memory_equal(pair->end[0].memory + at0, pair->end[1].memory + at1, length);
}

static void assert_sent(struct pair *pair, int index, uint64_t wr_id, enum ibv_wc_status status)
{
	struct ibv_wc wc = {0};

	assert_true(pair_poll_send(pair, index, &wc));
	assert_int_equal(wc.status, status);
	assert_int_equal(wc.wr_id, wr_id);
}

static void assert_received(struct pair *pair, int index, uint64_t wr_id, uint32_t bytes)
{
	struct ibv_wc wc = {0};

	assert_true(pair_poll_receive(pair, index, &wc));
	assert_int_equal(wc.status, IBV_WC_SUCCESS);
	assert_int_equal(wc.wr_id, wr_id);
	assert_int_equal(wc.byte_len, bytes);
}

static void assert_nothing_more(struct pair *pair)
{
	struct ibv_wc wc = {0};

	for (int i = 0; i < 2; i++) {
		assert_false(pair_poll_send(pair, i, &wc));
		assert_false(pair_poll_receive(pair, i, &wc));
	}
}

static void post(struct pair *pair, enum ibv_wr_opcode opcode, uint32_t length, uint64_t wr_id)
{
	struct ibv_sge sge = pair_sge(pair, 0, LOCAL, length);
	struct ibv_send_wr wr = pair_request(pair, 0, opcode, &sge, REMOTE, wr_id);

	wr.imm_data = htobe32(0x1234);
	wr.num_sge = length ? 1 : 0;
	assert_int_equal(pair_post(pair, 0, &wr), 0);
}

/* ---- what works when nothing goes wrong ---- */

static const uint32_t lengths[] = {0, 1, 8, 1023, 1024, 1025, 4096, 100000};

static void message_arrives_whole_at_every_length(void **state)
{
	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		struct pair *pair = pair_open(&pair_default);

		fill(pair, 0, LOCAL, lengths[i], 3);
		assert_int_equal(pair_post_receive(pair, 1, REMOTE, 200000, 5), 0);
		post(pair, IBV_WR_SEND, lengths[i], 6);
		assert_true(pair_settle(pair));
		assert_received(pair, 1, 5, lengths[i]);
		assert_sent(pair, 0, 6, IBV_WC_SUCCESS);
		assert_same(pair, LOCAL, REMOTE, lengths[i]);
		assert_nothing_more(pair);
		pair_close(pair);
	}
}

static void write_and_read_move_every_length(void **state)
{
	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		struct pair *pair = pair_open(&pair_default);

		fill(pair, 0, LOCAL, lengths[i], 3);
		post(pair, IBV_WR_RDMA_WRITE, lengths[i], 1);
		assert_true(pair_settle(pair));
		assert_sent(pair, 0, 1, IBV_WC_SUCCESS);
		assert_same(pair, LOCAL, REMOTE, lengths[i]);
		fill(pair, 1, REMOTE, lengths[i], 99);
		post(pair, IBV_WR_RDMA_READ, lengths[i], 2);
		assert_true(pair_settle(pair));
		assert_sent(pair, 0, 2, IBV_WC_SUCCESS);
		assert_same(pair, LOCAL, REMOTE, lengths[i]);
		assert_nothing_more(pair);
		pair_close(pair);
	}
}

static void immediate_consumes_a_receive_and_tells_the_length(void **state)
{
	struct pair *pair = pair_open(&pair_default);
	struct ibv_wc wc = {0};

	fill(pair, 0, LOCAL, 3000, 1);
	assert_int_equal(pair_post_receive(pair, 1, 0, 0, 77), 0);
	post(pair, IBV_WR_RDMA_WRITE_WITH_IMM, 3000, 1);
	assert_true(pair_settle(pair));
	assert_true(pair_poll_receive(pair, 1, &wc));
	assert_int_equal(wc.opcode, IBV_WC_RECV_RDMA_WITH_IMM);
	assert_int_equal(wc.wc_flags, IBV_WC_WITH_IMM);
	assert_int_equal(be32toh(wc.imm_data), 0x1234);
	assert_int_equal(wc.byte_len, 3000);
	assert_int_equal(wc.wr_id, 77);
	assert_same(pair, LOCAL, REMOTE, 3000);
	pair_close(pair);
}

static uint64_t word(struct pair *pair, int index, uint64_t offset)
{
	uint64_t value;

	memcpy(&value, pair->end[index].memory + offset, sizeof(value));
	return value;
}

static void set_word(struct pair *pair, int index, uint64_t offset, uint64_t value)
{
	memcpy(pair->end[index].memory + offset, &value, sizeof(value));
}

static void post_atomic(
        struct pair *pair, enum ibv_wr_opcode opcode, uint64_t compare_add, uint64_t swap)
{
	struct ibv_sge sge = pair_sge(pair, 0, LOCAL, 8);
	struct ibv_send_wr wr = pair_request(pair, 0, opcode, &sge, REMOTE, 1);

	wr.wr.atomic.compare_add = compare_add;
	wr.wr.atomic.swap = swap;
	assert_int_equal(pair_post(pair, 0, &wr), 0);
}

static void atomics_answer_the_value_before(void **state)
{
	struct pair *pair = pair_open(&pair_default);

	set_word(pair, 1, REMOTE, 40);
	post_atomic(pair, IBV_WR_ATOMIC_FETCH_AND_ADD, 2, 0);
	assert_true(pair_settle(pair));
	assert_int_equal(word(pair, 0, LOCAL), 40);
	assert_int_equal(word(pair, 1, REMOTE), 42);
	post_atomic(pair, IBV_WR_ATOMIC_CMP_AND_SWP, 42, 7);
	assert_true(pair_settle(pair));
	assert_int_equal(word(pair, 0, LOCAL), 42);
	assert_int_equal(word(pair, 1, REMOTE), 7);
	post_atomic(pair, IBV_WR_ATOMIC_CMP_AND_SWP, 42, 8);
	assert_true(pair_settle(pair));
	assert_int_equal(word(pair, 0, LOCAL), 7);
	assert_int_equal(word(pair, 1, REMOTE), 7);
	pair_close(pair);
}

static void inline_data_is_taken_at_once(void **state)
{
	struct pair *pair = pair_open(&pair_default);
	struct ibv_sge sge = pair_sge(pair, 0, LOCAL, 200);
	struct ibv_send_wr wr = pair_request(pair, 0, IBV_WR_RDMA_WRITE, &sge, REMOTE, 1);

	fill(pair, 0, LOCAL, 200, 9);
	fill(pair, 0, LOCAL + 4096, 200, 9);
	wr.send_flags |= IBV_SEND_INLINE;
	sge.lkey = 0xbad; /* inline data needs no key */
	assert_int_equal(pair_post(pair, 0, &wr), 0);
	fill(pair, 0, LOCAL, 200, 0);
	assert_true(pair_settle(pair));
	assert_same(pair, LOCAL + 4096, REMOTE, 200);
	sge.length = 257;
	assert_int_equal(pair_post(pair, 0, &wr), -EINVAL);
	pair_close(pair);
}

static void unsignalled_work_completes_silently_and_frees_its_slot(void **state)
{
	struct pair *pair = pair_open(&pair_default);
	struct ibv_sge sge = pair_sge(pair, 0, LOCAL, 8);
	struct ibv_send_wr wr = pair_request(pair, 0, IBV_WR_RDMA_WRITE, &sge, REMOTE, 1);

	wr.send_flags = 0;
	for (uint32_t i = 0; i < pair_cap.max_send_wr - 1; i++)
		assert_int_equal(pair_post(pair, 0, &wr), 0);
	wr.send_flags = IBV_SEND_SIGNALED;
	assert_int_equal(pair_post(pair, 0, &wr), 0);
	assert_true(pair_settle(pair));
	/* Done, but as with an adapter the queue is full until a completion has been polled. */
	assert_int_equal(pair_post(pair, 0, &wr), -ENOMEM);
	assert_sent(pair, 0, 1, IBV_WC_SUCCESS);
	assert_nothing_more(pair);
	assert_int_equal(pair_post(pair, 0, &wr), 0);
	pair_close(pair);
}

static void fence_waits_for_the_read_before(void **state)
{
	struct pair *pair = pair_open(&pair_default);
	struct ibv_sge sge = pair_sge(pair, 0, LOCAL, 64);
	struct ibv_send_wr wr = pair_request(pair, 0, IBV_WR_RDMA_WRITE, &sge, REMOTE + 4096, 2);

	fill(pair, 1, REMOTE, 64, 5);
	post(pair, IBV_WR_RDMA_READ, 64, 1);
	wr.send_flags |= IBV_SEND_FENCE;
	assert_int_equal(pair_post(pair, 0, &wr), 0);
	assert_true(pair_settle(pair));
	assert_memory_equal(pair->end[1].memory + REMOTE, pair->end[1].memory + REMOTE + 4096, 64);
	pair_close(pair);
}

static void requests_beyond_the_agreed_reads_wait(void **state)
{
	struct pair_options options = pair_default;
	struct pair *pair;

	options.reads = 1;
	pair = pair_open(&options);
	for (uint64_t i = 0; i < 20; i++)
		post(pair, IBV_WR_RDMA_READ, 3000, i);
	assert_true(pair_settle(pair));
	for (uint64_t i = 0; i < 20; i++)
		assert_sent(pair, 0, i, IBV_WC_SUCCESS);
	assert_int_equal(pair->end[1].qp.state, IBV_QPS_RTS);
	pair_close(pair);
}

/* ---- one packet is lost ---- */

struct loss {
	uint64_t nth[2]; /* the n-th packet of each end is lost; 0: none */
	uint64_t seen[2];
};

static int lose(void *test, int from, const struct packet *packet, uint64_t *delay_ns)
{
	struct loss *loss = test;

	return ++loss->seen[from] == loss->nth[from] ? 0 : 1;
}

static void run_mix(struct pair *pair)
{
	set_word(pair, 1, REMOTE + 0x20000, 100);
	fill(pair, 0, LOCAL, 0x8000, 1);
	for (uint64_t i = 0; i < 4; i++)
		assert_int_equal(pair_post_receive(pair, 1, REMOTE + 0x10000, 8192, 50 + i), 0);
	for (uint64_t i = 0; i < 4; i++) {
		struct ibv_sge sge = pair_sge(pair, 0, LOCAL + 0x8000 + i * 8, 8);
		struct ibv_send_wr wr = pair_request(
		        pair, 0, IBV_WR_ATOMIC_FETCH_AND_ADD, &sge, REMOTE + 0x20000, 100 + i);

		wr.wr.atomic.compare_add = 1;
		post(pair, IBV_WR_RDMA_WRITE, 5000, 10 + i);
		post(pair, IBV_WR_SEND, 3000, 20 + i);
		assert_int_equal(pair_post(pair, 0, &wr), 0);
		sge = pair_sge(pair, 0, LOCAL + 0xa000 + i * 0x1000, 4000);
		wr = pair_request(pair, 0, IBV_WR_RDMA_READ, &sge, REMOTE, 200 + i);
		assert_int_equal(pair_post(pair, 0, &wr), 0);
	}
}

static void check_mix(struct pair *pair)
{
	for (uint64_t i = 0; i < 4; i++) {
		assert_sent(pair, 0, 10 + i, IBV_WC_SUCCESS);
		assert_sent(pair, 0, 20 + i, IBV_WC_SUCCESS);
		assert_sent(pair, 0, 100 + i, IBV_WC_SUCCESS);
		assert_sent(pair, 0, 200 + i, IBV_WC_SUCCESS);
		assert_received(pair, 1, 50 + i, 3000);
		assert_int_equal(word(pair, 0, LOCAL + 0x8000 + i * 8), 100 + i);
		assert_same(pair, LOCAL + 0xa000 + i * 0x1000, REMOTE, 4000);
	}
	assert_nothing_more(pair);
	assert_int_equal(word(pair, 1, REMOTE + 0x20000), 104);
	assert_same(pair, LOCAL, REMOTE, 5000);
	assert_same(pair, LOCAL, REMOTE + 0x10000, 3000);
}

/* Every single packet of the mix, from either side, once. */
static void any_lost_packet_is_made_good_and_nothing_done_twice(void **state)
{
	for (int from = 0; from < 2; from++) {
		for (uint64_t n = 1;; n++) {
			struct pair *pair = pair_open(&pair_default);
			struct loss loss = {0};

			loss.nth[from] = n;
			pair->fate = lose;
			pair->test = &loss;
			run_mix(pair);
			assert_true(pair_settle(pair));
			check_mix(pair);
			pair_close(pair);
			if (loss.seen[from] < n) {
				assert_true(n > 16);
				break;
			}
		}
	}
}

static int lose_first_answer(void *test, int from, const struct packet *packet, uint64_t *delay_ns)
{
	unsigned *left = test;

	if (from == 0 || !(packet_is(packet) & IS_READ) || !*left)
		return 1;
	--*left;
	return 0;
}

/* The answer to a later request tells, so there is no need to wait for the timer. */
static void lost_answer_is_asked_for_again_at_once(void **state)
{
	struct pair *pair = pair_open(&pair_default);
	unsigned left = 1;

	fill(pair, 1, REMOTE, 100, 4);
	pair->fate = lose_first_answer;
	pair->test = &left;
	post(pair, IBV_WR_RDMA_READ, 100, 1);
	post(pair, IBV_WR_RDMA_WRITE, 0, 2);
	while (pair->end[0].qp.requester.queue.oldest != 2 && pair_step(pair))
		;
	assert_true(pair->now_ns < 4096ull << pair_default.timeout);
	assert_sent(pair, 0, 1, IBV_WC_SUCCESS);
	assert_sent(pair, 0, 2, IBV_WC_SUCCESS);
	assert_same(pair, LOCAL, REMOTE, 100);
	pair_close(pair);
}

static int lose_all(void *test, int from, const struct packet *packet, uint64_t *delay_ns)
{
	return 0;
}

static void peer_that_never_answers_exceeds_the_retries(void **state)
{
	struct pair *pair = pair_open(&pair_default);

	pair->fate = lose_all;
	post(pair, IBV_WR_SEND, 10, 1);
	post(pair, IBV_WR_RDMA_READ, 10, 2);
	assert_true(pair_settle(pair));
	assert_sent(pair, 0, 1, IBV_WC_RETRY_EXC_ERR);
	assert_sent(pair, 0, 2, IBV_WC_WR_FLUSH_ERR);
	assert_int_equal(pair->end[0].qp.state, IBV_QPS_ERR);
	/* Seven retries of 4.096 us * 2^14 each, and the first try. */
	assert_int_equal(pair->now_ns / (4096ull << 14), 8);
	/* Both fit into the window, so both were sent again each time. */
	assert_int_equal(pair->sent[0], 2 * 8);
	pair_close(pair);
}

static int lose_rest(void *test, int from, const struct packet *packet, uint64_t *delay_ns)
{
	return from == 0 && packet->message_index >= 3 ? 0 : 1;
}

static void message_cut_in_the_middle_shows_in_rq_psn_and_not_in_a_completion(void **state)
{
	struct pair *pair = pair_open(&pair_default);
	struct ibv_qp_attr attr;
	struct ibv_wc wc = {0};

	pair->fate = lose_rest;
	assert_int_equal(pair_post_receive(pair, 1, REMOTE, 10000, 1), 0);
	post(pair, IBV_WR_SEND, 10000, 1);
	assert_true(pair_settle(pair));
	queue_pair_query(&pair->end[1].qp, &attr);
	assert_int_equal(attr.rq_psn, psn_add(pair_default.first_psn, 3));
	assert_false(pair_poll_receive(pair, 1, &wc));
	pair_close(pair);
}

static int lose_acks(void *test, int from, const struct packet *packet, uint64_t *delay_ns)
{
	return from == 0;
}

static void executed_work_shows_in_rq_psn_though_no_acknowledgement_came(void **state)
{
	struct pair *pair = pair_open(&pair_default);
	struct ibv_qp_attr attr;

	pair->fate = lose_acks;
	set_word(pair, 1, REMOTE, 1);
	post_atomic(pair, IBV_WR_ATOMIC_FETCH_AND_ADD, 1, 0);
	assert_true(pair_settle(pair));
	assert_sent(pair, 0, 1, IBV_WC_RETRY_EXC_ERR);
	/* Sent eight times, executed once. */
	assert_int_equal(word(pair, 1, REMOTE), 2);
	queue_pair_query(&pair->end[1].qp, &attr);
	assert_int_equal(attr.rq_psn, psn_add(pair_default.first_psn, 1));
	pair_close(pair);
}

/* ---- RNR ---- */

static void sender_waits_until_a_receive_is_posted(void **state)
{
	struct pair *pair = pair_open(&pair_default);
	struct ibv_wc wc = {0};

	post(pair, IBV_WR_SEND, 5000, 1);
	pair_steps(pair, 400);
	assert_false(pair_poll_send(pair, 0, &wc));
	assert_int_equal(pair->end[0].qp.state, IBV_QPS_RTS);
	assert_int_equal(pair_post_receive(pair, 1, REMOTE, 5000, 9), 0);
	assert_true(pair_settle(pair));
	assert_received(pair, 1, 9, 5000);
	assert_sent(pair, 0, 1, IBV_WC_SUCCESS);
	pair_close(pair);
}

static void rnr_retries_end_when_they_are_counted(void **state)
{
	struct pair_options options = pair_default;
	struct pair *pair;

	options.rnr_retry = 3;
	pair = pair_open(&options);
	post(pair, IBV_WR_SEND, 10, 1);
	while (pair->end[0].qp.state != IBV_QPS_ERR && pair_step(pair))
		;
	assert_sent(pair, 0, 1, IBV_WC_RNR_RETRY_EXC_ERR);
	assert_int_equal(pair->sent[0], 4);
	/* RNR timer 12 is 0.64 ms. */
	assert_in_range(pair->now_ns, 3 * 640000, 3 * 640000 + 100000);
	pair_close(pair);
}

static void write_with_immediate_waits_for_a_receive_too(void **state)
{
	struct pair *pair = pair_open(&pair_default);

	fill(pair, 0, LOCAL, 3000, 1);
	post(pair, IBV_WR_RDMA_WRITE_WITH_IMM, 3000, 1);
	pair_steps(pair, 100);
	assert_int_equal(pair_post_receive(pair, 1, 0, 0, 9), 0);
	assert_true(pair_settle(pair));
	assert_received(pair, 1, 9, 3000);
	assert_same(pair, LOCAL, REMOTE, 3000);
	pair_close(pair);
}

static void shared_receive_queue_feeds_the_queue_pair(void **state)
{
	struct pair_options options = pair_default;
	struct pair *pair;

	options.with_srq = true;
	pair = pair_open(&options);
	fill(pair, 0, LOCAL, 2000, 1);
	assert_int_equal(pair_post_receive(pair, 1, REMOTE, 2000, 9), 0);
	post(pair, IBV_WR_SEND, 2000, 1);
	assert_true(pair_settle(pair));
	assert_received(pair, 1, 9, 2000);
	queue_pair_fail(&pair->end[1].qp);
	assert_int_equal(
	        pair->end[1].events[pair->end[1].event_count - 1], IBV_EVENT_QP_LAST_WQE_REACHED);
	pair_close(pair);
}

/* ---- errors ---- */

static void assert_fails(struct pair *pair, enum ibv_wc_status status, enum ibv_event_type event)
{
	assert_true(pair_settle(pair));
	assert_sent(pair, 0, 1, status);
	assert_int_equal(pair->end[0].qp.state, IBV_QPS_ERR);
	assert_int_equal(pair->end[1].qp.state, IBV_QPS_ERR);
	assert_int_equal(pair->end[1].events[pair->end[1].event_count - 1], event);
	pair_close(pair);
}

static void wrong_rkey_is_a_remote_access_error(void **state)
{
	static const enum ibv_wr_opcode opcodes[] = {
	        IBV_WR_RDMA_WRITE, IBV_WR_RDMA_READ, IBV_WR_ATOMIC_FETCH_AND_ADD};

	for (int i = 0; i < 3; i++) {
		struct pair *pair = pair_open(&pair_default);
		struct ibv_sge sge = pair_sge(pair, 0, LOCAL, 8);
		struct ibv_send_wr wr = pair_request(pair, 0, opcodes[i], &sge, REMOTE, 1);

		if (i == 2)
			wr.wr.atomic.rkey ^= 1;
		else
			wr.wr.rdma.rkey ^= 1;
		assert_int_equal(pair_post(pair, 0, &wr), 0);
		assert_fails(pair, IBV_WC_REM_ACCESS_ERR, IBV_EVENT_QP_ACCESS_ERR);
	}
}

static void one_byte_beyond_the_region_is_a_remote_access_error(void **state)
{
	struct pair *pair = pair_open(&pair_default);
	struct ibv_sge sge = pair_sge(pair, 0, LOCAL, 9);
	struct ibv_send_wr wr = pair_request(pair, 0, IBV_WR_RDMA_WRITE, &sge, PAIR_MEMORY - 8, 1);

	assert_int_equal(pair_post(pair, 0, &wr), 0);
	assert_fails(pair, IBV_WC_REM_ACCESS_ERR, IBV_EVENT_QP_ACCESS_ERR);
}

static void access_that_the_queue_pair_does_not_grant_is_an_invalid_request(void **state)
{
	struct pair_options options = pair_default;
	struct pair *pair;

	options.access = IBV_ACCESS_REMOTE_READ;
	pair = pair_open(&options);
	/* Even without a byte: this is why no empty WRITE serves as a flush. */
	post(pair, IBV_WR_RDMA_WRITE, 0, 1);
	assert_fails(pair, IBV_WC_REM_INV_REQ_ERR, IBV_EVENT_QP_REQ_ERR);
}

static void message_longer_than_the_receive_fails_both_sides(void **state)
{
	struct pair *pair = pair_open(&pair_default);
	struct ibv_wc wc = {0};

	assert_int_equal(pair_post_receive(pair, 1, REMOTE, 1500, 9), 0);
	post(pair, IBV_WR_SEND, 1501, 1);
	assert_true(pair_settle(pair));
	assert_true(pair_poll_receive(pair, 1, &wc));
	assert_int_equal(wc.status, IBV_WC_LOC_LEN_ERR);
	assert_fails(pair, IBV_WC_REM_INV_REQ_ERR, IBV_EVENT_QP_REQ_ERR);
}

static void misaligned_atomic_is_an_invalid_request(void **state)
{
	struct pair *pair = pair_open(&pair_default);
	struct ibv_sge sge = pair_sge(pair, 0, LOCAL, 8);
	struct ibv_send_wr wr =
	        pair_request(pair, 0, IBV_WR_ATOMIC_FETCH_AND_ADD, &sge, REMOTE + 4, 1);

	assert_int_equal(pair_post(pair, 0, &wr), 0);
	assert_fails(pair, IBV_WC_REM_INV_REQ_ERR, IBV_EVENT_QP_REQ_ERR);
}

static void wrong_lkey_fails_after_the_work_before_it(void **state)
{
	struct pair *pair = pair_open(&pair_default);
	struct ibv_sge sge = pair_sge(pair, 0, LOCAL, 8);
	struct ibv_send_wr wr = pair_request(pair, 0, IBV_WR_RDMA_WRITE, &sge, REMOTE, 2);

	post(pair, IBV_WR_RDMA_READ, 5000, 1);
	sge.lkey ^= 1;
	assert_int_equal(pair_post(pair, 0, &wr), 0);
	post(pair, IBV_WR_RDMA_WRITE, 8, 3);
	assert_true(pair_settle(pair));
	assert_sent(pair, 0, 1, IBV_WC_SUCCESS);
	assert_sent(pair, 0, 2, IBV_WC_LOC_PROT_ERR);
	assert_sent(pair, 0, 3, IBV_WC_WR_FLUSH_ERR);
	assert_nothing_more(pair);
	pair_close(pair);
}

static void region_taken_away_stops_the_read_that_uses_it(void **state)
{
	struct pair *pair = pair_open(&pair_default);

	pair->room = 8;
	post(pair, IBV_WR_RDMA_READ, 100000, 1);
	pair_steps(pair, 20);
	memory_keys_remove(pair->end[1].host.keys, &pair->end[1].region);
	assert_fails(pair, IBV_WC_REM_ACCESS_ERR, IBV_EVENT_QP_ACCESS_ERR);
}

static void error_state_flushes_everything_in_order(void **state)
{
	struct pair *pair = pair_open(&pair_default);
	struct ibv_qp_attr attr = {.qp_state = IBV_QPS_ERR};
	struct ibv_wc wc = {0};

	pair->fate = lose_all;
	for (uint64_t i = 0; i < 5; i++) {
		struct ibv_sge sge = pair_sge(pair, 0, LOCAL, 8);
		struct ibv_send_wr wr = pair_request(pair, 0, IBV_WR_SEND, &sge, 0, i);

		wr.send_flags = 0; /* unsignalled work is flushed with a completion as well */
		assert_int_equal(pair_post(pair, 0, &wr), 0);
		assert_int_equal(pair_post_receive(pair, 0, LOCAL, 8, 50 + i), 0);
	}
	assert_int_equal(queue_pair_modify(&pair->end[0].qp, &attr, IBV_QP_STATE), 0);
	for (uint64_t i = 0; i < 5; i++) {
		assert_sent(pair, 0, i, IBV_WC_WR_FLUSH_ERR);
		assert_true(pair_poll_receive(pair, 0, &wc));
		assert_int_equal(wc.status, IBV_WC_WR_FLUSH_ERR);
		assert_int_equal(wc.wr_id, 50 + i);
	}
	/* What is posted to a queue pair in ERR is flushed at once. */
	post(pair, IBV_WR_SEND, 8, 9);
	assert_sent(pair, 0, 9, IBV_WC_WR_FLUSH_ERR);
	assert_nothing_more(pair);
	pair_close(pair);
}

static void rxe_leaves_receives_where_they_are(void **state)
{
	struct pair *pair = pair_open(&pair_default);

	pair->end[0].host.err_flushes_receives = false;
	assert_int_equal(pair_post_receive(pair, 0, LOCAL, 8, 1), 0);
	queue_pair_fail(&pair->end[0].qp);
	assert_nothing_more(pair);
	pair_close(pair);
}

static void reset_forgets_and_connects_anew(void **state)
{
	struct pair *pair = pair_open(&pair_default);
	struct ibv_qp_attr attr = {.qp_state = IBV_QPS_RESET};
	struct pair_options options = pair_default;

	pair->fate = lose_all;
	post(pair, IBV_WR_SEND, 8, 1);
	pair_steps(pair, 3);
	pair->fate = NULL;
	options.first_psn = 5;
	for (int i = 0; i < 2; i++) {
		assert_int_equal(queue_pair_modify(&pair->end[i].qp, &attr, IBV_QP_STATE), 0);
		assert_int_equal(pair_connect(pair, i, &options), 0);
	}
	assert_int_equal(pair_post_receive(pair, 1, REMOTE, 8, 7), 0);
	post(pair, IBV_WR_SEND, 8, 2);
	assert_true(pair_settle(pair));
	assert_sent(pair, 0, 2, IBV_WC_SUCCESS);
	assert_received(pair, 1, 7, 8);
	assert_nothing_more(pair);
	pair_close(pair);
}

static void send_queue_drains_in_sqd_and_says_so(void **state)
{
	struct pair *pair = pair_open(&pair_default);
	struct ibv_qp_attr attr = {.qp_state = IBV_QPS_SQD, .en_sqd_async_notify = 1};
	struct ibv_wc wc = {0};

	post(pair, IBV_WR_RDMA_WRITE, 5000, 1);
	pair_steps(pair, 1);
	assert_int_equal(queue_pair_modify(&pair->end[0].qp, &attr,
	                         IBV_QP_STATE | IBV_QP_EN_SQD_ASYNC_NOTIFY),
	        0);
	queue_pair_query(&pair->end[0].qp, &attr);
	assert_int_equal(attr.sq_draining, 1);
	post(pair, IBV_WR_RDMA_WRITE, 8, 2);
	assert_true(pair_settle(pair));
	assert_sent(pair, 0, 1, IBV_WC_SUCCESS);
	assert_false(pair_poll_send(pair, 0, &wc));
	assert_int_equal(pair->end[0].events[pair->end[0].event_count - 1], IBV_EVENT_SQ_DRAINED);
	attr = (struct ibv_qp_attr){.qp_state = IBV_QPS_RTS};
	assert_int_equal(queue_pair_modify(&pair->end[0].qp, &attr, IBV_QP_STATE), 0);
	assert_true(pair_settle(pair));
	assert_sent(pair, 0, 2, IBV_WC_SUCCESS);
	pair_close(pair);
}

static void psns_in_a_query_are_live(void **state)
{
	struct pair *pair = pair_open(&pair_default);
	struct ibv_qp_attr attr;

	post(pair, IBV_WR_RDMA_WRITE, 5 * 1024, 1);
	post(pair, IBV_WR_RDMA_READ, 3 * 1024, 2);
	assert_true(pair_settle(pair));
	queue_pair_query(&pair->end[0].qp, &attr);
	assert_int_equal(attr.sq_psn, psn_add(pair_default.first_psn, 8));
	queue_pair_query(&pair->end[1].qp, &attr);
	assert_int_equal(attr.rq_psn, psn_add(pair_default.first_psn, 8));
	pair_close(pair);
}

static void packet_of_another_sender_is_ignored(void **state)
{
	struct pair *pair = pair_open(&pair_default);
	struct packet stranger = {.opcode = OP_SEND_ONLY,
	        .slid = 99,
	        .dlid = pair_lid(1),
	        .dest_qpn = 0x101,
	        .psn = pair_default.first_psn};

	assert_int_equal(pair_post_receive(pair, 1, REMOTE, 8, 7), 0);
	queue_pair_receive(&pair->end[1].qp, &stranger);
	assert_nothing_more(pair);
	stranger.slid = pair_lid(0);
	queue_pair_receive(&pair->end[1].qp, &stranger);
	assert_received(pair, 1, 7, 0);
	pair_close(pair);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(message_arrives_whole_at_every_length),
	        cmocka_unit_test(write_and_read_move_every_length),
	        cmocka_unit_test(immediate_consumes_a_receive_and_tells_the_length),
	        cmocka_unit_test(atomics_answer_the_value_before),
	        cmocka_unit_test(inline_data_is_taken_at_once),
	        cmocka_unit_test(unsignalled_work_completes_silently_and_frees_its_slot),
	        cmocka_unit_test(fence_waits_for_the_read_before),
	        cmocka_unit_test(requests_beyond_the_agreed_reads_wait),
	        cmocka_unit_test(any_lost_packet_is_made_good_and_nothing_done_twice),
	        cmocka_unit_test(lost_answer_is_asked_for_again_at_once),
	        cmocka_unit_test(peer_that_never_answers_exceeds_the_retries),
	        cmocka_unit_test(message_cut_in_the_middle_shows_in_rq_psn_and_not_in_a_completion),
	        cmocka_unit_test(executed_work_shows_in_rq_psn_though_no_acknowledgement_came),
	        cmocka_unit_test(sender_waits_until_a_receive_is_posted),
	        cmocka_unit_test(rnr_retries_end_when_they_are_counted),
	        cmocka_unit_test(write_with_immediate_waits_for_a_receive_too),
	        cmocka_unit_test(shared_receive_queue_feeds_the_queue_pair),
	        cmocka_unit_test(wrong_rkey_is_a_remote_access_error),
	        cmocka_unit_test(one_byte_beyond_the_region_is_a_remote_access_error),
	        cmocka_unit_test(access_that_the_queue_pair_does_not_grant_is_an_invalid_request),
	        cmocka_unit_test(message_longer_than_the_receive_fails_both_sides),
	        cmocka_unit_test(misaligned_atomic_is_an_invalid_request),
	        cmocka_unit_test(wrong_lkey_fails_after_the_work_before_it),
	        cmocka_unit_test(region_taken_away_stops_the_read_that_uses_it),
	        cmocka_unit_test(error_state_flushes_everything_in_order),
	        cmocka_unit_test(rxe_leaves_receives_where_they_are),
	        cmocka_unit_test(reset_forgets_and_connects_anew),
	        cmocka_unit_test(send_queue_drains_in_sqd_and_says_so),
	        cmocka_unit_test(psns_in_a_query_are_live),
	        cmocka_unit_test(packet_of_another_sender_is_ignored),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
