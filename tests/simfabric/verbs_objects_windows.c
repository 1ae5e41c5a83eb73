/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* Memory windows and the keys that are invalidated. */
#include <string.h>

#include "simfabric/verbs_objects.h"

enum {
	START = 0x10000, /* of windows, in the region */
	SIZE = 0x1000,
	BYTES = 100,
	READ = IBV_ACCESS_REMOTE_READ,
	WRITE = IBV_ACCESS_REMOTE_WRITE,
};

/* A region that windows may be bound to, a QP that binds them and its peer that uses them. */
struct bench {
	struct ibv_mr *mr;
	struct ibv_qp *qp, *peer;
	struct ibv_qp_ex *ex, *peer_ex;
};

static struct ibv_qp *open_qp(struct objects *o, enum ibv_qp_type type, uint64_t operations)
{
	struct ibv_qp_init_attr_ex attr = {.send_cq = o->cq,
	        .recv_cq = o->cq,
	        .cap = {.max_send_wr = 16, .max_recv_wr = 16, .max_send_sge = 1, .max_recv_sge = 1},
	        .qp_type = type,
	        .comp_mask = IBV_QP_INIT_ATTR_PD | IBV_QP_INIT_ATTR_SEND_OPS_FLAGS,
	        .pd = o->pd,
	        .send_ops_flags = operations};

	return ibv_create_qp_ex(o->context, &attr);
}

static struct ibv_qp *open_end(struct objects *o)
{
	struct ibv_qp *qp = open_qp(o, IBV_QPT_RC,
	        IBV_QP_EX_WITH_BIND_MW | IBV_QP_EX_WITH_LOCAL_INV | IBV_QP_EX_WITH_SEND_WITH_INV);

	CHECK(qp && ibv_qp_to_qp_ex(qp));
	return qp;
}

static void bench_open(struct objects *o, struct bench *bench)
{
	CHECK((bench->mr = ibv_reg_mr(
	               o->pd, o->memory, OBJECTS_MEMORY, OBJECTS_ALL_ACCESS | IBV_ACCESS_MW_BIND)));
	bench->qp = open_end(o);
	bench->peer = open_end(o);
	bench->ex = ibv_qp_to_qp_ex(bench->qp);
	bench->peer_ex = ibv_qp_to_qp_ex(bench->peer);
	objects_connect(o, bench->qp, bench->peer);
}

static void bench_close(struct bench *bench)
{
	CHECK(!ibv_destroy_qp(bench->qp) && !ibv_destroy_qp(bench->peer));
	CHECK(!ibv_dereg_mr(bench->mr));
}

static struct ibv_mw *open_window(struct objects *o, enum ibv_mw_type type)
{
	struct ibv_mw *mw = ibv_alloc_mw(o->pd, type);

	CHECK(mw && mw->type == type && mw->pd == o->pd && mw->context == o->context);
	return mw;
}

static struct ibv_mw_bind_info place(struct bench *bench)
{
	return (struct ibv_mw_bind_info){.mr = bench->mr,
	        .addr = (uintptr_t)bench->mr->addr + START,
	        .length = SIZE,
	        .mw_access_flags = READ | WRITE};
}

static void bind_1(struct objects *o, struct bench *bench, struct ibv_mw *mw, uint64_t wr_id)
{
	struct ibv_mw_bind wanted = {
	        .wr_id = wr_id, .send_flags = IBV_SEND_SIGNALED, .bind_info = place(bench)};

	CHECK(!ibv_bind_mw(bench->qp, mw, &wanted));
	objects_poll_for(o->cq, wr_id, IBV_WC_SUCCESS);
}

static int post_bind_2(struct bench *bench, struct ibv_mw *mw, uint64_t wr_id)
{
	struct ibv_send_wr wr = {.wr_id = wr_id,
	                           .opcode = IBV_WR_BIND_MW,
	                           .send_flags = IBV_SEND_SIGNALED,
	                           .bind_mw = {.mw = mw,
	                                   .rkey = ibv_inc_rkey(mw->rkey),
	                                   .bind_info = place(bench)}},
	                   *bad = NULL;
	int err = ibv_post_send(bench->qp, &wr, &bad);

	CHECK(!err == !bad);
	return err;
}

