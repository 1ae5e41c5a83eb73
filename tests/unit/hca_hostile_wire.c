/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Two queue pairs, thousands of random requests both ways, and a wire that loses, repeats, delays
 * and reorders. Checked: every signalled request and every receive completes once, in order, well;
 * memory is as if each request had been executed once, in order.
 *
 * HCA_SEED=N runs one seed, HCA_SEEDS=N so many.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "unit/hca_pair.h"

enum {
	REQUESTS = 400, /* each way */
	SEEDS = 300,
	SEEDS_FULL = 10000,
	LONGEST = 6000,
	/* Each end's memory: counters, then what the peer writes, reads, sends here, then sources.
	 */
	COUNTERS = 0,
	COUNTER_COUNT = 8,
	WRITTEN = 0x10000,
	READABLE = 0x20000,
	RECEIVED = 0x30000,
	RECEIVE_SLOT = 8192,
	SLOTS = 32,
	SOURCE = 0x90000,
};

/* What one end has asked of the other, and what must come of it. */
struct request {
	enum ibv_wr_opcode opcode;
	uint32_t length;
	uint64_t offset; /* at the peer */
	uint64_t operand, swap;
	uint8_t seed;
	bool signalled;
	uint64_t expected; /* of an atomic: the value before */
	__be32 imm;
};

struct side {
	struct request requests[REQUESTS];
	unsigned posted, completed;
	unsigned receives_posted, received; /* at the peer's end: messages of this side */
	uint8_t model_written[0x10000];     /* of the peer's memory */
	uint64_t model_counters[COUNTER_COUNT];
	unsigned next_message; /* index of the next request that takes a receive */
};

struct storm {
	uint64_t random;
	unsigned drop, duplicate, delay; /* per mille */
	struct pair *pair;
	struct side side[2];
};

static uint64_t roll(struct storm *storm)
{
	storm->random ^= storm->random << 13;
	storm->random ^= storm->random >> 7;
	storm->random ^= storm->random << 17;
	return storm->random * 0x2545f4914f6cdd1dull >> 16;
}

static int fate(void *test, int from, const struct packet *packet, uint64_t *delay_ns)
{
	struct storm *storm = test;

	if (roll(storm) % 1000 < storm->drop)
		return 0;
	if (roll(storm) % 1000 < storm->delay)
		*delay_ns = roll(storm) % 3000000;
	return roll(storm) % 1000 < storm->duplicate ? 2 : 1;
}

static uint8_t pattern(uint8_t seed, uint32_t i)
{
	return (uint8_t)(seed + i * 13 + (i >> 8));
}

static bool takes_receive(const struct request *request)
{
	return request->opcode == IBV_WR_SEND || request->opcode == IBV_WR_SEND_WITH_IMM ||
	       request->opcode == IBV_WR_RDMA_WRITE_WITH_IMM;
}

static bool is_atomic(const struct request *request)
{
	return request->opcode == IBV_WR_ATOMIC_FETCH_AND_ADD ||
	       request->opcode == IBV_WR_ATOMIC_CMP_AND_SWP;
}

static void draw(struct storm *storm, struct request *request)
{
	static const enum ibv_wr_opcode opcodes[] = {IBV_WR_SEND, IBV_WR_SEND_WITH_IMM,
	        IBV_WR_RDMA_WRITE, IBV_WR_RDMA_WRITE, IBV_WR_RDMA_WRITE_WITH_IMM, IBV_WR_RDMA_READ,
	        IBV_WR_ATOMIC_FETCH_AND_ADD, IBV_WR_ATOMIC_CMP_AND_SWP};

	request->opcode = opcodes[roll(storm) % 8];
	request->length = (uint32_t)(roll(storm) % LONGEST);
	if (roll(storm) % 3 == 0)
		request->length %= 64;
	request->seed = (uint8_t)roll(storm);
	request->imm = (__be32)roll(storm);
	/* The model needs to know that it was executed, so the last is always signalled. */
	request->signalled = roll(storm) % 4 != 0;
	request->offset = roll(storm) % (0x10000 - LONGEST);
	if (is_atomic(request)) {
		request->length = 8;
		request->offset = roll(storm) % COUNTER_COUNT;
		request->operand = roll(storm) % 3;
		request->swap = roll(storm) % 3;
	}
}

