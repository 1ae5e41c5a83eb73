/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * loopback-verify [-x] [DEVICE...]: one process whose queue pairs are connected to each other, two
 * by two and one to itself, on each device (the first, if none is named); -x: those of one device
 * to those of the other. Each end sends numbered messages of each class to the other; receives are
 * posted late now and then. Every completion has to be the next one, every number, sum and pattern
 * right. SIGTERM ends it: what is open completes, the last line is one JSON object, exit status 0
 * only if all was exact.
 */
#include <endian.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "demo-apps/verify/device.h"
#include "demo-apps/verify/process.h"

enum {
	DEVICES_MAX = 2,
	ENDS = 5, /* of a device: two pairs, and one by itself */
	MESSAGES_OPEN = 8,
	SEND_DEPTH = 64,
	RECEIVE_DEPTH = 16,
	ADD_EVERY = 64, /* one without its answer aborts a move */
	LATE_EVERY = 500,
	LATE_POLLS = 300,
	STALL_US = 20000000,
	PSN = 0x1234,
};

enum kind { KIND_SEND, KIND_ADD, KIND_READ, KIND_RECEIVE };

static const uint64_t pattern = 0x7061747465726e21;

/* What others reach of an end, and what its own work goes from and to. */
struct memory {
	uint64_t written, counter, pattern;
	uint64_t number[SEND_DEPTH], added[SEND_DEPTH], read[SEND_DEPTH], arrived[RECEIVE_DEPTH];
};

struct work {
	enum kind kind;
	uint64_t number;
};

struct end {
	struct ibv_qp *qp;
	struct ibv_mr *mr;
	struct memory *memory;
	struct end *to;
	uint64_t sent, adds, received, receives_posted, late_until;
	struct work work[SEND_DEPTH]; /* signalled, in order */
	uint64_t work_posted, work_done;
};

struct board {
	struct ibv_context *context;
	struct ibv_pd *pd;
	struct ibv_cq *cq;
	struct port_address address;
	struct end ends[ENDS];
};

static struct board boards[DEVICES_MAX];
static unsigned board_count;
static bool is_crossed;
static uint64_t polls, progress_us;

static int wrong(const struct end *end, const char *what, uint64_t is, uint64_t should)
{
	fprintf(stderr, "loopback-verify: qp 0x%x: %s: %" PRIu64 ", not %" PRIu64 "\n",
	        end->qp->qp_num, what, is, should);
	return -1;
}

/* ---- set-up ---- */

static int end_open(struct end *end, struct board *board)
{
	struct ibv_qp_init_attr attr = {.send_cq = board->cq,
	        .recv_cq = board->cq,
	        .cap = {SEND_DEPTH, RECEIVE_DEPTH, 1, 1, 0},
	        .qp_type = IBV_QPT_RC};

	end->memory = aligned_alloc(64, (sizeof(struct memory) + 63) / 64 * 64);
	memset(end->memory, 0, sizeof(*end->memory));
	end->memory->pattern = pattern;
	end->mr = ibv_reg_mr(board->pd, end->memory, sizeof(*end->memory),
	        IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_WRITE | IBV_ACCESS_REMOTE_READ |
	                IBV_ACCESS_REMOTE_ATOMIC);
	end->qp = ibv_create_qp(board->pd, &attr);
	return end->mr && end->qp ? 0 : failed("queue pair", 12);
}