static void bind_2(struct objects *o, struct bench *bench, struct ibv_mw *mw, uint64_t wr_id)
{
	CHECK(!post_bind_2(bench, mw, wr_id));
	objects_poll_for(o->cq, wr_id, IBV_WC_SUCCESS);
	mw->rkey = ibv_inc_rkey(mw->rkey);
}

/* A WRITE through @rkey, to @offset of the place. */
static void write_through(struct objects *o, struct bench *bench, uint32_t rkey, uint64_t address,
        enum ibv_wc_status status)
{
	struct ibv_sge sge = objects_sge(o, 0, BYTES);
	struct ibv_send_wr wr = {.wr_id = 77,
	                           .sg_list = &sge,
	                           .num_sge = 1,
	                           .opcode = IBV_WR_RDMA_WRITE,
	                           .send_flags = IBV_SEND_SIGNALED,
	                           .wr = {.rdma = {.remote_addr = address, .rkey = rkey}}},
	                   *bad;

	CHECK(!ibv_post_send(bench->peer, &wr, &bad));
	objects_poll_for(o->cq, 77, status);
}

static uint64_t at(struct objects *o, uint64_t offset)
{
	return (uintptr_t)o->memory + offset;
}

static void device_claims_windows(struct objects *o)
{
	struct ibv_device_attr attr;

	CHECK(!ibv_query_device(o->context, &attr));
	CHECK(attr.device_cap_flags & IBV_DEVICE_MEM_WINDOW);
	CHECK(attr.device_cap_flags & IBV_DEVICE_MEM_WINDOW_TYPE_2B);
	CHECK(!(attr.device_cap_flags & IBV_DEVICE_MEM_WINDOW_TYPE_2A));
	CHECK(attr.device_cap_flags & IBV_DEVICE_MEM_MGT_EXTENSIONS);
	CHECK(attr.max_mw > 0);
	CHECK_NULL(EINVAL, ibv_alloc_mw(o->pd, (enum ibv_mw_type)3));
}

static void first_type_gets_a_new_key_with_each_bind(struct objects *o)
{
	struct bench bench;
	struct ibv_mw *mw = open_window(o, IBV_MW_TYPE_1);
	uint32_t unbound = mw->rkey, first;

	bench_open(o, &bench);
	bind_1(o, &bench, mw, 1);
	first = mw->rkey;
	CHECK(first != unbound);
	memset(o->memory, 0x5a, BYTES);
	write_through(o, &bench, first, at(o, START), IBV_WC_SUCCESS);
	CHECK(!memcmp(o->memory, o->memory + START, BYTES));
	bind_1(o, &bench, mw, 2);
	CHECK(mw->rkey != first);
	write_through(o, &bench, mw->rkey, at(o, START), IBV_WC_SUCCESS);
	write_through(o, &bench, first, at(o, START), IBV_WC_REM_ACCESS_ERR);
	CHECK(!ibv_dealloc_mw(mw));
	bench_close(&bench);
}

static void first_type_ends_with_a_bind_to_nothing(struct objects *o)
{
	struct ibv_mw *mw = open_window(o, IBV_MW_TYPE_1);
	struct ibv_mw_bind nothing = {.wr_id = 2, .send_flags = IBV_SEND_SIGNALED};
	struct bench bench;

	bench_open(o, &bench);
	bind_1(o, &bench, mw, 1);
	CHECK(ibv_dereg_mr(bench.mr) == EBUSY);
	CHECK(!ibv_bind_mw(bench.qp, mw, &nothing));
	objects_poll_for(o->cq, 2, IBV_WC_SUCCESS);
	write_through(o, &bench, mw->rkey, at(o, START), IBV_WC_REM_ACCESS_ERR);
	bench_close(&bench);
	CHECK(!ibv_dealloc_mw(mw));
}