/* What the request does, done to the model in posting order. */
static void foresee(struct side *side, struct request *request)
{
	uint64_t *counter = &side->model_counters[request->offset % COUNTER_COUNT];

	if (request->opcode == IBV_WR_RDMA_WRITE || request->opcode == IBV_WR_RDMA_WRITE_WITH_IMM) {
		for (uint32_t i = 0; i < request->length; i++)
			side->model_written[request->offset + i] = pattern(request->seed, i);
	} else if (is_atomic(request)) {
		request->expected = *counter;
		if (request->opcode == IBV_WR_ATOMIC_FETCH_AND_ADD)
			*counter += request->operand;
		else if (*counter == request->operand)
			*counter = request->swap;
	}
}

static uint64_t remote_offset(const struct request *request)
{
	if (is_atomic(request))
		return COUNTERS + request->offset * 8;
	return (request->opcode == IBV_WR_RDMA_READ ? READABLE : WRITTEN) + request->offset;
}

static void post_one(struct storm *storm, int index)
{
	struct side *side = &storm->side[index];
	struct request *request = &side->requests[side->posted];
	struct ibv_sge sge[2];
	struct ibv_send_wr wr;
	/* A slot of its own for each request that can be outstanding; see may_post. */
	uint64_t local = SOURCE + (uint64_t)(side->posted % SLOTS) * RECEIVE_SLOT;
	uint8_t *source = storm->pair->end[index].memory + local;

	draw(storm, request);
	if (side->posted == REQUESTS - 1)
		request->signalled = true;
	foresee(side, request);
	if (!is_atomic(request) && request->opcode != IBV_WR_RDMA_READ) {
		for (uint32_t i = 0; i < request->length; i++)
			source[i] = pattern(request->seed, i);
	}
	sge[0] = pair_sge(storm->pair, index, local, request->length);
	wr = pair_request(
	        storm->pair, index, request->opcode, sge, remote_offset(request), side->posted);
	wr.imm_data = request->imm;
	wr.send_flags = request->signalled ? IBV_SEND_SIGNALED : 0;
	if (roll(storm) % 8 == 0)
		wr.send_flags |= IBV_SEND_FENCE;
	if (is_atomic(request)) {
		wr.wr.atomic.compare_add = request->operand;
		wr.wr.atomic.swap = request->swap;
	} else if (request->length > 100) {
		/* Two buffers, cut somewhere. */
		sge[0].length = request->length / 3;
		sge[1] = pair_sge(
		        storm->pair, index, local + sge[0].length, request->length - sge[0].length);
		wr.num_sge = 2;
	}
	assert_int_equal(pair_post(storm->pair, index, &wr), 0);
	side->posted++;
}

static void check_result(struct storm *storm, int index, unsigned n)
{
	const struct request *request = &storm->side[index].requests[n];
	const uint8_t *local =
	        storm->pair->end[index].memory + SOURCE + (uint64_t)(n % SLOTS) * RECEIVE_SLOT;
	uint64_t original;

	if (request->opcode == IBV_WR_RDMA_READ) {
		assert_memory_equal(local, storm->pair->end[!index].memory + remote_offset(request),
		        request->length);
	} else if (is_atomic(request)) {
		memcpy(&original, local, sizeof(original));
		assert_int_equal(original, request->expected);
	}
}

static void poll_sent(struct storm *storm, int index)
{
	struct side *side = &storm->side[index];
	struct ibv_wc wc;

	while (pair_poll_send(storm->pair, index, &wc)) {
		assert_int_equal(wc.status, IBV_WC_SUCCESS);
		/* Unsignalled requests before it are done as well, and silently. */
		while (!side->requests[side->completed].signalled)
			check_result(storm, index, side->completed++);
		assert_int_equal(wc.wr_id, side->completed);
		check_result(storm, index, side->completed++);
	}
}

static void check_message(struct storm *storm, int from, const struct ibv_wc *wc)
{
	struct side *side = &storm->side[from];
	const struct request *request;
	const uint8_t *data =
	        storm->pair->end[!from].memory + RECEIVED + (wc->wr_id % SLOTS) * RECEIVE_SLOT;

	while (!takes_receive(&side->requests[side->next_message]))
		side->next_message++;
	assert_true(side->next_message < side->posted);
	request = &side->requests[side->next_message++];
	assert_int_equal(wc->byte_len, request->length);
	if (request->opcode != IBV_WR_SEND)
		assert_int_equal(wc->imm_data, request->imm);
	if (request->opcode == IBV_WR_RDMA_WRITE_WITH_IMM) {
		assert_int_equal(wc->opcode, IBV_WC_RECV_RDMA_WITH_IMM);
		return;
	}
	for (uint32_t i = 0; i < request->length; i++)
		assert_int_equal(data[i], pattern(request->seed, i));
}

