/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* Memory regions that are registered anew in place, before and after a move. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "notifier/base/cleanup.h"
#include "preload/objects.h"
#include "preload/real_verbs.h"
#include "tests/unit/shim_fake_rarities.h"
#include "tests/unit/shim_harness.h"

enum { BYTES = 64, PAGE = 4096 };

static struct harness harness;
static uint8_t elsewhere[4096];

static int setup(void **state)
{
	memset(&harness, 0, sizeof(harness));
	memset(elsewhere, 0, sizeof(elsewhere));
	harness_open(&harness);
	harness_connect(&harness);
	*state = &harness;
	return 0;
}

static int move_elsewhere(struct harness *h)
{
	return ibv_rereg_mr(
	        h->vm.mr, IBV_REREG_MR_CHANGE_TRANSLATION, NULL, elsewhere, sizeof(elsewhere), 0);
}

/* A write of the peer by @rkey to @to; its status. */
static enum ibv_wc_status peer_writes_to(struct harness *h, uint32_t rkey, const void *to)
{
	struct ibv_sge sge = {(uintptr_t)h->peer.memory, BYTES, h->peer.mr->lkey};
	struct ibv_send_wr *bad, wr = {.wr_id = 7,
	                                 .sg_list = &sge,
	                                 .num_sge = 1,
	                                 .opcode = IBV_WR_RDMA_WRITE,
	                                 .send_flags = IBV_SEND_SIGNALED,
	                                 .wr.rdma = {(uintptr_t)to, rkey}};

	memset(h->peer.memory, 0x5a, BYTES);
	assert_int_equal(ibv_post_send(h->peer.qp, &wr, &bad), 0);
	fake_execute(real_of(h->peer.qp), 9, true);
	assert_int_equal(harness_poll(h, &h->peer), 1);
	return h->wc[0].status;
}

static enum ibv_wc_status peer_writes(struct harness *h, uint32_t rkey)
{
	return peer_writes_to(h, rkey, elsewhere);
}

static void expect_it_serves(struct harness *h)
{
	struct ibv_sge sge = {(uintptr_t)elsewhere, BYTES, h->vm.mr->lkey};
	struct ibv_send_wr *bad,
	        wr = {.sg_list = &sge,
	                .num_sge = 1,
	                .opcode = IBV_WR_RDMA_WRITE,
	                .send_flags = IBV_SEND_SIGNALED,
	                .wr.rdma = {(uintptr_t)h->peer.memory + BYTES, h->peer.mr->rkey}};

	assert_int_equal(peer_writes(h, h->vm.mr->rkey), IBV_WC_SUCCESS);
	assert_int_equal(elsewhere[BYTES - 1], 0x5a);
	assert_int_equal(ibv_post_send(h->vm.qp, &wr, &bad), 0);
	fake_execute(real_of(h->vm.qp), 9, true);
	assert_int_equal(harness_poll(h, &h->vm), 1);
	assert_int_equal(h->wc[0].status, IBV_WC_SUCCESS);
	assert_memory_equal(h->peer.memory + BYTES, elsewhere, BYTES);
}

static void a_region_changed_in_place_moves_as_it_is(void **state)
{
	struct harness *h = *state;

	assert_int_equal(move_elsewhere(h), 0);
	assert_ptr_equal(h->vm.mr->addr, elsewhere);
	expect_it_serves(h);
	harness_move(h);
	expect_it_serves(h);
}

static void a_moved_region_is_changed_in_place(void **state)
{
	struct harness *h = *state;
	uint32_t rkey = h->vm.mr->rkey;

	harness_move(h);
	assert_int_equal(move_elsewhere(h), 0);
	assert_int_equal(h->vm.mr->rkey, rkey);
	expect_it_serves(h);
	harness_move(h);
	expect_it_serves(h);
}

static void a_moved_region_gets_other_keys(void **state)
{
	struct harness *h = *state;
	uint32_t rkey = h->vm.mr->rkey;

	fake.rereg_changes_keys = true;
	harness_move(h);
	assert_int_equal(move_elsewhere(h), 0);
	assert_int_not_equal(h->vm.mr->rkey, rkey);
	expect_it_serves(h);
	harness_move(h);
	expect_it_serves(h);
	assert_int_equal(peer_writes(h, rkey), IBV_WC_REM_ACCESS_ERR);
}

