/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* Memory regions: where they lie, what they allow, and how they are changed. */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "simfabric/verbs_objects.h"

enum {
	BYTES = 100,
	PAGE = 4096,
	FAR = 0x10000,
};

/* A sender and its target, whose keys are the subject. */
struct bench {
	struct ibv_qp *sender, *target;
};

static void bench_open(struct objects *o, struct bench *bench)
{
	bench->sender = objects_rc(o, o->cq, o->cq);
	bench->target = objects_rc(o, o->cq, o->cq);
	objects_connect(o, bench->sender, bench->target);
}

static void bench_close(struct bench *bench)
{
	CHECK(!ibv_destroy_qp(bench->sender) && !ibv_destroy_qp(bench->target));
}

static void transfer(struct objects *o, struct bench *bench, enum ibv_wr_opcode opcode,
        const struct ibv_mr *mr, uint64_t address, enum ibv_wc_status status)
{
	struct ibv_sge sge = objects_sge(o, 0, BYTES);
	struct ibv_send_wr wr = {.wr_id = 5,
	                           .sg_list = &sge,
	                           .num_sge = 1,
	                           .opcode = opcode,
	                           .send_flags = IBV_SEND_SIGNALED,
	                           .wr = {.rdma = {.remote_addr = address, .rkey = mr->rkey}}},
	                   *bad;

	CHECK(!ibv_post_send(bench->sender, &wr, &bad));
	objects_poll_for(o->cq, 5, status);
}

/* A WRITE to @address of the region arrives at @memory. */
static void assert_lies_at(struct objects *o, struct bench *bench, const struct ibv_mr *mr,
        uint64_t address, uint8_t *memory)
{
	static uint8_t fill;

	memset(o->memory, ++fill, BYTES);
	memset(memory, 0, BYTES);
	transfer(o, bench, IBV_WR_RDMA_WRITE, mr, address, IBV_WC_SUCCESS);
	CHECK(!memcmp(o->memory, memory, BYTES));
}

static void region_lies_where_its_iova_says(struct objects *o)
{
	uint8_t *memory = o->memory + FAR + 0x10;
	uint64_t iova = 0x7000000000 + 0x10;
	struct ibv_mr *mr = ibv_reg_mr_iova(o->pd, memory, PAGE, iova, OBJECTS_ALL_ACCESS);
	struct bench bench;

	CHECK(mr && mr->addr == memory && mr->length == PAGE);
	bench_open(o, &bench);
	assert_lies_at(o, &bench, mr, iova, memory);
	assert_lies_at(o, &bench, mr, iova + PAGE - BYTES, memory + PAGE - BYTES);
	transfer(o, &bench, IBV_WR_RDMA_WRITE, mr, iova + PAGE - BYTES + 1, IBV_WC_REM_ACCESS_ERR);
	CHECK(!ibv_dereg_mr(mr));
	bench_close(&bench);
}

/* As a gather list sees it, too. */
static void lkey_goes_by_the_iova(struct objects *o)
{
	uint64_t iova = 0x7000000000;
	struct ibv_mr *mr =
	        ibv_reg_mr_iova(o->pd, o->memory + FAR, PAGE, iova, IBV_ACCESS_LOCAL_WRITE);
	struct ibv_sge sge = {.addr = iova + 8, .length = BYTES, .lkey = mr->lkey};
	struct ibv_send_wr wr = {.wr_id = 5,
	                           .sg_list = &sge,
	                           .num_sge = 1,
	                           .opcode = IBV_WR_RDMA_WRITE,
	                           .send_flags = IBV_SEND_SIGNALED,
	                           .wr = {.rdma = {.remote_addr = (uintptr_t)o->memory,
	                                          .rkey = o->mr->rkey}}},
	                   *bad;
	struct bench bench;

	bench_open(o, &bench);
	memset(o->memory + FAR + 8, 0x77, BYTES);
	CHECK(!ibv_post_send(bench.sender, &wr, &bad));
	objects_poll_for(o->cq, 5, IBV_WC_SUCCESS);
	CHECK(!memcmp(o->memory, o->memory + FAR + 8, BYTES));
	CHECK(!ibv_dereg_mr(mr));
	bench_close(&bench);
}

static void iova_has_the_offset_in_the_page(struct objects *o)
{
	CHECK_NULL(EINVAL,
	        ibv_reg_mr_iova(o->pd, o->memory + 8, PAGE, 0x7000000000, OBJECTS_ALL_ACCESS));
}

