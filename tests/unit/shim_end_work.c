/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* What an end posts and polls, and what the fake HCA makes of it. */
#include "tests/unit/shim_harness.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "preload/objects.h"

struct ibv_qp *real_of(struct ibv_qp *shown)
{
	return queue_pair_of(shown)->real;
}

int harness_poll(struct harness *h, struct end *end)
{
	return ibv_poll_cq(end->cq, 64, h->wc);
}

void harness_expect_one(struct harness *h, struct end *end, uint64_t wr_id)
{
	assert_int_equal(harness_poll(h, end), 1);
	assert_int_equal(h->wc[0].wr_id, wr_id);
	assert_int_equal(h->wc[0].status, IBV_WC_SUCCESS);
	assert_int_equal(h->wc[0].qp_num, end->qp->qp_num);
}

unsigned end_run(struct end *from, unsigned messages)
{
	return fake_execute(real_of(from->qp), messages, true);
}

unsigned end_run_unacknowledged(struct end *from, unsigned messages)
{
	return fake_execute(real_of(from->qp), messages, false);
}

static int post(struct end *from, struct ibv_send_wr *wr, uint32_t offset, uint32_t length)
{
	struct ibv_sge sge = {(uintptr_t)from->memory + offset, length, from->mr->lkey};
	struct ibv_send_wr *bad, posted = *wr;

	if (from->ah) {
		posted.wr.ud.ah = from->ah;
		posted.wr.ud.remote_qpn = from->remote_qpn;
		posted.wr.ud.remote_qkey = HARNESS_QKEY;
	}
	posted.sg_list = &sge;
	posted.num_sge = length > 0;
	return ibv_post_send(from->qp, &posted, &bad);
}

int end_send(struct end *from, uint64_t wr_id, uint32_t offset, uint32_t length, unsigned flags)
{
	struct ibv_send_wr wr = {.wr_id = wr_id, .opcode = IBV_WR_SEND, .send_flags = flags};

	return post(from, &wr, offset, length);
}

unsigned end_pending(const struct end *from)
{
	return fake_pending(real_of(from->qp));
}

int end_rdma(struct end *from, const struct end *to, enum ibv_wr_opcode opcode, uint64_t wr_id,
        uint32_t offset, uint32_t length, unsigned flags)
{
	struct ibv_send_wr wr = {.wr_id = wr_id,
	        .opcode = opcode,
	        .send_flags = flags,
	        .wr.rdma = {(uintptr_t)to->memory + offset, to->mr->rkey}};

	return post(from, &wr, offset, length);
}

int harness_write(struct harness *h, uint64_t wr_id)
{
	return end_rdma(&h->vm, &h->peer, IBV_WR_RDMA_WRITE, wr_id, 0, 8, IBV_SEND_SIGNALED);
}

int end_fetch_add_flagged(struct end *from, const struct end *to, uint64_t wr_id, uint32_t offset,
        uint64_t add, unsigned flags)
{
	struct ibv_send_wr wr = {.wr_id = wr_id,
	        .opcode = IBV_WR_ATOMIC_FETCH_AND_ADD,
	        .send_flags = flags,
	        .wr.atomic = {.remote_addr = (uintptr_t)to->memory + offset,
	                .compare_add = add,
	                .rkey = to->mr->rkey}};

	return post(from, &wr, offset, 8);
}

int end_fetch_add(
        struct end *from, const struct end *to, uint64_t wr_id, uint32_t offset, uint64_t add)
{
	return end_fetch_add_flagged(from, to, wr_id, offset, add, IBV_SEND_SIGNALED);
}

int end_receive(struct end *end, uint64_t wr_id, uint32_t offset, uint32_t length)
{
	struct ibv_sge sge = {(uintptr_t)end->memory + offset, length, end->mr->lkey};
	struct ibv_recv_wr wr = {.wr_id = wr_id, .sg_list = &sge, .num_sge = 1}, *bad;

	return end->srq ? ibv_post_srq_recv(end->srq, &wr, &bad)
	                : ibv_post_recv(end->qp, &wr, &bad);
}