/* @board: that of the end that it is connected to. */
static int end_connect(struct end *end, const struct board *board)
{
	struct ibv_qp_attr init = {.qp_state = IBV_QPS_INIT,
	        .port_num = DEVICE_PORT,
	        .qp_access_flags = IBV_ACCESS_REMOTE_WRITE | IBV_ACCESS_REMOTE_READ |
	                           IBV_ACCESS_REMOTE_ATOMIC};
	struct ibv_qp_attr rtr = {.qp_state = IBV_QPS_RTR,
	        .path_mtu = IBV_MTU_1024,
	        .dest_qp_num = end->to->qp->qp_num,
	        .rq_psn = PSN,
	        .max_dest_rd_atomic = 4,
	        .min_rnr_timer = 1,
	        .ah_attr = {.dlid = board->address.lid, .port_num = DEVICE_PORT}};
	struct ibv_qp_attr rts = {.qp_state = IBV_QPS_RTS,
	        .sq_psn = PSN,
	        .max_rd_atomic = 4,
	        .timeout = 18,
	        .retry_cnt = 7,
	        .rnr_retry = 7};
	int err = ibv_modify_qp(end->qp, &init,
	        IBV_QP_STATE | IBV_QP_PKEY_INDEX | IBV_QP_PORT | IBV_QP_ACCESS_FLAGS);

	if (!err)
		err = ibv_modify_qp(end->qp, &rtr,
		        IBV_QP_STATE | IBV_QP_AV | IBV_QP_PATH_MTU | IBV_QP_DEST_QPN |
		                IBV_QP_RQ_PSN | IBV_QP_MAX_DEST_RD_ATOMIC | IBV_QP_MIN_RNR_TIMER);
	if (!err)
		err = ibv_modify_qp(end->qp, &rts,
		        IBV_QP_STATE | IBV_QP_TIMEOUT | IBV_QP_RETRY_CNT | IBV_QP_RNR_RETRY |
		                IBV_QP_SQ_PSN | IBV_QP_MAX_QP_RD_ATOMIC);
	return err ? failed("connect", err) : 0;
}

/* Two by two; the last one is left over, and has itself. */
static struct end *other_of(struct board *board, unsigned i)
{
	return &board->ends[is_crossed || i + 1 == ENDS ? i : i ^ 1];
}

static int board_connect(struct board *board)
{
	struct board *other = is_crossed ? &boards[board == boards] : board;
	int err = 0;

	for (unsigned i = 0; i < ENDS && !err; i++) {
		board->ends[i].to = other_of(other, i);
		err = end_connect(&board->ends[i], other);
	}
	return err;
}

static int board_open(struct board *board, const char *name)
{
	int err;

	board->context = device_open(name);
	if (!board->context)
		return -1;
	err = port_address_ask(board->context, 0, &board->address);
	board->pd = ibv_alloc_pd(board->context);
	board->cq =
	        ibv_create_cq(board->context, ENDS * (SEND_DEPTH + RECEIVE_DEPTH), NULL, NULL, 0);
	if (!board->pd || !board->cq)
		return failed("device", 12);
	for (unsigned i = 0; i < ENDS && !err; i++)
		err = end_open(&board->ends[i], board);
	return err;
}

/* ---- sending ---- */

static int post(struct end *end, const struct ibv_send_wr *wr, uint64_t *local)
{
	struct ibv_sge sge = {(uintptr_t)local, sizeof(*local), end->mr->lkey};
	struct ibv_send_wr posted = *wr, *bad;
	int err;

	posted.sg_list = &sge;
	posted.num_sge = 1;
	err = ibv_post_send(end->qp, &posted, &bad);
	return err ? failed("post", err) : 0;
}

static void expect(struct end *end, enum kind kind, uint64_t number)
{
	end->work[end->work_posted++ % SEND_DEPTH] = (struct work){kind, number};
}

static int post_far(struct end *end, enum kind kind, uint64_t number)
{
	struct memory *there = end->to->memory;
	uint64_t *local = kind == KIND_ADD ? end->memory->added : end->memory->read;
	struct ibv_send_wr wr = {.wr_id = kind, .send_flags = IBV_SEND_SIGNALED};

	if (kind == KIND_ADD) {
		wr.opcode = IBV_WR_ATOMIC_FETCH_AND_ADD;
		wr.wr.atomic.remote_addr = (uintptr_t)&there->counter;
		wr.wr.atomic.compare_add = 1;
		wr.wr.atomic.rkey = end->to->mr->rkey;
	} else {
		wr.opcode = IBV_WR_RDMA_READ;
		wr.wr.rdma.remote_addr = (uintptr_t)&there->pattern;
		wr.wr.rdma.rkey = end->to->mr->rkey;
	}
	local[number % SEND_DEPTH] = ~0ull;
	expect(end, kind, number);
	return post(end, &wr, &local[number % SEND_DEPTH]);
}