/* The device gives the region a number by which the peer knows another one. */
static void a_key_that_is_taken_is_not_given(void **state)
{
	struct harness *h = *state;
	struct ibv_mr *other = ibv_reg_mr(h->vm.pd, h->vm.memory, BYTES, IBV_ACCESS_LOCAL_WRITE);
	uint32_t rkey = h->vm.mr->rkey;

	harness_move(h);
	fake.rereg_changes_keys = true;
	fake_next_number(rkey);
	assert_int_equal(ibv_rereg_mr(other, IBV_REREG_MR_CHANGE_TRANSLATION, NULL, elsewhere,
	                         sizeof(elsewhere), 0),
	        IBV_REREG_MR_ERR_CMD);
	assert_int_equal(ibv_dereg_mr(other), 0);
	fake.rereg_changes_keys = false;
	assert_int_equal(move_elsewhere(h), 0);
	assert_int_equal(h->vm.mr->rkey, rkey);
	expect_it_serves(h);
}

static void advice_reaches_the_region_where_it_is_now(void **state)
{
	struct harness *h = *state;
	struct ibv_sge sge = {(uintptr_t)h->vm.memory, BYTES, h->vm.mr->lkey};

	harness_move(h);
	assert_int_equal(ibv_advise_mr(h->vm.pd, IBV_ADVISE_MR_ADVICE_PREFETCH, 0, &sge, 1), 0);
	assert_int_equal(fake_advised.lkey, memory_region_of(h->vm.mr)->real->lkey);
	assert_int_not_equal(fake_advised.lkey, sge.lkey);
	assert_int_equal(sge.lkey, h->vm.mr->lkey);
}

static uint8_t *pages_map(size_t count)
{
	return mmap(NULL, count * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

static struct ibv_mr *pages_register(struct harness *h, uint8_t *pages, size_t count)
{
	return ibv_reg_mr(
	        h->vm.pd, pages, count * PAGE, IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_WRITE);
}

/* The end of a heap is given back, for instance. */
static void what_is_left_of_a_region_serves_after_a_move(void **state)
{
	struct harness *h = *state;
	uint8_t *pages = pages_map(4);
	struct ibv_mr *mr = pages_register(h, pages, 4);

	munmap(pages, PAGE);
	munmap(pages + 3 * PAGE, PAGE);
	harness_move(h);
	assert_int_equal(peer_writes_to(h, mr->rkey, pages + PAGE), IBV_WC_SUCCESS);
	assert_int_equal(peer_writes_to(h, mr->rkey, pages + 3 * PAGE - BYTES), IBV_WC_SUCCESS);
	assert_int_equal(pages[PAGE + BYTES - 1], 0x5a);
	assert_int_equal(pages[3 * PAGE - 1], 0x5a);
	assert_int_equal(peer_writes_to(h, mr->rkey, pages + 3 * PAGE), IBV_WC_REM_ACCESS_ERR);
	assert_int_equal(ibv_dereg_mr(mr), 0);
	munmap(pages + PAGE, 2 * PAGE);
}

/* A cache of registrations may find out late that memory was given back. */
static void a_region_of_which_nothing_is_left_moves_and_lets_nobody_in(void **state)
{
	struct harness *h = *state;
	uint8_t *pages = pages_map(2);
	struct ibv_mr *mr = pages_register(h, pages, 2);

	munmap(pages, 2 * PAGE);
	harness_move(h);
	assert_int_equal(peer_writes_to(h, mr->rkey, pages), IBV_WC_REM_ACCESS_ERR);
	assert_int_equal(ibv_dereg_mr(mr), 0);
}

/* A device gives keys in a row, and the one before it may have done so, too. */
static void many_keys_in_a_row_may_be_somebodys(void **state)
{
	struct harness *h = *state;
	struct ibv_mr *old[100], *mr;

	for (size_t i = 0; i < ARRAY_SIZE(old); i++) {
		old[i] = ibv_reg_mr(h->vm.pd, h->vm.memory, BYTES, 0);
		assert_non_null(old[i]);
	}
	harness_move(h);
	fake_next_number(old[0]->lkey);
	mr = ibv_reg_mr(h->vm.pd, h->vm.memory, BYTES, 0);
	assert_non_null(mr);
	for (size_t i = 0; i < ARRAY_SIZE(old); i++) {
		assert_int_not_equal(mr->lkey, old[i]->lkey);
		assert_int_equal(ibv_dereg_mr(old[i]), 0);
	}
	assert_int_equal(ibv_dereg_mr(mr), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, harness_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TEST(a_region_changed_in_place_moves_as_it_is),
	        TEST(a_moved_region_is_changed_in_place),
	        TEST(a_moved_region_gets_other_keys),
	        TEST(a_key_that_is_taken_is_not_given),
	        TEST(many_keys_in_a_row_may_be_somebodys),
	        TEST(advice_reaches_the_region_where_it_is_now),
	        TEST(what_is_left_of_a_region_serves_after_a_move),
	        TEST(a_region_of_which_nothing_is_left_moves_and_lets_nobody_in),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