static void zero_based_region_is_addressed_by_offsets(struct objects *o)
{
	struct ibv_mr *mr = ibv_reg_mr(
	        o->pd, o->memory + FAR + 0x20, PAGE, OBJECTS_ALL_ACCESS | IBV_ACCESS_ZERO_BASED);
	struct ibv_mr *same = ibv_reg_mr_iova(o->pd, o->memory + FAR, PAGE, 0, OBJECTS_ALL_ACCESS);
	struct bench bench;

	CHECK(mr && same);
	bench_open(o, &bench);
	assert_lies_at(o, &bench, mr, 8, o->memory + FAR + 0x28);
	assert_lies_at(o, &bench, same, 8, o->memory + FAR + 8);
	CHECK(!ibv_dereg_mr(mr) && !ibv_dereg_mr(same));
	bench_close(&bench);
}

static void region_needs_memory_that_can_be_used_so(struct objects *o)
{
	uint8_t *read_only = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint8_t *nothing = mmap(NULL, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct ibv_mr *mr;

	CHECK(read_only != MAP_FAILED && nothing != MAP_FAILED);
	CHECK_NULL(EFAULT, ibv_reg_mr(o->pd, read_only, PAGE, IBV_ACCESS_LOCAL_WRITE));
	CHECK((mr = ibv_reg_mr(o->pd, read_only, PAGE, IBV_ACCESS_REMOTE_READ)));
	CHECK(!ibv_dereg_mr(mr));
	CHECK_NULL(EFAULT, ibv_reg_mr(o->pd, nothing, PAGE, 0));
	CHECK(!munmap(nothing, PAGE));
	CHECK_NULL(EFAULT, ibv_reg_mr(o->pd, nothing, PAGE, 0));
	CHECK_NULL(EINVAL, ibv_reg_mr(o->pd, o->memory, 0, 0));
	CHECK_NULL(EINVAL, ibv_reg_mr(o->pd, o->memory, PAGE, IBV_ACCESS_REMOTE_WRITE));
	CHECK_NULL(EINVAL, ibv_reg_mr(o->pd, o->memory, PAGE, IBV_ACCESS_REMOTE_ATOMIC));
	CHECK(!munmap(read_only, PAGE));
}

static void hints_are_taken_and_the_unknown_is_refused(struct objects *o)
{
	struct ibv_mr *mr;

	CHECK((mr = ibv_reg_mr(
	               o->pd, o->memory, PAGE, OBJECTS_ALL_ACCESS | IBV_ACCESS_RELAXED_ORDERING)));
	CHECK(!ibv_dereg_mr(mr));
	CHECK_NULL(EOPNOTSUPP, ibv_reg_mr(o->pd, o->memory, PAGE, 1 << 12));
}

static void pages_on_demand_are_neither_claimed_nor_given(struct objects *o)
{
	struct ibv_sge sge = objects_sge(o, 0, PAGE);
	struct ibv_device_attr_ex attr;

	CHECK(!ibv_query_device_ex(o->context, NULL, &attr));
	CHECK(!(attr.odp_caps.general_caps & IBV_ODP_SUPPORT));
	CHECK(!attr.odp_caps.per_transport_caps.rc_odp_caps);
	CHECK_NULL(EOPNOTSUPP,
	        ibv_reg_mr(o->pd, o->memory, PAGE, IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_ON_DEMAND));
	CHECK_NULL(EOPNOTSUPP, ibv_reg_mr(o->pd, NULL, SIZE_MAX, IBV_ACCESS_ON_DEMAND));
	CHECK(ibv_advise_mr(o->pd, IBV_ADVISE_MR_ADVICE_PREFETCH, 0, &sge, 1) == EOPNOTSUPP);
	CHECK_NULL(EOPNOTSUPP, ibv_alloc_null_mr(o->pd));
	CHECK_NULL(EOPNOTSUPP, ibv_reg_dmabuf_mr(o->pd, 0, PAGE, 0, 0, 0));
}

/* ---- ibv_rereg_mr ---- */

static void region_moves_to_another_place(struct objects *o)
{
	struct ibv_mr *mr = ibv_reg_mr(o->pd, o->memory + FAR, PAGE, OBJECTS_ALL_ACCESS);
	uint8_t *place = o->memory + 2 * FAR;
	struct bench bench;

	CHECK(mr);
	bench_open(o, &bench);
	CHECK(!ibv_rereg_mr(mr, IBV_REREG_MR_CHANGE_TRANSLATION, NULL, place, 2 * PAGE, 0));
	CHECK(mr->addr == place && mr->length == 2 * PAGE);
	assert_lies_at(
	        o, &bench, mr, (uintptr_t)place + 2 * PAGE - BYTES, place + 2 * PAGE - BYTES);
	transfer(o, &bench, IBV_WR_RDMA_WRITE, mr, (uintptr_t)o->memory + FAR,
	        IBV_WC_REM_ACCESS_ERR);
	CHECK(!ibv_dereg_mr(mr));
	bench_close(&bench);
}

static void region_gets_other_rights(struct objects *o)
{
	struct ibv_mr *mr = ibv_reg_mr(o->pd, o->memory + FAR, PAGE, IBV_ACCESS_REMOTE_READ);
	uint64_t address = (uintptr_t)o->memory + FAR;
	struct bench bench;

	CHECK(mr);
	bench_open(o, &bench);
	CHECK(!ibv_rereg_mr(mr, IBV_REREG_MR_CHANGE_ACCESS, NULL, NULL, 0, OBJECTS_ALL_ACCESS));
	CHECK(mr->addr == o->memory + FAR && mr->length == PAGE);
	transfer(o, &bench, IBV_WR_RDMA_WRITE, mr, address, IBV_WC_SUCCESS);
	CHECK(!ibv_rereg_mr(mr, IBV_REREG_MR_CHANGE_ACCESS, NULL, NULL, 0, IBV_ACCESS_REMOTE_READ));
	transfer(o, &bench, IBV_WR_RDMA_READ, mr, address, IBV_WC_SUCCESS);
	transfer(o, &bench, IBV_WR_RDMA_WRITE, mr, address, IBV_WC_REM_ACCESS_ERR);
	CHECK(!ibv_dereg_mr(mr));
	bench_close(&bench);
}

static void region_changes_its_domain(struct objects *o)
{
	struct ibv_pd *pd = ibv_alloc_pd(o->context);
	struct ibv_mr *mr = pd ? ibv_reg_mr(pd, o->memory + FAR, PAGE, OBJECTS_ALL_ACCESS) : NULL;
	uint64_t address = (uintptr_t)o->memory + FAR;
	struct bench bench;

	CHECK(mr);
	bench_open(o, &bench);
	CHECK(ibv_dealloc_pd(pd) == EBUSY);
	CHECK(!ibv_rereg_mr(mr, IBV_REREG_MR_CHANGE_PD, o->pd, NULL, 0, 0));
	CHECK(mr->pd == o->pd);
	transfer(o, &bench, IBV_WR_RDMA_WRITE, mr, address, IBV_WC_SUCCESS);
	CHECK(!ibv_rereg_mr(mr, IBV_REREG_MR_CHANGE_PD, pd, NULL, 0, 0));
	CHECK(ibv_dealloc_pd(pd) == EBUSY);
	transfer(o, &bench, IBV_WR_RDMA_WRITE, mr, address, IBV_WC_REM_ACCESS_ERR);
	CHECK(!ibv_dereg_mr(mr) && !ibv_dealloc_pd(pd));
	bench_close(&bench);
}

static void all_is_changed_at_once(struct objects *o)
{
	struct ibv_pd *pd = ibv_alloc_pd(o->context);
	struct ibv_mr *mr = pd ? ibv_reg_mr(pd, o->memory + FAR, PAGE, 0) : NULL;
	uint8_t *place = o->memory + 2 * FAR;
	struct bench bench;

	CHECK(mr);
	bench_open(o, &bench);
	CHECK(!ibv_rereg_mr(mr, IBV_REREG_MR_FLAGS_SUPPORTED, o->pd, place, PAGE,
	        OBJECTS_ALL_ACCESS | IBV_ACCESS_ZERO_BASED));
	assert_lies_at(o, &bench, mr, 8, place + 8);
	CHECK(!ibv_rereg_mr(mr, IBV_REREG_MR_CHANGE_ACCESS, NULL, NULL, 0, OBJECTS_ALL_ACCESS));
	assert_lies_at(o, &bench, mr, (uintptr_t)place + 8, place + 8);
	CHECK(!ibv_dealloc_pd(pd) && !ibv_dereg_mr(mr));
	bench_close(&bench);
}

static void iova_outlives_other_rights(struct objects *o)
{
	struct ibv_mr *mr = ibv_reg_mr_iova(o->pd, o->memory + FAR, PAGE, 0x7000000000, 0);
	struct bench bench;

	CHECK(mr);
	bench_open(o, &bench);
	CHECK(!ibv_rereg_mr(mr, IBV_REREG_MR_CHANGE_ACCESS, NULL, NULL, 0, OBJECTS_ALL_ACCESS));
	assert_lies_at(o, &bench, mr, 0x7000000000 + 8, o->memory + FAR + 8);
	CHECK(!ibv_dereg_mr(mr));
	bench_close(&bench);
}

static void senseless_change_leaves_the_region_alone(struct objects *o)
{
	const struct {
		int flags;
		struct ibv_pd *pd;
		void *addr;
		size_t length;
		int access, result, error;
	} rows[] = {
	        {0, NULL, NULL, 0, 0, IBV_REREG_MR_ERR_INPUT, EINVAL},
	        {1 << 9, NULL, NULL, 0, 0, IBV_REREG_MR_ERR_INPUT, EINVAL},
	        {IBV_REREG_MR_CHANGE_TRANSLATION, NULL, NULL, PAGE, 0, IBV_REREG_MR_ERR_INPUT,
	                EINVAL},
	        {IBV_REREG_MR_CHANGE_TRANSLATION, NULL, o->memory, 0, 0, IBV_REREG_MR_ERR_INPUT,
	                EINVAL},
	        {IBV_REREG_MR_CHANGE_TRANSLATION, NULL, o->memory, PAGE, 1, IBV_REREG_MR_ERR_INPUT,
	                EINVAL},
	        {IBV_REREG_MR_CHANGE_PD, NULL, NULL, 0, 0, IBV_REREG_MR_ERR_INPUT, EINVAL},
	        {IBV_REREG_MR_CHANGE_TRANSLATION, NULL, (void *)PAGE, PAGE, 0, IBV_REREG_MR_ERR_CMD,
	                EFAULT},
	        {IBV_REREG_MR_CHANGE_ACCESS, NULL, NULL, 0, IBV_ACCESS_REMOTE_WRITE,
	                IBV_REREG_MR_ERR_CMD, EINVAL},
	        {IBV_REREG_MR_CHANGE_ACCESS, NULL, NULL, 0, IBV_ACCESS_ON_DEMAND,
	                IBV_REREG_MR_ERR_CMD, EOPNOTSUPP},
	};
	struct ibv_mr *mr = ibv_reg_mr(o->pd, o->memory + FAR, PAGE, OBJECTS_ALL_ACCESS);
	struct bench bench;

	CHECK(mr);
	bench_open(o, &bench);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		CHECK(ibv_rereg_mr(mr, rows[i].flags, rows[i].pd, rows[i].addr, rows[i].length,
		              rows[i].access) == rows[i].result);
		CHECK(errno == rows[i].error);
	}
	assert_lies_at(o, &bench, mr, (uintptr_t)o->memory + FAR, o->memory + FAR);
	CHECK(!ibv_dereg_mr(mr));
	bench_close(&bench);
}