/* A WRITE of its number, the SEND that tells of it, and now and then an atomic or a READ. */
static int send_next(struct end *end)
{
	uint64_t n = end->sent++, *number = &end->memory->number[n % SEND_DEPTH];
	struct ibv_send_wr write = {.opcode = IBV_WR_RDMA_WRITE,
	        .wr.rdma = {(uintptr_t)&end->to->memory->written, end->to->mr->rkey}};
	struct ibv_send_wr send = {.opcode = IBV_WR_SEND_WITH_IMM,
	        .wr_id = KIND_SEND,
	        .send_flags = n % 2 ? 0 : IBV_SEND_SIGNALED,
	        .imm_data = htobe32((uint32_t)n)};
	int err;

	*number = n + 1;
	if (!(n % 2))
		expect(end, KIND_SEND, n);
	err = post(end, &write, number);
	if (!err)
		err = post(end, &send, number);
	if (!err && n % ADD_EVERY == 1)
		err = post_far(end, KIND_ADD, end->adds++);
	if (!err && n % 4 == 3)
		err = post_far(end, KIND_READ, n);
	return err;
}

static int receives_post(struct end *end)
{
	int err = 0;

	if (polls < end->late_until)
		return 0;
	while (!err && end->receives_posted - end->received < RECEIVE_DEPTH) {
		uint64_t *to = &end->memory->arrived[end->receives_posted % RECEIVE_DEPTH];
		struct ibv_sge sge = {(uintptr_t)to, sizeof(*to), end->mr->lkey};
		struct ibv_recv_wr wr = {.wr_id = KIND_RECEIVE, .sg_list = &sge, .num_sge = 1},
		                   *bad;

		*to = 0;
		err = ibv_post_recv(end->qp, &wr, &bad);
		end->receives_posted++;
	}
	return err ? failed("post receive", err) : 0;
}

static int go_on(struct end *end)
{
	int err = receives_post(end);

	while (!err && !stop_asked && end->sent - end->to->received < MESSAGES_OPEN &&
	        end->work_posted - end->work_done < SEND_DEPTH / 4)
		err = send_next(end);
	return err;
}

/* ---- what comes back ---- */

static int received(struct end *end, const struct ibv_wc *wc)
{
	uint64_t n = end->received++;

	if (be32toh(wc->imm_data) != (uint32_t)n)
		return wrong(end, "message", be32toh(wc->imm_data), n);
	if (end->memory->arrived[n % RECEIVE_DEPTH] != n + 1)
		return wrong(end, "content", end->memory->arrived[n % RECEIVE_DEPTH], n + 1);
	/* What was written before it, or what was written since. */
	if (end->memory->written <= n || end->memory->written > n + MESSAGES_OPEN)
		return wrong(end, "WRITE", end->memory->written, n + 1);
	if (n % LATE_EVERY == LATE_EVERY - 1)
		end->late_until = polls + LATE_POLLS;
	return 0;
}

static int completed(struct end *end, const struct ibv_wc *wc)
{
	struct work work = end->work[end->work_done % SEND_DEPTH];
	struct memory *m = end->memory;
	uint64_t slot = work.number % SEND_DEPTH;

	if (end->work_done++ == end->work_posted)
		return wrong(end, "completion of nothing", wc->wr_id, 0);
	if (work.kind != wc->wr_id)
		return wrong(end, "completion", wc->wr_id, work.kind);
	/* Nobody else adds to it. */
	if (work.kind == KIND_ADD && m->added[slot] != work.number)
		return wrong(end, "FETCH_ADD", m->added[slot], work.number);
	if (work.kind == KIND_READ && m->read[slot] != pattern)
		return wrong(end, "READ", m->read[slot], pattern);
	return 0;
}