static void first_type_is_refused_what_it_cannot_have(struct objects *o)
{
	struct ibv_mw *one = open_window(o, IBV_MW_TYPE_1), *two = open_window(o, IBV_MW_TYPE_2);
	struct ibv_mw_bind wanted = {.wr_id = 1};
	struct ibv_qp *ud;
	struct bench bench;
	uint32_t key = one->rkey;

	bench_open(o, &bench);
	CHECK((ud = open_qp(o, IBV_QPT_UD, IBV_QP_EX_WITH_SEND)));
	wanted.bind_info = place(&bench);
	CHECK(ibv_bind_mw(bench.qp, two, &wanted) == EINVAL);
	CHECK(ibv_bind_mw(ud, one, &wanted) == EINVAL);
	wanted.bind_info.mw_access_flags |= IBV_ACCESS_ZERO_BASED;
	CHECK(ibv_bind_mw(bench.qp, one, &wanted) == EINVAL);
	CHECK(post_bind_2(&bench, one, 1) == EINVAL);
	CHECK(one->rkey == key);
	CHECK(!ibv_destroy_qp(ud) && !ibv_dealloc_mw(one) && !ibv_dealloc_mw(two));
	bench_close(&bench);
}

static void failed_bind_is_told_by_its_completion(struct objects *o)
{
	struct ibv_mw *mw = open_window(o, IBV_MW_TYPE_1);
	struct ibv_mw_bind wanted = {.wr_id = 1};
	struct bench bench;

	bench_open(o, &bench);
	/* The other region is not for windows. */
	wanted.bind_info = place(&bench);
	wanted.bind_info.mr = o->mr;
	CHECK(!ibv_bind_mw(bench.qp, mw, &wanted));
	objects_poll_for(o->cq, 1, IBV_WC_MW_BIND_ERR);
	CHECK(!ibv_dealloc_mw(mw));
	bench_close(&bench);
}

static void second_type_is_bound_and_invalidated_by_requests(struct objects *o)
{
	struct ibv_mw *mw = open_window(o, IBV_MW_TYPE_2);
	struct ibv_send_wr wr = {.wr_id = 2,
	                           .opcode = IBV_WR_LOCAL_INV,
	                           .send_flags = IBV_SEND_SIGNALED},
	                   *bad;
	struct bench bench;
	struct ibv_wc wc;

	bench_open(o, &bench);
	bind_2(o, &bench, mw, 1);
	write_through(o, &bench, mw->rkey, at(o, START), IBV_WC_SUCCESS);
	CHECK(ibv_dereg_mr(bench.mr) == EBUSY);
	wr.invalidate_rkey = mw->rkey;
	CHECK(!ibv_post_send(bench.qp, &wr, &bad));
	wc = objects_poll(o->cq);
	CHECK(wc.wr_id == 2 && wc.status == IBV_WC_SUCCESS && wc.opcode == IBV_WC_LOCAL_INV);
	bind_2(o, &bench, mw, 3);
	write_through(o, &bench, mw->rkey, at(o, START), IBV_WC_SUCCESS);
	CHECK(!post_bind_2(&bench, mw, 4));
	objects_poll_for(o->cq, 4, IBV_WC_MW_BIND_ERR);
	CHECK(!ibv_dealloc_mw(mw));
	bench_close(&bench);
}

/* As in rxe; a program says it by the mw's rkey, which it sets itself. */
static void bind_must_know_the_key_that_the_window_has(struct objects *o)
{
	struct ibv_mw *mw = open_window(o, IBV_MW_TYPE_2);
	struct ibv_send_wr wr = {.wr_id = 2, .opcode = IBV_WR_LOCAL_INV}, *bad;
	uint32_t unbound = mw->rkey;
	struct bench bench;

	bench_open(o, &bench);
	bind_2(o, &bench, mw, 1);
	wr.invalidate_rkey = mw->rkey;
	CHECK(!ibv_post_send(bench.qp, &wr, &bad));
	mw->rkey = unbound;
	CHECK(!post_bind_2(&bench, mw, 3));
	objects_poll_for(o->cq, 3, IBV_WC_MW_BIND_ERR);
	CHECK(!ibv_dealloc_mw(mw));
	bench_close(&bench);
}

