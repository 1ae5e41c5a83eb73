/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* ibv_cq_ex: the same completions as ibv_poll_cq, also across a move that happens between two. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <string.h>
#include <unistd.h>

#include "preload/objects.h"
#include "preload/real_verbs.h"
#include "tests/unit/shim_harness.h"

enum { PATIENCE_S = 30, BYTES = 40 };

static struct harness harness;

static struct ibv_cq_ex *make(struct end *end, const struct ibv_cq_init_attr_ex *wanted)
{
	struct ibv_cq_init_attr_ex attr = *wanted;

	attr.cqe = attr.cqe ? attr.cqe : 4 * HARNESS_DEPTH;
	attr.cq_context = end;
	return ibv_create_cq_ex(end->context, &attr);
}

static void replace(struct end *end)
{
	const struct ibv_cq_init_attr_ex attr = {.wc_flags = IBV_WC_STANDARD_FLAGS};
	struct ibv_cq_ex *made = make(end, &attr);

	assert_non_null(made);
	assert_int_equal(ibv_destroy_cq(end->cq), 0);
	end->cq = ibv_cq_ex_to_cq(made);
	assert_ptr_equal(end->cq->cq_context, end);
	assert_int_equal(end->cq->cqe, 4 * HARNESS_DEPTH);
}

static int setup(void **state)
{
	alarm(PATIENCE_S);
	memset(&harness, 0, sizeof(harness));
	harness_open(&harness);
	replace(&harness.vm);
	replace(&harness.peer);
	harness_connect(&harness);
	*state = &harness;
	return 0;
}

static int teardown(void **state)
{
	alarm(0);
	harness_close(*state);
	return 0;
}

static struct ibv_cq_ex *ex(const struct end *end)
{
	return (struct ibv_cq_ex *)end->cq;
}

static int start(struct ibv_cq_ex *cq)
{
	struct ibv_poll_cq_attr attr = {0};

	return ibv_start_poll(cq, &attr);
}

static int write_one(struct harness *h, uint64_t wr_id, unsigned flags)
{
	return end_rdma(&h->vm, &h->peer, IBV_WR_RDMA_WRITE, wr_id, 0, BYTES, flags);
}

static void completions_are_read_one_at_a_time(void **state)
{
	struct harness *h = *state;
	struct ibv_cq_ex *cq = ex(&h->peer);

	for (uint64_t i = 1; i <= 3; i++) {
		assert_int_equal(end_receive(&h->peer, 10 * i, 0, BYTES), 0);
		assert_int_equal(end_send(&h->vm, i, 0, BYTES, IBV_SEND_SIGNALED), 0);
	}
	assert_int_equal(fake_execute(real_of(h->vm.qp), 9, true), 3);
	assert_int_equal(start(cq), 0);
	for (uint64_t i = 1; i <= 3; i++) {
		assert_int_equal(cq->wr_id, 10 * i);
		assert_int_equal(cq->status, IBV_WC_SUCCESS);
		assert_int_equal(ibv_wc_read_opcode(cq), IBV_WC_RECV);
		assert_int_equal(ibv_wc_read_byte_len(cq), BYTES);
		assert_int_equal(ibv_wc_read_qp_num(cq), h->peer.qp->qp_num);
		assert_int_equal(ibv_wc_read_wc_flags(cq), 0);
		assert_int_equal(ibv_wc_read_vendor_err(cq), 0);
		assert_int_equal(ibv_next_poll(cq), i < 3 ? 0 : ENOENT);
	}
	ibv_end_poll(cq);
	assert_int_equal(start(cq), ENOENT);
}

static void it_can_be_polled_as_a_plain_one(void **state)
{
	struct harness *h = *state;

	assert_int_equal(write_one(h, 1, IBV_SEND_SIGNALED), 0);
	assert_int_equal(write_one(h, 2, IBV_SEND_SIGNALED), 0);
	fake_execute(real_of(h->vm.qp), 9, true);
	assert_int_equal(start(ex(&h->vm)), 0);
	assert_int_equal(ex(&h->vm)->wr_id, 1);
	ibv_end_poll(ex(&h->vm));
	assert_int_equal(harness_poll(h, &h->vm), 1);
	assert_int_equal(h->wc[0].wr_id, 2);
}