static void region_with_a_window_is_not_changed(struct objects *o)
{
	struct ibv_mr *mr =
	        ibv_reg_mr(o->pd, o->memory + FAR, PAGE, OBJECTS_ALL_ACCESS | IBV_ACCESS_MW_BIND);
	struct ibv_mw *mw = ibv_alloc_mw(o->pd, IBV_MW_TYPE_1);
	struct ibv_mw_bind bind = {.wr_id = 1,
	        .send_flags = IBV_SEND_SIGNALED,
	        .bind_info = {.mr = mr,
	                .addr = (uintptr_t)o->memory + FAR,
	                .length = PAGE,
	                .mw_access_flags = IBV_ACCESS_REMOTE_READ}};
	struct bench bench;

	CHECK(mr && mw);
	bench_open(o, &bench);
	CHECK(!ibv_bind_mw(bench.sender, mw, &bind));
	objects_poll_for(o->cq, 1, IBV_WC_SUCCESS);
	CHECK(ibv_rereg_mr(mr, IBV_REREG_MR_CHANGE_ACCESS, NULL, NULL, 0, 0) ==
	        IBV_REREG_MR_ERR_INPUT);
	CHECK(errno == EBUSY);
	CHECK(!ibv_dealloc_mw(mw) && !ibv_dereg_mr(mr));
	bench_close(&bench);
}

