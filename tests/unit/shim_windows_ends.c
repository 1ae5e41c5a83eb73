/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "tests/unit/shim_windows_ends.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <string.h>

enum { BYTES = 64 };

struct ibv_mw *window_of(struct end *end, enum ibv_mw_type type)
{
	struct ibv_mw *mw = ibv_alloc_mw(end->pd, type);

	assert_non_null(mw);
	assert_ptr_equal(mw->context, end->context);
	assert_ptr_equal(mw->pd, end->pd);
	assert_int_equal(mw->type, type);
	return mw;
}

struct ibv_mr *region_for_windows(struct ibv_pd *pd, uint8_t *memory)
{
	return ibv_reg_mr(pd, memory, HARNESS_BYTES, IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_MW_BIND);
}

struct ibv_mw_bind_info part_of(const struct end *end)
{
	return (struct ibv_mw_bind_info){.mr = end->mr,
	        .addr = (uintptr_t)end->memory + AT,
	        .length = SIZE,
	        .mw_access_flags = ACCESS};
}

int post(struct end *end, struct ibv_send_wr *wr)
{
	struct ibv_send_wr *bad;

	return ibv_post_send(end->qp, wr, &bad);
}

void post_bind(struct end *end, struct ibv_mw *mw, uint32_t rkey, uint64_t wr_id, unsigned flags)
{
	struct ibv_send_wr wr = {.wr_id = wr_id,
	        .opcode = IBV_WR_BIND_MW,
	        .send_flags = flags,
	        .bind_mw = {mw, rkey, part_of(end)}};

	assert_int_equal(post(end, &wr), 0);
}

void post_invalidate(struct end *end, uint32_t rkey, uint64_t wr_id)
{
	struct ibv_send_wr wr = {.wr_id = wr_id,
	        .opcode = IBV_WR_LOCAL_INV,
	        .send_flags = IBV_SEND_SIGNALED,
	        .invalidate_rkey = rkey};

	assert_int_equal(post(end, &wr), 0);
}

void post_send_invalidate(struct end *end, uint32_t rkey, uint64_t wr_id)
{
	struct ibv_sge sge = {(uintptr_t)end->memory, 8, end->mr->lkey};
	struct ibv_send_wr wr = {.wr_id = wr_id,
	        .sg_list = &sge,
	        .num_sge = 1,
	        .opcode = IBV_WR_SEND_WITH_INV,
	        .send_flags = IBV_SEND_SIGNALED,
	        .invalidate_rkey = rkey};

	assert_int_equal(post(end, &wr), 0);
}

void message_arrives(struct end *from, struct end *to, uint64_t wr_id)
{
	end_receive(to, 20, 0, 8);
	end_send(from, wr_id, 0, 8, IBV_SEND_SIGNALED);
	assert_int_equal(end_run_unacknowledged(from, 1), 1);
}

void peer_invalidates(struct harness *h, uint32_t rkey)
{
	end_receive(&h->vm, 11, 0, 8);
	post_send_invalidate(&h->peer, rkey, 12);
	assert_int_equal(end_run(&h->peer, 1), 1);
	completes(h, &h->peer, 12, IBV_WC_SEND);
}

void vm_hears_of_it(struct harness *h, uint32_t rkey)
{
	completes(h, &h->vm, 11, IBV_WC_RECV);
	assert_int_equal(h->wc[0].wc_flags, IBV_WC_WITH_INV);
	assert_int_equal(h->wc[0].invalidated_rkey, rkey);
}

void completes(struct harness *h, struct end *end, uint64_t wr_id, enum ibv_wc_opcode opcode)
{
	assert_int_equal(harness_poll(h, end), 1);
	assert_int_equal(h->wc[0].status, IBV_WC_SUCCESS);
	assert_int_equal(h->wc[0].wr_id, wr_id);
	assert_int_equal(h->wc[0].opcode, opcode);
	assert_int_equal(h->wc[0].qp_num, end->qp->qp_num);
}

void complete_in_order(struct harness *h, struct end *end, unsigned count)
{
	assert_int_equal(harness_poll(h, end), count);
	for (unsigned i = 0; i < count; i++)
		assert_int_equal(h->wc[i].wr_id, i + 1);
}

uint32_t bound(struct harness *h, struct end *end, struct ibv_mw *mw, uint32_t rkey)
{
	post_bind(end, mw, rkey, 5, IBV_SEND_SIGNALED);
	completes(h, end, 5, IBV_WC_BIND_MW);
	return rkey;
}

uint32_t bound_type_1(struct harness *h, struct end *end, struct ibv_mw *mw)
{
	struct ibv_mw_bind bind = {
	        .wr_id = 6, .send_flags = IBV_SEND_SIGNALED, .bind_info = part_of(end)};
	uint32_t was = mw->rkey;

	assert_int_equal(ibv_bind_mw(end->qp, mw, &bind), 0);
	assert_int_equal(mw->rkey, ibv_inc_rkey(was));
	completes(h, end, 6, IBV_WC_BIND_MW);
	return mw->rkey;
}

enum ibv_wc_status writes(struct harness *h, struct end *from, const struct end *to, uint32_t rkey)
{
	static uint8_t value;
	struct ibv_sge sge = {(uintptr_t)from->memory, BYTES, from->mr->lkey};
	struct ibv_send_wr wr = {.wr_id = 9,
	        .sg_list = &sge,
	        .num_sge = 1,
	        .opcode = IBV_WR_RDMA_WRITE,
	        .send_flags = IBV_SEND_SIGNALED,
	        .wr.rdma = {(uintptr_t)to->memory + AT, rkey}};

	memset(from->memory, ++value, BYTES);
	assert_int_equal(post(from, &wr), 0);
	fake_execute(real_of(from->qp), 9, true);
	assert_int_equal(harness_poll(h, from), 1);
	if (!h->wc[0].status)
		assert_memory_equal(to->memory + AT, from->memory, BYTES);
	return h->wc[0].status;
}

void must_let_in(struct harness *h, uint32_t rkey)
{
	assert_int_equal(writes(h, &h->peer, &h->vm, rkey), IBV_WC_SUCCESS);
}

void must_not_let_in(struct harness *h, uint32_t rkey)
{
	assert_int_equal(writes(h, &h->peer, &h->vm, rkey), IBV_WC_REM_ACCESS_ERR);
}

void dealloc(struct ibv_mw *mw)
{
	assert_int_equal(ibv_dealloc_mw(mw), 0);
}

void make_new_queue_pairs(struct harness *h)
{
	assert_int_equal(ibv_destroy_qp(h->vm.qp), 0);
	assert_int_equal(ibv_destroy_qp(h->peer.qp), 0);
	harness_connect(h);
}

void abort_behind_the_vote(struct harness *h)
{
	harness_stop(h);
	harness_expect(h, TETHER__STEP__STEP_ABORT, DONE);
	harness_expect(h, TETHER__STEP__STEP_SETTLE, DONE);
	harness_expect(h, TETHER__STEP__STEP_RECONNECT, DONE);
	harness_expect(h, TETHER__STEP__STEP_RESUME, DONE);
}
