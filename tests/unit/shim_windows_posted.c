/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* Work on windows that is built or in a list: posted in its order, refused where it is wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>

#include "tests/unit/shim_harness.h"
#include "tests/unit/shim_windows_ends.h"

static int setup_ex(void **state)
{
	static struct harness harness;

	harness_begin(&harness, (struct harness){.with_ex = true});
	*state = &harness;
	return 0;
}

static void build_bind(struct ibv_qp_ex *qpx, struct harness *h, struct ibv_mw *mw, uint32_t rkey)
{
	struct ibv_mw_bind_info info = part_of(&h->vm);

	ibv_wr_bind_mw(qpx, mw, rkey, &info);
}

static void build_send(struct ibv_qp_ex *qpx, struct harness *h, uint64_t wr_id)
{
	qpx->wr_id = wr_id;
	ibv_wr_send(qpx);
	ibv_wr_set_sge(qpx, h->vm.mr->lkey, (uintptr_t)h->vm.memory, 8);
}

static void built_work_is_posted_in_its_order(void **state)
{
	struct harness *h = *state;
	struct ibv_qp_ex *qpx = ibv_qp_to_qp_ex(h->vm.qp);
	struct ibv_mw *mw = window_of(&h->vm, IBV_MW_TYPE_2),
	              *theirs = window_of(&h->peer, IBV_MW_TYPE_2);
	uint32_t rkey = mw->rkey,
	         their_key = bound(h, &h->peer, theirs, ibv_inc_rkey(theirs->rkey));

	for (int i = 0; i < MOVES; i++) {
		for (uint64_t n = 0; n < 3; n++)
			end_receive(&h->peer, 20 + n, 0, 8);
		ibv_wr_start(qpx);
		qpx->wr_flags = IBV_SEND_SIGNALED;
		build_send(qpx, h, 1);
		qpx->wr_id = 2;
		build_bind(qpx, h, mw, ++rkey);
		build_send(qpx, h, 3);
		qpx->wr_id = 4;
		ibv_wr_local_inv(qpx, rkey);
		qpx->wr_id = 5;
		build_bind(qpx, h, mw, ++rkey);
		qpx->wr_id = 6;
		ibv_wr_send_inv(qpx, their_key);
		ibv_wr_set_sge(qpx, h->vm.mr->lkey, (uintptr_t)h->vm.memory, 8);
		assert_int_equal(ibv_wr_complete(qpx), 0);
		assert_int_equal(fake_execute(real_of(h->vm.qp), 9, true), 3);
		complete_in_order(h, &h->vm, 6);
		assert_int_equal(harness_poll(h, &h->peer), 3);
		assert_int_equal(h->wc[2].wc_flags, IBV_WC_WITH_INV);
		assert_int_equal(h->wc[2].invalidated_rkey, their_key);
		must_let_in(h, rkey);
		harness_move(h);
		must_let_in(h, rkey);
		post_invalidate(&h->vm, rkey, 7);
		completes(h, &h->vm, 7, IBV_WC_LOCAL_INV);
		their_key = bound(h, &h->peer, theirs, ibv_inc_rkey(their_key));
	}
	dealloc(mw);
	dealloc(theirs);
}

static void a_builder_without_room_posts_nothing(void **state)
{
	struct harness *h = *state;
	struct ibv_qp_ex *qpx = ibv_qp_to_qp_ex(h->vm.qp);
	struct ibv_mw *mw = window_of(&h->vm, IBV_MW_TYPE_2),
	              *wrong = window_of(&h->vm, IBV_MW_TYPE_1);

	end_receive(&h->peer, 20, 0, 8);
	ibv_wr_start(qpx);
	build_send(qpx, h, 1);
	for (int i = 0; i < HARNESS_DEPTH; i++)
		build_bind(qpx, h, mw, mw->rkey);
	assert_int_equal(ibv_wr_complete(qpx), ENOMEM);
	ibv_wr_start(qpx);
	build_send(qpx, h, 2);
	build_bind(qpx, h, mw, mw->rkey);
	build_bind(qpx, h, wrong, mw->rkey);
	ibv_wr_local_inv(qpx, mw->rkey);
	assert_int_equal(ibv_wr_complete(qpx), EINVAL);
	assert_int_equal(fake_pending(real_of(h->vm.qp)), 0);
	assert_int_equal(end_run(&h->vm, 9), 0);
	assert_int_equal(harness_poll(h, &h->vm), 0);
	assert_int_equal(harness_poll(h, &h->peer), 0);
	assert_int_equal(h->vm.qp->state, IBV_QPS_RTS);
	dealloc(mw);
	dealloc(wrong);
}

