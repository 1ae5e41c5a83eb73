/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* What an application may rely on when it posts and polls through the library. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "preload/objects.h"
#include "tests/unit/shim_harness.h"

static int setup(void **state)
{
	harness_setup(state);
	fake.automatic = true;
	return 0;
}

static void wr_ids_and_numbers_are_the_applications(void **state)
{
	struct harness *h = *state;

	assert_int_equal(end_receive(&h->peer, 5001, 64, 64), 0);
	assert_int_equal(end_send(&h->vm, 77, 0, 16, IBV_SEND_SIGNALED), 0);
	assert_int_equal(harness_poll(h, &h->vm), 1);
	assert_int_equal(h->wc[0].wr_id, 77);
	assert_int_equal(h->wc[0].qp_num, h->vm.qp->qp_num);
	assert_int_equal(harness_poll(h, &h->peer), 1);
	assert_int_equal(h->wc[0].wr_id, 5001);
	assert_int_equal(h->wc[0].qp_num, h->peer.qp->qp_num);
}

static void bad_wr_points_into_callers_list(void **state)
{
	struct harness *h = *state;
	struct ibv_send_wr wrs[5] = {0}, *bad = NULL;

	for (int i = 0; i < 5; i++)
		wrs[i] = (struct ibv_send_wr){.wr_id = (uint64_t)i,
		        .next = i < 4 ? &wrs[i + 1] : NULL,
		        .opcode = IBV_WR_RDMA_WRITE,
		        .send_flags = IBV_SEND_SIGNALED,
		        .wr.rdma = {(uintptr_t)h->peer.memory, h->peer.mr->rkey}};
	fake.post_fails_at = 3;
	fake.automatic = false;
	assert_int_equal(ibv_post_send(h->vm.qp, wrs, &bad), ENOMEM);
	assert_ptr_equal(bad, &wrs[3]);
	assert_int_equal(end_pending(&h->vm), 3);
}

static void a_list_longer_than_the_queue_stops_where_it_is_full(void **state)
{
	struct harness *h = *state;
	struct ibv_send_wr wrs[HARNESS_DEPTH + 3] = {0}, *bad = NULL;

	for (int i = 0; i < HARNESS_DEPTH + 3; i++)
		wrs[i] = (struct ibv_send_wr){
		        .next = i < HARNESS_DEPTH + 2 ? &wrs[i + 1] : NULL, .opcode = IBV_WR_SEND};
	fake.automatic = false;
	assert_int_equal(ibv_post_send(h->vm.qp, wrs, &bad), ENOMEM);
	assert_ptr_equal(bad, &wrs[HARNESS_DEPTH]);
}

static void a_failed_post_is_not_replayed(void **state)
{
	struct harness *h = *state;

	fake.post_fails_at = 0;
	assert_int_equal(end_rdma(&h->vm, &h->peer, IBV_WR_RDMA_WRITE, 1, 0, 8, 0), ENOMEM);
	fake.post_fails_at = -1;
	fake.automatic = false;
	harness_move(h);
	assert_int_equal(end_pending(&h->vm), 0);
}

static void the_applications_list_is_not_written_to(void **state)
{
	struct harness *h = *state;
	struct ibv_sge sge = {(uintptr_t)h->vm.memory, 8, h->vm.mr->lkey}, sge_before;
	struct ibv_send_wr wr = {.wr_id = 9,
	        .sg_list = &sge,
	        .num_sge = 1,
	        .opcode = IBV_WR_RDMA_READ,
	        .wr.rdma = {(uintptr_t)h->peer.memory, h->peer.mr->rkey}};
	struct ibv_send_wr before, *bad;

	harness_move(h);
	before = wr;
	sge_before = sge;
	assert_int_equal(ibv_post_send(h->vm.qp, &wr, &bad), 0);
	assert_memory_equal(&wr, &before, sizeof(wr));
	assert_memory_equal(&sge, &sge_before, sizeof(sge));
}

static void completions_that_nobody_asked_for_are_not_shown(void **state)
{
	struct harness *h = *state;

	memcpy(h->peer.memory, "read me", 8);
	assert_int_equal(end_rdma(&h->vm, &h->peer, IBV_WR_RDMA_READ, 1, 0, 8, 0), 0);
	assert_int_equal(harness_poll(h, &h->vm), 0);
	assert_string_equal((char *)h->vm.memory, "read me");
	assert_int_equal(
	        end_rdma(&h->vm, &h->peer, IBV_WR_RDMA_READ, 2, 0, 8, IBV_SEND_SIGNALED), 0);
	assert_int_equal(harness_poll(h, &h->vm), 1);
	assert_int_equal(h->wc[0].wr_id, 2);
}

