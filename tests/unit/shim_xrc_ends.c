/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "tests/unit/shim_xrc_ends.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <fcntl.h>
#include <string.h>

struct xrc_ends xrc;

struct ibv_srq *xend_create_srq_ex(struct xend *x, struct ibv_cq *cq)
{
	struct ibv_srq_init_attr_ex attr = {
	        .attr = {.max_wr = HARNESS_DEPTH, .max_sge = 1},
	        .comp_mask = IBV_SRQ_INIT_ATTR_TYPE | IBV_SRQ_INIT_ATTR_PD |
	                     IBV_SRQ_INIT_ATTR_XRCD | IBV_SRQ_INIT_ATTR_CQ,
	        .srq_type = IBV_SRQT_XRC,
	        .pd = x->end->pd,
	        .xrcd = x->domain,
	        .cq = cq,
	};

	return ibv_create_srq_ex(x->end->context, &attr);
}

static void make_queue_pairs(struct xend *x)
{
	struct ibv_qp_init_attr_ex sender = {
	        .send_cq = x->end->cq,
	        .cap = {.max_send_wr = HARNESS_DEPTH, .max_send_sge = 2},
	        .qp_type = IBV_QPT_XRC_SEND,
	        .comp_mask = IBV_QP_INIT_ATTR_PD | IBV_QP_INIT_ATTR_SEND_OPS_FLAGS,
	        .pd = x->end->pd,
	        .send_ops_flags = IBV_QP_EX_WITH_SEND,
	};
	struct ibv_qp_init_attr_ex target = {
	        .qp_type = IBV_QPT_XRC_RECV,
	        .comp_mask = IBV_QP_INIT_ATTR_XRCD,
	        .xrcd = x->domain,
	};

	x->end->qp = ibv_create_qp_ex(x->end->context, &sender);
	x->target = ibv_create_qp_ex(x->end->context, &target);
	assert_non_null(x->end->qp);
	assert_non_null(x->target);
}

static void xend_open(struct xend *x, struct end *end)
{
	struct ibv_xrcd_init_attr attr = {
	        .comp_mask = IBV_XRCD_INIT_ATTR_FD | IBV_XRCD_INIT_ATTR_OFLAGS,
	        .fd = -1,
	        .oflags = O_CREAT | O_EXCL,
	};

	x->end = end;
	x->domain = ibv_open_xrcd(end->context, &attr);
	assert_non_null(x->domain);
	x->cq = ibv_create_cq(end->context, 4 * HARNESS_DEPTH, NULL, NULL, 0);
	for (int i = 0; i < QUEUES; i++) {
		x->srqs[i] = xend_create_srq_ex(x, i ? x->cq : end->cq);
		assert_non_null(x->srqs[i]);
		assert_int_equal(ibv_get_srq_num(x->srqs[i], &x->numbers[i]), 0);
	}
	make_queue_pairs(x);
}

static void xend_close(struct xend *x)
{
	if (x->target)
		assert_int_equal(ibv_destroy_qp(x->target), 0);
	for (int i = 0; i < QUEUES; i++)
		assert_int_equal(ibv_destroy_srq(x->srqs[i]), 0);
	assert_int_equal(ibv_destroy_cq(x->cq), 0);
	assert_int_equal(ibv_close_xrcd(x->domain), 0);
}

/* end_connect for any two queue pairs. */
static void connect_to(struct end *end, struct ibv_qp *from, struct ibv_qp *to, uint16_t lid)
{
	const struct harness *h = &xrc.h;
	struct end from_end = *end, to_end = {.qp = to};

	to_end.gid = end == &h->vm ? h->peer.gid : h->vm.gid;
	from_end.qp = from;
	end_connect(&from_end, &to_end, lid);
}

int xrc_setup(void **state)
{
	struct harness *h = &xrc.h;

	memset(&xrc, 0, sizeof(xrc));
	harness_interest = harness_handles = 0;
	harness_open(h);
	xend_open(&xrc.vm, &h->vm);
	xend_open(&xrc.peer, &h->peer);
	connect_to(&h->vm, h->vm.qp, xrc.peer.target, harness_peer_lid());
	connect_to(&h->peer, xrc.peer.target, h->vm.qp, FAKE_LID_VM);
	connect_to(&h->peer, h->peer.qp, xrc.vm.target, FAKE_LID_VM);
	connect_to(&h->vm, xrc.vm.target, h->peer.qp, harness_peer_lid());
	*state = &xrc;
	return 0;
}

int xrc_teardown(void **state)
{
	struct harness *h = &xrc.h;

	assert_int_equal(ibv_destroy_qp(h->vm.qp), 0);
	assert_int_equal(ibv_destroy_qp(h->peer.qp), 0);
	h->vm.qp = h->peer.qp = NULL;
	xend_close(&xrc.vm);
	xend_close(&xrc.peer);
	harness_close(h);
	assert_int_equal(harness_interest, 0);
	assert_int_equal(harness_handles, 0);
	return 0;
}

int xend_receive(struct xend *x, int queue, uint64_t wr_id, uint32_t offset, uint32_t length)
{
	struct ibv_sge sge = {(uintptr_t)x->end->memory + offset, length, x->end->mr->lkey};
	struct ibv_recv_wr wr = {.wr_id = wr_id, .sg_list = &sge, .num_sge = 1}, *bad;

	return ibv_post_srq_recv(x->srqs[queue], &wr, &bad);
}

int xend_send(struct xend *from, uint32_t number, uint64_t wr_id, uint32_t length)
{
	struct ibv_sge sge = {(uintptr_t)from->end->memory, length, from->end->mr->lkey};
	struct ibv_send_wr *bad, wr = {
	                                 .wr_id = wr_id,
	                                 .sg_list = &sge,
	                                 .num_sge = 1,
	                                 .opcode = IBV_WR_SEND,
	                                 .send_flags = IBV_SEND_SIGNALED,
	                                 .qp_type.xrc.remote_srqn = number,
	                         };

	return ibv_post_send(from->end->qp, &wr, &bad);
}

unsigned xend_execute(struct xend *from, unsigned messages, bool acknowledged)
{
	return fake_execute(real_of(from->end->qp), messages, acknowledged);
}

void expect_completion(struct ibv_cq *cq, uint64_t wr_id, uint32_t qpn)
{
	struct ibv_wc wc[2];

	assert_int_equal(ibv_poll_cq(cq, 2, wc), 1);
	assert_int_equal(wc[0].status, IBV_WC_SUCCESS);
	assert_int_equal(wc[0].wr_id, wr_id);
	assert_int_equal(wc[0].qp_num, qpn);
}

void expect_no_completion(struct ibv_cq *cq)
{
	struct ibv_wc wc;

	assert_int_equal(ibv_poll_cq(cq, 1, &wc), 0);
}

void expect_it_works(struct xend *from, struct xend *to)
{
	for (int i = 0; i < QUEUES; i++) {
		assert_int_equal(xend_receive(to, i, 70u + (unsigned)i, 0, BYTES), 0);
		assert_int_equal(xend_send(from, to->numbers[i], 80u + (unsigned)i, BYTES), 0);
		assert_int_equal(xend_execute(from, 9, true), 1);
		expect_completion(from->end->cq, 80u + (unsigned)i, from->end->qp->qp_num);
		expect_completion(i ? to->cq : to->end->cq, 70u + (unsigned)i, to->target->qp_num);
	}
}