static void poll_received(struct storm *storm, int from)
{
	struct side *side = &storm->side[from];
	struct ibv_wc wc;

	while (pair_poll_receive(storm->pair, !from, &wc)) {
		assert_int_equal(wc.status, IBV_WC_SUCCESS);
		assert_int_equal(wc.wr_id, side->received);
		side->received++;
		check_message(storm, from, &wc);
	}
}

static void maybe_post_receive(struct storm *storm, int from)
{
	struct side *side = &storm->side[from];

	/* Scarce at times, so that RNR happens. */
	if (side->receives_posted - side->received >= SLOTS || roll(storm) % 4)
		return;
	assert_int_equal(pair_post_receive(storm->pair, !from,
	                         RECEIVED + (side->receives_posted % SLOTS) * RECEIVE_SLOT,
	                         RECEIVE_SLOT, side->receives_posted),
	        0);
	side->receives_posted++;
}

static bool may_post(const struct side *side)
{
	return side->posted < REQUESTS && side->posted - side->completed < SLOTS;
}

static bool is_done(const struct storm *storm)
{
	return storm->side[0].completed == REQUESTS && storm->side[1].completed == REQUESTS;
}

static void check_memory(struct storm *storm)
{
	for (int i = 0; i < 2; i++) {
		const uint8_t *peer = storm->pair->end[!i].memory;

		assert_memory_equal(peer + WRITTEN, storm->side[i].model_written, 0x10000);
		assert_memory_equal(
		        peer + COUNTERS, storm->side[i].model_counters, COUNTER_COUNT * 8);
	}
}

static void run(uint64_t seed)
{
	struct storm *storm = calloc(1, sizeof(*storm));
	struct pair_options options = pair_default;

	storm->random = seed * 0x9e3779b97f4a7c15ull | 1;
	options.first_psn = (uint32_t)roll(storm) & PACKET_PSN_MASK;
	options.mtu = IBV_MTU_256 + roll(storm) % 5;
	options.reads = (uint8_t)(1 + roll(storm) % 16);
	options.timeout = 10;
	storm->drop = (unsigned)(roll(storm) % 50);
	storm->duplicate = (unsigned)(roll(storm) % 100);
	storm->delay = (unsigned)(roll(storm) % 100);
	storm->pair = pair_open(&options);
	storm->pair->room = (unsigned)(16 + roll(storm) % (PAIR_WIRE_ROOM - 16));
	storm->pair->fate = fate;
	storm->pair->test = storm;
	for (int i = 0; i < 2; i++) {
		for (uint32_t b = 0; b < 0x10000; b++)
			storm->pair->end[i].memory[READABLE + b] = pattern((uint8_t)i, b);
	}
	for (uint64_t steps = 0; !is_done(storm); steps++) {
		assert_true(steps < 20000000);
		for (int i = 0; i < 2; i++) {
			if (may_post(&storm->side[i]) && roll(storm) % 3 == 0)
				post_one(storm, i);
			maybe_post_receive(storm, i);
		}
		pair_step(storm->pair);
		for (int i = 0; i < 2; i++) {
			poll_sent(storm, i);
			poll_received(storm, i);
			assert_int_equal(storm->pair->end[i].qp.state, IBV_QPS_RTS);
		}
	}
	check_memory(storm);
	pair_close(storm->pair);
	free(storm);
}

static void every_request_is_executed_once_and_in_order(void **state)
{
	const char *one = getenv("HCA_SEED"), *many = getenv("HCA_SEEDS");
	uint64_t seeds = getenv("TETHER_FULL") ? SEEDS_FULL : SEEDS;

	if (many)
		seeds = strtoull(many, NULL, 0);
	if (one) {
		run(strtoull(one, NULL, 0));
		return;
	}
	for (uint64_t seed = 1; seed <= seeds; seed++)
		run(seed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(every_request_is_executed_once_and_in_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