static void an_error_is_the_applications(void **state)
{
	struct harness *h = *state;
	struct ibv_send_wr wr = {.wr_id = 4, .opcode = IBV_WR_RDMA_WRITE, .wr.rdma = {0, 12345}};
	struct ibv_sge sge = {(uintptr_t)h->vm.memory, 8, h->vm.mr->lkey};
	struct ibv_send_wr *bad;

	wr.sg_list = &sge;
	wr.num_sge = 1;
	assert_int_equal(ibv_post_send(h->vm.qp, &wr, &bad), 0);
	assert_int_equal(harness_poll(h, &h->vm), 1);
	assert_int_equal(h->wc[0].status, IBV_WC_REM_ACCESS_ERR);
	assert_int_equal(h->wc[0].wr_id, 4);
}

static void modify_to_err_flushes_everything(void **state)
{
	struct harness *h = *state;
	struct ibv_qp_attr attr = {.qp_state = IBV_QPS_ERR};
	int sends = 0, receives = 0;

	fake.automatic = false;
	end_receive(&h->vm, 100, 0, 8);
	end_send(&h->vm, 1, 0, 8, 0);
	end_send(&h->vm, 2, 0, 8, IBV_SEND_SIGNALED);
	assert_int_equal(ibv_modify_qp(h->vm.qp, &attr, IBV_QP_STATE), 0);
	assert_int_equal(harness_poll(h, &h->vm), 3);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(h->wc[i].status, IBV_WC_WR_FLUSH_ERR);
		sends += h->wc[i].wr_id == 1 || h->wc[i].wr_id == 2;
		receives += h->wc[i].wr_id == 100;
	}
	assert_int_equal(sends, 2);
	assert_int_equal(receives, 1);
}

static void reset_forgets_work_and_completions(void **state)
{
	struct harness *h = *state;
	struct ibv_qp_attr attr = {.qp_state = IBV_QPS_RESET};

	assert_int_equal(harness_write(h, 1), 0);
	assert_int_equal(ibv_modify_qp(h->vm.qp, &attr, IBV_QP_STATE), 0);
	assert_int_equal(harness_poll(h, &h->vm), 0);
	assert_int_equal(h->vm.qp->state, IBV_QPS_RESET);
}

static void what_cannot_be_replayed_is_refused(void **state)
{
	struct harness *h = *state;
	struct ibv_send_wr wr = {.opcode = IBV_WR_ATOMIC_WRITE}, *bad = NULL;

	assert_int_equal(ibv_post_send(h->vm.qp, &wr, &bad), EINVAL);
	assert_ptr_equal(bad, &wr);
}

static void query_qp_answers_in_the_applications_terms(void **state)
{
	struct harness *h = *state;
	struct ibv_qp_init_attr init;
	struct ibv_qp_attr attr;

	harness_move(h);
	assert_int_equal(ibv_query_qp(h->peer.qp, &attr, IBV_QP_DEST_QPN | IBV_QP_STATE, &init), 0);
	assert_int_equal(attr.dest_qp_num, h->vm.qp->qp_num);
	assert_int_not_equal(attr.dest_qp_num, real_of(h->vm.qp)->qp_num);
	assert_int_equal(attr.qp_state, IBV_QPS_RTS);
	assert_ptr_equal(init.send_cq, h->peer.cq);
}

/* ---- ibv_qp_ex ---- */

static int setup_ex(void **state)
{
	static struct harness h;

	harness_begin(&h, (struct harness){.with_ex = true});
	fake.automatic = true;
	*state = &h;
	return 0;
}