static void what_a_move_makes_up_is_read_the_same_way(void **state)
{
	struct harness *h = *state;
	struct ibv_cq_ex *cq = ex(&h->vm);
	uint32_t qpn = h->vm.qp->qp_num;

	assert_int_equal(write_one(h, 1, IBV_SEND_SIGNALED), 0);
	assert_int_equal(write_one(h, 2, 0), 0);
	assert_int_equal(write_one(h, 3, IBV_SEND_SIGNALED), 0);
	assert_int_equal(fake_execute(real_of(h->vm.qp), 2, false), 2);
	harness_move(h);
	assert_int_equal(fake_execute(real_of(h->vm.qp), 9, true), 1);
	assert_int_not_equal(real_of(h->vm.qp)->qp_num, qpn);
	assert_int_equal(start(cq), 0);
	assert_int_equal(cq->wr_id, 1);
	assert_int_equal(cq->status, IBV_WC_SUCCESS);
	assert_int_equal(ibv_wc_read_opcode(cq), IBV_WC_RDMA_WRITE);
	assert_int_equal(ibv_wc_read_qp_num(cq), qpn);
	assert_int_equal(ibv_next_poll(cq), 0);
	assert_int_equal(cq->wr_id, 3);
	assert_int_equal(ibv_wc_read_qp_num(cq), qpn);
	assert_int_equal(ibv_next_poll(cq), ENOENT);
	ibv_end_poll(cq);
}

struct reader {
	struct harness *h;
	sem_t started, go_on;
	uint64_t wr_ids[2];
	int next;
	struct ibv_mr *mr;
};

static void *read_across_a_move(void *at)
{
	struct reader *r = at;
	struct ibv_cq_ex *cq = ex(&r->h->vm);

	assert_int_equal(start(cq), 0);
	sem_post(&r->started);
	sem_wait(&r->go_on);
	r->wr_ids[0] = cq->wr_id;
	r->mr = ibv_reg_mr(r->h->vm.pd, r->h->vm.memory, 64, 0);
	r->next = ibv_next_poll(cq);
	r->wr_ids[1] = cq->wr_id;
	ibv_end_poll(cq);
	return NULL;
}

static void a_move_does_not_wait_for_ibv_end_poll(void **state)
{
	struct reader r = {.h = *state};
	struct harness *h = *state;
	pthread_t thread;

	sem_init(&r.started, 0, 0);
	sem_init(&r.go_on, 0, 0);
	assert_int_equal(write_one(h, 1, IBV_SEND_SIGNALED), 0);
	assert_int_equal(write_one(h, 2, IBV_SEND_SIGNALED), 0);
	assert_int_equal(fake_execute(real_of(h->vm.qp), 9, true), 2);
	assert_int_equal(pthread_create(&thread, NULL, read_across_a_move, &r), 0);
	sem_wait(&r.started);
	harness_move(h);
	sem_post(&r.go_on);
	pthread_join(thread, NULL);
	assert_int_equal(r.wr_ids[0], 1);
	assert_int_equal(r.next, 0);
	assert_int_equal(r.wr_ids[1], 2);
	assert_int_equal(ibv_dereg_mr(r.mr), 0);
}

static void of_a_queue_pair_destroyed_meanwhile_nothing_follows(void **state)
{
	struct harness *h = *state;
	struct ibv_cq_ex *cq = ex(&h->vm);

	assert_int_equal(write_one(h, 1, IBV_SEND_SIGNALED), 0);
	assert_int_equal(write_one(h, 2, IBV_SEND_SIGNALED), 0);
	fake_execute(real_of(h->vm.qp), 9, true);
	assert_int_equal(start(cq), 0);
	assert_int_equal(ibv_destroy_qp(h->vm.qp), 0);
	h->vm.qp = NULL;
	assert_int_equal(cq->wr_id, 1);
	assert_int_equal(ibv_next_poll(cq), ENOENT);
	ibv_end_poll(cq);
}