/* ---- ibv_resize_cq ---- */

static void write_to_self(struct objects *o, struct bench *bench, uint64_t wr_id)
{
	struct ibv_sge sge = objects_sge(o, 0, 8);
	struct ibv_send_wr wr = {.wr_id = wr_id,
	                           .sg_list = &sge,
	                           .num_sge = 1,
	                           .opcode = IBV_WR_RDMA_WRITE,
	                           .send_flags = IBV_SEND_SIGNALED,
	                           .wr = {.rdma = {.remote_addr = (uintptr_t)o->memory + FAR,
	                                          .rkey = o->mr->rkey}}},
	                   *bad;

	CHECK(!ibv_post_send(bench->sender, &wr, &bad));
}

/* Until all that was posted has completed, without polling. */
static void wait_for_writes(struct bench *bench)
{
	struct ibv_qp_init_attr init_attr;
	struct ibv_qp_attr attr = {0};

	attr.qp_state = IBV_QPS_SQD;
	CHECK(!ibv_modify_qp(bench->sender, &attr, IBV_QP_STATE));
	do
		CHECK(!ibv_query_qp(bench->sender, &attr, IBV_QP_STATE, &init_attr));
	while (attr.qp_state == IBV_QPS_SQD && attr.sq_draining);
	attr.qp_state = IBV_QPS_RTS;
	CHECK(!ibv_modify_qp(bench->sender, &attr, IBV_QP_STATE));
}