static void build_refused(struct ibv_qp_ex *qpx, struct harness *h, struct ibv_mw *mw)
{
	struct ibv_mw_bind_info info = part_of(&h->vm);

	info.length = UINT64_C(1) << 32;
	qpx->wr_id = 2;
	ibv_wr_bind_mw(qpx, mw, ibv_inc_rkey(mw->rkey), &info);
}

/* What was posted before it cannot be taken back: who hears "nothing was" would post it twice. */
static void what_is_refused_behind_others_is_an_error_of_the_work(void **state)
{
	struct harness *h = *state;
	struct ibv_qp_ex *qpx = ibv_qp_to_qp_ex(h->vm.qp);
	struct ibv_mw *mw = window_of(&h->vm, IBV_MW_TYPE_2);

	ibv_wr_start(qpx);
	build_refused(qpx, h, mw);
	build_send(qpx, h, 3);
	assert_int_equal(
	        ibv_wr_complete(qpx), EOPNOTSUPP); /* nothing before it: nothing is posted */
	assert_int_equal(fake_pending(real_of(h->vm.qp)), 0);
	for (int done = 0; done < 2; done++) {
		fake.automatic = done;
		end_receive(&h->peer, 20, 0, 8);
		ibv_wr_start(qpx);
		qpx->wr_flags = IBV_SEND_SIGNALED;
		build_send(qpx, h, 1);
		build_refused(qpx, h, mw);
		build_send(qpx, h, 3);
		assert_int_equal(ibv_wr_complete(qpx), 0);
		complete_in_order(h, &h->vm, 3);
		assert_int_equal(h->wc[0].status, done ? IBV_WC_SUCCESS : IBV_WC_WR_FLUSH_ERR);
		assert_int_equal(h->wc[1].status, done ? IBV_WC_MW_BIND_ERR : IBV_WC_WR_FLUSH_ERR);
		assert_int_equal(h->wc[2].status, IBV_WC_WR_FLUSH_ERR);
		assert_int_equal(h->vm.qp->state, IBV_QPS_ERR);
		make_new_queue_pairs(h);
		qpx = ibv_qp_to_qp_ex(h->vm.qp);
	}
	dealloc(mw);
}

/* That a peer has ended a bind whose completion is to come stays true until another is posted. */
static void what_is_not_posted_changes_no_window(void **state)
{
	struct harness *h = *state;
	struct ibv_qp_ex *qpx = ibv_qp_to_qp_ex(h->vm.qp);
	struct ibv_mw *mw = window_of(&h->vm, IBV_MW_TYPE_2);
	struct ibv_mw_bind_info info = part_of(&h->vm);
	uint32_t rkey = ibv_inc_rkey(mw->rkey);

	message_arrives(&h->vm, &h->peer, 1);
	assert_int_equal(harness_poll(h, &h->peer), 1);
	post_bind(&h->vm, mw, rkey, 2, IBV_SEND_SIGNALED);
	peer_invalidates(h, rkey);
	vm_hears_of_it(h, rkey);
	ibv_wr_start(qpx);
	build_bind(qpx, h, mw, rkey);
	ibv_wr_abort(qpx);
	info.length = UINT64_C(1) << 32; /* refused */
	ibv_wr_start(qpx);
	ibv_wr_bind_mw(qpx, mw, rkey, &info);
	assert_int_equal(ibv_wr_complete(qpx), EOPNOTSUPP);
	fake_acknowledge(real_of(h->vm.qp));
	assert_int_equal(harness_poll(h, &h->vm), 2);
	harness_move(h);
	must_not_let_in(h, rkey);
	dealloc(mw);
}