static void builders_post_what_they_build(void **state)
{
	struct harness *h = *state;
	struct ibv_qp_ex *qpx = ibv_qp_to_qp_ex(h->vm.qp);
	char text[] = "inline";

	assert_non_null(qpx);
	strcpy((char *)h->vm.memory, "by sge");
	ibv_wr_start(qpx);
	qpx->wr_id = 1;
	qpx->wr_flags = IBV_SEND_SIGNALED;
	ibv_wr_rdma_write(qpx, h->peer.mr->rkey, (uintptr_t)h->peer.memory);
	ibv_wr_set_sge(qpx, h->vm.mr->lkey, (uintptr_t)h->vm.memory, 8);
	qpx->wr_id = 2;
	ibv_wr_rdma_write(qpx, h->peer.mr->rkey, (uintptr_t)h->peer.memory + 100);
	ibv_wr_set_inline_data(qpx, text, sizeof(text));
	text[0] = 'X'; /* taken already */
	assert_int_equal(ibv_wr_complete(qpx), 0);
	assert_int_equal(harness_poll(h, &h->vm), 2);
	assert_int_equal(h->wc[1].wr_id, 2);
	assert_string_equal((char *)h->peer.memory, "by sge");
	assert_string_equal((char *)h->peer.memory + 100, "inline");
}

static void an_abort_posts_nothing(void **state)
{
	struct harness *h = *state;
	struct ibv_qp_ex *qpx = ibv_qp_to_qp_ex(h->vm.qp);
	struct gate *gate = &queue_pair_of(h->vm.qp)->build_gate;
	enum gate_pass pass;

	fake.automatic = false;
	ibv_wr_start(qpx);
	ibv_wr_send(qpx);
	ibv_wr_abort(qpx);
	assert_int_equal(end_pending(&h->vm), 0);
	/* Another thread may build, and what was built is not in its way. */
	pass = gate_enter(gate);
	assert_int_equal(pass, GATE_OWNED);
	gate_leave(gate, pass);
	ibv_wr_start(qpx);
	ibv_wr_send(qpx);
	assert_int_equal(ibv_wr_complete(qpx), 0);
	assert_int_equal(end_pending(&h->vm), 1);
}

static void more_than_the_queue_takes_is_all_or_nothing(void **state)
{
	struct harness *h = *state;
	struct ibv_qp_ex *qpx = ibv_qp_to_qp_ex(h->vm.qp);

	fake.automatic = false;
	ibv_wr_start(qpx);
	for (int i = 0; i <= HARNESS_DEPTH; i++)
		ibv_wr_send(qpx);
	assert_int_equal(ibv_wr_complete(qpx), ENOMEM);
	assert_int_equal(end_pending(&h->vm), 0);
}

/* It cannot be taken back; so the application is not told that nothing was posted. */
static void what_the_device_takes_of_a_batch_comes_back_once(void **state)
{
	struct harness *h = *state;
	struct ibv_qp_ex *qpx = ibv_qp_to_qp_ex(h->vm.qp);

	fake.automatic = false;
	fake.post_fails_at = 2;
	ibv_wr_start(qpx);
	for (unsigned i = 0; i < 4; i++) {
		qpx->wr_id = i;
		ibv_wr_send(qpx);
	}
	assert_int_equal(ibv_wr_complete(qpx), 0);
	fake.post_fails_at = -1;
	assert_int_equal(harness_poll(h, &h->vm), 4);
	for (unsigned i = 0; i < 4; i++) {
		assert_int_equal(h->wc[i].wr_id, i);
		assert_int_equal(h->wc[i].status, IBV_WC_WR_FLUSH_ERR);
	}
	assert_int_equal(harness_poll(h, &h->vm), 0);
}

#define PLAIN(test) cmocka_unit_test_setup_teardown(test, setup, harness_teardown)
#define EX(test)    cmocka_unit_test_setup_teardown(test, setup_ex, harness_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	        PLAIN(wr_ids_and_numbers_are_the_applications),
	        PLAIN(bad_wr_points_into_callers_list),
	        PLAIN(a_list_longer_than_the_queue_stops_where_it_is_full),
	        PLAIN(a_failed_post_is_not_replayed),
	        PLAIN(the_applications_list_is_not_written_to),
	        PLAIN(completions_that_nobody_asked_for_are_not_shown),
	        PLAIN(an_error_is_the_applications),
	        PLAIN(modify_to_err_flushes_everything),
	        PLAIN(reset_forgets_work_and_completions),
	        PLAIN(what_cannot_be_replayed_is_refused),
	        PLAIN(query_qp_answers_in_the_applications_terms),
	        EX(builders_post_what_they_build),
	        EX(an_abort_posts_nothing),
	        EX(more_than_the_queue_takes_is_all_or_nothing),
	        EX(what_the_device_takes_of_a_batch_comes_back_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