static struct end *end_of(struct board *board, uint32_t qpn)
{
	for (unsigned i = 0; i < ENDS; i++)
		if (board->ends[i].qp->qp_num == qpn)
			return &board->ends[i];
	return NULL;
}

static int take(struct board *board, const struct ibv_wc *wc)
{
	struct end *end = end_of(board, wc->qp_num);

	if (!end || wc->status) {
		fprintf(stderr, "loopback-verify: qp 0x%x: %s\n", wc->qp_num,
		        end ? ibv_wc_status_str(wc->status) : "is nobody's");
		return -1;
	}
	progress_us = clock_us(CLOCK_MONOTONIC);
	return wc->opcode & IBV_WC_RECV ? received(end, wc) : completed(end, wc);
}

static int board_go_on(struct board *board)
{
	struct ibv_wc wc[16];
	int count = ibv_poll_cq(board->cq, 16, wc), err = count < 0 ? count : 0;

	for (int i = 0; i < count && !err; i++)
		err = take(board, &wc[i]);
	for (unsigned i = 0; i < ENDS && !err; i++)
		err = go_on(&board->ends[i]);
	return err;
}

/* ---- to the end ---- */

static uint64_t count_received(void)
{
	uint64_t sum = 0;

	for (unsigned b = 0; b < board_count; b++)
		for (unsigned i = 0; i < ENDS; i++)
			sum += boards[b].ends[i].received;
	return sum;
}

static bool works_everywhere(void)
{
	for (unsigned b = 0; b < board_count; b++)
		for (unsigned i = 0; i < ENDS; i++)
			if (!boards[b].ends[i].received)
				return false;
	return true;
}

static bool is_done(void)
{
	for (unsigned b = 0; b < board_count; b++)
		for (unsigned i = 0; i < ENDS; i++) {
			const struct end *end = &boards[b].ends[i];

			if (end->work_done < end->work_posted || end->to->received < end->sent)
				return false;
		}
	return stop_asked;
}

static int run(void)
{
	bool said = false;
	int err = 0;

	progress_us = clock_us(CLOCK_MONOTONIC);
	while (!err && !is_done()) {
		for (unsigned b = 0; b < board_count && !err; b++)
			err = board_go_on(&boards[b]);
		if (++polls % 1024 == 0 && clock_us(CLOCK_MONOTONIC) - progress_us > STALL_US)
			err = failed("no completion for 20 s", 110);
		if (!said && works_everywhere()) {
			fprintf(stderr, "loopback-verify: works\n");
			said = true;
		}
	}
	return err;
}

static int check_sums(void)
{
	for (unsigned b = 0; b < board_count; b++)
		for (unsigned i = 0; i < ENDS; i++) {
			const struct end *end = &boards[b].ends[i];

			if (end->to->memory->counter != end->adds)
				return wrong(end, "sum", end->to->memory->counter, end->adds);
		}
	return 0;
}

int main(int argc, char **argv)
{
	int err = 0;

	stop_signals_catch();
	is_crossed = argc > 1 && !strcmp(argv[1], "-x");
	argv += is_crossed;
	argc -= is_crossed;
	board_count = argc > 1 ? (unsigned)argc - 1 : 1;
	if (board_count > DEVICES_MAX || (is_crossed && board_count != DEVICES_MAX))
		return 2;
	for (unsigned b = 0; b < board_count && !err; b++)
		err = board_open(&boards[b], argc > 1 ? argv[b + 1] : NULL);
	for (unsigned b = 0; b < board_count && !err; b++)
		err = board_connect(&boards[b]);
	if (!err)
		err = run();
	if (!err)
		err = check_sums();
	printf("{\"devices\": %u, \"messages\": %" PRIu64 ", \"ok\": %s}\n", board_count,
	        count_received(), err ? "false" : "true");
	return err ? 1 : 0;
}