static void bad_wr_is_the_one_that_is_wrong(void **state)
{
	struct harness *h = *state;
	struct ibv_mw *mw = window_of(&h->vm, IBV_MW_TYPE_1); /* not for ibv_post_send */
	struct ibv_sge sge = {(uintptr_t)h->vm.memory, 8, h->vm.mr->lkey};
	struct ibv_send_wr *bad = NULL,
	                   last = {.opcode = IBV_WR_SEND, .sg_list = &sge, .num_sge = 1},
	                   wrong = {.next = &last,
	                           .opcode = IBV_WR_BIND_MW,
	                           .bind_mw = {mw, mw->rkey, part_of(&h->vm)}},
	                   first = {.next = &wrong,
	                           .opcode = IBV_WR_SEND,
	                           .sg_list = &sge,
	                           .num_sge = 1};

	assert_int_equal(ibv_post_send(h->vm.qp, &first, &bad), EINVAL);
	assert_ptr_equal(bad, &wrong);
	assert_int_equal(fake_pending(real_of(h->vm.qp)), 1);
	dealloc(mw);
}

static void a_list_may_have_it_anywhere(void **state)
{
	struct harness *h = *state;
	struct ibv_mw *mw = window_of(&h->vm, IBV_MW_TYPE_2);
	struct ibv_sge sge = {(uintptr_t)h->vm.memory, 8, h->vm.mr->lkey};
	struct ibv_send_wr wrs[5] = {
	        {.opcode = IBV_WR_BIND_MW, .bind_mw = {mw, mw->rkey + 1, part_of(&h->vm)}},
	        {.opcode = IBV_WR_SEND, .sg_list = &sge, .num_sge = 1},
	        {.opcode = IBV_WR_LOCAL_INV, .invalidate_rkey = mw->rkey + 1},
	        {.opcode = IBV_WR_BIND_MW, .bind_mw = {mw, mw->rkey + 2, part_of(&h->vm)}},
	        {.opcode = IBV_WR_SEND, .sg_list = &sge, .num_sge = 1},
	};

	for (int i = 0; i < 5; i++) {
		wrs[i].wr_id = (uint64_t)i;
		wrs[i].send_flags = IBV_SEND_SIGNALED;
		wrs[i].next = i < 4 ? &wrs[i + 1] : NULL;
	}
	end_receive(&h->peer, 20, 0, 8);
	end_receive(&h->peer, 21, 8, 8);
	assert_int_equal(post(&h->vm, wrs), 0);
	assert_int_equal(fake_execute(real_of(h->vm.qp), 9, true), 2);
	assert_int_equal(harness_poll(h, &h->vm), 5);
	for (unsigned i = 0; i < 5; i++)
		assert_int_equal(h->wc[i].wr_id, i);
	assert_int_equal(harness_poll(h, &h->peer), 2);
	must_let_in(h, mw->rkey + 2);
	dealloc(mw);
}

#define TEST(name)    cmocka_unit_test_setup_teardown(name, harness_setup, harness_teardown)
#define TEST_EX(name) cmocka_unit_test_setup_teardown(name, setup_ex, harness_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TEST_EX(built_work_is_posted_in_its_order),
	        TEST_EX(a_builder_without_room_posts_nothing),
	        TEST_EX(what_is_refused_behind_others_is_an_error_of_the_work),
	        TEST_EX(what_is_not_posted_changes_no_window),
	        TEST(bad_wr_is_the_one_that_is_wrong),
	        TEST(a_list_may_have_it_anywhere),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