static void second_type_is_bound_and_invalidated_through_qp_ex(struct objects *o)
{
	struct ibv_mw *mw = open_window(o, IBV_MW_TYPE_2);
	struct ibv_mw_bind_info info;
	uint32_t key = ibv_inc_rkey(mw->rkey);
	struct bench bench;

	bench_open(o, &bench);
	info = place(&bench);
	info.mw_access_flags |= IBV_ACCESS_ZERO_BASED;
	ibv_wr_start(bench.ex);
	bench.ex->wr_flags = IBV_SEND_SIGNALED;
	bench.ex->wr_id = 1;
	ibv_wr_bind_mw(bench.ex, mw, key, &info);
	CHECK(!ibv_wr_complete(bench.ex));
	objects_poll_for(o->cq, 1, IBV_WC_SUCCESS);
	write_through(o, &bench, key, SIZE - BYTES, IBV_WC_SUCCESS);
	ibv_wr_start(bench.ex);
	bench.ex->wr_id = 2;
	ibv_wr_local_inv(bench.ex, key);
	CHECK(!ibv_wr_complete(bench.ex));
	objects_poll_for(o->cq, 2, IBV_WC_SUCCESS);
	write_through(o, &bench, key, 0, IBV_WC_REM_ACCESS_ERR);
	CHECK(!ibv_dealloc_mw(mw));
	bench_close(&bench);
}

/* Both ways; the completion says which key it was. */
static void send_invalidates_at_the_peer(struct objects *o)
{
	struct ibv_mw *mw = open_window(o, IBV_MW_TYPE_2);
	struct ibv_sge in = objects_sge(o, 0x4000, BYTES), out = objects_sge(o, 0, BYTES);
	struct ibv_recv_wr receive = {.wr_id = 8, .sg_list = &in, .num_sge = 1}, *bad_receive;
	struct ibv_send_wr send = {.wr_id = 9,
	                           .sg_list = &out,
	                           .num_sge = 1,
	                           .opcode = IBV_WR_SEND_WITH_INV,
	                           .send_flags = IBV_SEND_SIGNALED},
	                   *bad_send;
	struct bench bench;
	struct ibv_wc wc;

	bench_open(o, &bench);
	for (int way = 0; way < 2; way++) {
		bind_2(o, &bench, mw, 1);
		CHECK(!ibv_post_recv(bench.qp, &receive, &bad_receive));
		if (way) {
			ibv_wr_start(bench.peer_ex);
			bench.peer_ex->wr_id = 9;
			bench.peer_ex->wr_flags = IBV_SEND_SIGNALED;
			ibv_wr_send_inv(bench.peer_ex, mw->rkey);
			ibv_wr_set_sge(bench.peer_ex, out.lkey, out.addr, out.length);
			CHECK(!ibv_wr_complete(bench.peer_ex));
		} else {
			send.invalidate_rkey = mw->rkey;
			CHECK(!ibv_post_send(bench.peer, &send, &bad_send));
		}
		wc = objects_poll(o->cq);
		CHECK(wc.wr_id == 8 && wc.status == IBV_WC_SUCCESS && wc.byte_len == BYTES);
		CHECK(wc.wc_flags == IBV_WC_WITH_INV && wc.invalidated_rkey == mw->rkey);
		objects_poll_for(o->cq, 9, IBV_WC_SUCCESS);
	}
	write_through(o, &bench, mw->rkey, at(o, START), IBV_WC_REM_ACCESS_ERR);
	CHECK(!ibv_dealloc_mw(mw));
	bench_close(&bench);
}

static void second_type_is_for_one_queue_pair(struct objects *o)
{
	struct ibv_mw *mw = open_window(o, IBV_MW_TYPE_2);
	struct bench bench, other;

	bench_open(o, &bench);
	bench_open(o, &other);
	bind_2(o, &bench, mw, 1);
	write_through(o, &other, mw->rkey, at(o, START), IBV_WC_REM_ACCESS_ERR);
	write_through(o, &bench, mw->rkey, at(o, START), IBV_WC_SUCCESS);
	CHECK(!ibv_dealloc_mw(mw));
	bench_close(&other);
	bench_close(&bench);
}

static void destroyed_queue_pair_ends_its_windows(struct objects *o)
{
	struct ibv_mw *mw = open_window(o, IBV_MW_TYPE_2);
	struct bench bench;

	bench_open(o, &bench);
	bind_2(o, &bench, mw, 1);
	CHECK(ibv_dereg_mr(bench.mr) == EBUSY);
	bench_close(&bench);
	CHECK(!ibv_dealloc_mw(mw));
}