static void *start_and_end(void *at)
{
	struct harness *h = at;
	int err = start(ex(&h->vm));

	if (!err)
		ibv_end_poll(ex(&h->vm));
	return (void *)(intptr_t)err;
}

static void an_empty_queue_is_not_kept(void **state)
{
	struct harness *h = *state;
	pthread_t thread;
	void *err;

	assert_int_equal(start(ex(&h->vm)), ENOENT);
	assert_int_equal(pthread_create(&thread, NULL, start_and_end, h), 0);
	pthread_join(thread, &err);
	assert_int_equal((intptr_t)err, ENOENT);
}

static void an_unknown_way_to_poll_is_refused(void **state)
{
	struct harness *h = *state;
	struct ibv_poll_cq_attr attr = {.comp_mask = 1};

	assert_int_equal(ibv_start_poll(ex(&h->vm), &attr), EINVAL);
}

static void errors_are_read_with_their_status(void **state)
{
	struct harness *h = *state;
	struct ibv_cq_ex *cq = ex(&h->vm);
	struct ibv_qp_attr attr = {.qp_state = IBV_QPS_ERR};

	assert_int_equal(write_one(h, 1, IBV_SEND_SIGNALED), 0);
	assert_int_equal(ibv_modify_qp(h->vm.qp, &attr, IBV_QP_STATE), 0);
	assert_int_equal(start(cq), 0);
	assert_int_equal(cq->wr_id, 1);
	assert_int_equal(cq->status, IBV_WC_WR_FLUSH_ERR);
	ibv_end_poll(cq);
}

/* A program that is refused one of these makes a plain queue, or goes without. */
static void what_a_move_would_falsify_is_refused(void **state)
{
	const struct ibv_cq_init_attr_ex refused[] = {
	        {.wc_flags = IBV_WC_EX_WITH_CVLAN},
	        {.wc_flags = IBV_WC_EX_WITH_FLOW_TAG},
	        {.wc_flags = IBV_WC_EX_WITH_TM_INFO},
	        {.wc_flags = UINT64_C(1) << 40},
	        {.comp_mask = IBV_CQ_INIT_ATTR_MASK_FLAGS,
	                .flags = IBV_CREATE_CQ_ATTR_IGNORE_OVERRUN},
	        {.comp_mask = IBV_CQ_INIT_ATTR_MASK_PD},
	};
	struct harness *h = *state;

	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		errno = 0;
		assert_null(make(&h->vm, &refused[i]));
		assert_int_equal(errno, EOPNOTSUPP);
	}
}

static void that_one_thread_polls_is_a_hint(void **state)
{
	const struct ibv_cq_init_attr_ex attr = {.comp_mask = IBV_CQ_INIT_ATTR_MASK_FLAGS,
	        .flags = IBV_CREATE_CQ_ATTR_SINGLE_THREADED};
	struct harness *h = *state;
	struct ibv_cq_ex *cq = make(&h->vm, &attr);

	assert_non_null(cq);
	assert_int_equal(start(cq), ENOENT);
	assert_int_equal(ibv_destroy_cq(ibv_cq_ex_to_cq(cq)), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TEST(completions_are_read_one_at_a_time),
	        TEST(it_can_be_polled_as_a_plain_one),
	        TEST(what_a_move_makes_up_is_read_the_same_way),
	        TEST(a_move_does_not_wait_for_ibv_end_poll),
	        TEST(of_a_queue_pair_destroyed_meanwhile_nothing_follows),
	        TEST(an_empty_queue_is_not_kept),
	        TEST(an_unknown_way_to_poll_is_refused),
	        TEST(errors_are_read_with_their_status),
	        TEST(what_a_move_would_falsify_is_refused),
	        TEST(that_one_thread_polls_is_a_hint),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