static void resized_queue_keeps_its_completions_and_its_arm(struct objects *o)
{
	struct ibv_cq *cq = ibv_create_cq(o->context, 4, NULL, o->channel, 0), *from;
	struct bench bench;
	void *context;

	CHECK(cq);
	bench.sender = objects_rc(o, cq, cq);
	bench.target = objects_rc(o, cq, cq);
	objects_connect(o, bench.sender, bench.target);
	for (uint64_t i = 0; i < 3; i++)
		write_to_self(o, &bench, i);
	wait_for_writes(&bench);
	CHECK(!ibv_req_notify_cq(cq, 0));
	CHECK(ibv_resize_cq(cq, 2) == EINVAL && cq->cqe == 4);
	CHECK(ibv_resize_cq(cq, 0) == EINVAL && ibv_resize_cq(cq, -1) == EINVAL);
	CHECK(ibv_resize_cq(cq, 1 << 30) == EINVAL);
	CHECK(!ibv_resize_cq(cq, 30) && cq->cqe >= 30);
	for (uint64_t i = 3; i < 30; i++)
		write_to_self(o, &bench, i);
	CHECK(!ibv_get_cq_event(o->channel, &from, &context) && from == cq);
	ibv_ack_cq_events(cq, 1);
	wait_for_writes(&bench);
	CHECK(!objects_has_event(o->context->async_fd));
	for (uint64_t i = 0; i < 30; i++)
		objects_poll_for(cq, i, IBV_WC_SUCCESS);
	CHECK(!ibv_resize_cq(cq, 1));
	write_to_self(o, &bench, 31);
	objects_poll_for(cq, 31, IBV_WC_SUCCESS);
	bench_close(&bench);
	CHECK(!ibv_destroy_cq(cq));
}

static void smaller_queue_overruns_earlier(struct objects *o)
{
	struct ibv_cq *cq = ibv_create_cq(o->context, 16, NULL, NULL, 0);
	struct ibv_async_event event;
	struct bench bench;

	CHECK(cq && !ibv_resize_cq(cq, 2));
	bench.sender = objects_rc(o, cq, cq);
	bench.target = objects_rc(o, cq, cq);
	objects_connect(o, bench.sender, bench.target);
	for (uint64_t i = 0; i < (uint64_t)cq->cqe + 1; i++)
		write_to_self(o, &bench, i);
	event = objects_event(o->context);
	CHECK(event.event_type == IBV_EVENT_CQ_ERR && event.element.cq == cq);
	bench_close(&bench);
	CHECK(!ibv_destroy_cq(cq));
}

const struct objects_test objects_memory_tests[] = {
        OBJECTS_TEST(region_lies_where_its_iova_says),
        OBJECTS_TEST(lkey_goes_by_the_iova),
        OBJECTS_TEST(iova_has_the_offset_in_the_page),
        OBJECTS_TEST(zero_based_region_is_addressed_by_offsets),
        OBJECTS_TEST(region_needs_memory_that_can_be_used_so),
        OBJECTS_TEST(hints_are_taken_and_the_unknown_is_refused),
        OBJECTS_TEST(pages_on_demand_are_neither_claimed_nor_given),
        OBJECTS_TEST(region_moves_to_another_place),
        OBJECTS_TEST(region_gets_other_rights),
        OBJECTS_TEST(region_changes_its_domain),
        OBJECTS_TEST(all_is_changed_at_once),
        OBJECTS_TEST(iova_outlives_other_rights),
        OBJECTS_TEST(senseless_change_leaves_the_region_alone),
        OBJECTS_TEST(region_with_a_window_is_not_changed),
        OBJECTS_TEST(resized_queue_keeps_its_completions_and_its_arm),
        OBJECTS_TEST(smaller_queue_overruns_earlier),
        {0},
};