static void deallocated_window_is_unbound(struct objects *o)
{
	struct ibv_mw *mw = open_window(o, IBV_MW_TYPE_1);
	struct bench bench;
	uint32_t key;

	bench_open(o, &bench);
	bind_1(o, &bench, mw, 1);
	key = mw->rkey;
	CHECK(!ibv_dealloc_mw(mw));
	write_through(o, &bench, key, at(o, START), IBV_WC_REM_ACCESS_ERR);
	bench_close(&bench);
}

static void domain_is_busy_while_a_window_is_in_it(struct objects *o)
{
	struct ibv_pd *pd = ibv_alloc_pd(o->context);
	struct ibv_mw *mw = pd ? ibv_alloc_mw(pd, IBV_MW_TYPE_1) : NULL;

	CHECK(mw);
	CHECK(ibv_dealloc_pd(pd) == EBUSY);
	CHECK(!ibv_dealloc_mw(mw) && !ibv_dealloc_pd(pd));
}

static void unreliable_queue_pair_binds_as_well(struct objects *o)
{
	const uint64_t windows = IBV_QP_EX_WITH_BIND_MW | IBV_QP_EX_WITH_LOCAL_INV;
	struct ibv_mw *mw = open_window(o, IBV_MW_TYPE_2);
	struct bench bench, uc;

	CHECK_NULL(EOPNOTSUPP, open_qp(o, IBV_QPT_UC, IBV_QP_EX_WITH_SEND_WITH_INV));
	bench_open(o, &bench);
	uc.mr = bench.mr;
	CHECK((uc.qp = open_qp(o, IBV_QPT_UC, windows)));
	CHECK((uc.peer = open_qp(o, IBV_QPT_UC, windows)));
	objects_connect(o, uc.qp, uc.peer);
	bind_2(o, &uc, mw, 1);
	memset(o->memory, 0x33, BYTES);
	write_through(o, &uc, mw->rkey, at(o, START), IBV_WC_SUCCESS);
	while (memcmp(o->memory, o->memory + START, BYTES))
		objects_poll_nothing(o->cq);
	CHECK(!ibv_destroy_qp(uc.qp) && !ibv_destroy_qp(uc.peer));
	CHECK(!ibv_dealloc_mw(mw));
	bench_close(&bench);
}

static void context_is_closed_over_bound_windows(struct objects *o)
{
	struct objects left = *o;
	struct bench bench;

	CHECK((left.context = objects_open_device()));
	CHECK((left.pd = ibv_alloc_pd(left.context)));
	CHECK((left.cq = ibv_create_cq(left.context, 16, NULL, NULL, 0)));
	bench_open(&left, &bench);
	bind_1(&left, &bench, open_window(&left, IBV_MW_TYPE_1), 1);
	bind_2(&left, &bench, open_window(&left, IBV_MW_TYPE_2), 2);
	CHECK(!ibv_close_device(left.context));
}

const struct objects_test objects_windows_tests[] = {
        OBJECTS_TEST(device_claims_windows),
        OBJECTS_TEST(first_type_gets_a_new_key_with_each_bind),
        OBJECTS_TEST(first_type_ends_with_a_bind_to_nothing),
        OBJECTS_TEST(first_type_is_refused_what_it_cannot_have),
        OBJECTS_TEST(failed_bind_is_told_by_its_completion),
        OBJECTS_TEST(second_type_is_bound_and_invalidated_by_requests),
        OBJECTS_TEST(bind_must_know_the_key_that_the_window_has),
        OBJECTS_TEST(second_type_is_bound_and_invalidated_through_qp_ex),
        OBJECTS_TEST(send_invalidates_at_the_peer),
        OBJECTS_TEST(second_type_is_for_one_queue_pair),
        OBJECTS_TEST(destroyed_queue_pair_ends_its_windows),
        OBJECTS_TEST(deallocated_window_is_unbound),
        OBJECTS_TEST(domain_is_busy_while_a_window_is_in_it),
        OBJECTS_TEST(unreliable_queue_pair_binds_as_well),
        OBJECTS_TEST(context_is_closed_over_bound_windows),
        {0},
};
