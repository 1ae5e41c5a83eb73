/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Memory windows: keys reach what is bound, and nothing else, however often their owner or its peer
 * has moved; what binds and invalidates them is done once, in its turn.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "preload/memory_windows.h"
#include "preload/objects.h"
#include "tests/unit/shim_harness.h"
#include "tests/unit/shim_watched.h"

enum {
	ACCESS = IBV_ACCESS_REMOTE_WRITE | IBV_ACCESS_REMOTE_READ,
	BYTES = 64,
	AT = 1024,   /* where windows begin in their region */
	SIZE = 2048, /* of windows */
	MOVES = 3,
};

/* ---- words ---- */

static struct ibv_mw *window_of(struct end *end, enum ibv_mw_type type)
{
	struct ibv_mw *mw = ibv_alloc_mw(end->pd, type);

	assert_non_null(mw);
	assert_ptr_equal(mw->context, end->context);
	assert_ptr_equal(mw->pd, end->pd);
	assert_int_equal(mw->type, type);
	return mw;
}

static struct ibv_mw_bind_info part_of(const struct end *end)
{
	return (struct ibv_mw_bind_info){.mr = end->mr,
	        .addr = (uintptr_t)end->memory + AT,
	        .length = SIZE,
	        .mw_access_flags = ACCESS};
}

static int post(struct end *end, struct ibv_send_wr *wr)
{
	struct ibv_send_wr *bad;

	return ibv_post_send(end->qp, wr, &bad);
}

static void post_bind(
        struct end *end, struct ibv_mw *mw, uint32_t rkey, uint64_t wr_id, unsigned flags)
{
	struct ibv_send_wr wr = {.wr_id = wr_id,
	        .opcode = IBV_WR_BIND_MW,
	        .send_flags = flags,
	        .bind_mw = {mw, rkey, part_of(end)}};

	assert_int_equal(post(end, &wr), 0);
}

static void post_invalidate(struct end *end, uint32_t rkey, uint64_t wr_id)
{
	struct ibv_send_wr wr = {.wr_id = wr_id,
	        .opcode = IBV_WR_LOCAL_INV,
	        .send_flags = IBV_SEND_SIGNALED,
	        .invalidate_rkey = rkey};

	assert_int_equal(post(end, &wr), 0);
}

static void post_send_invalidate(struct end *end, uint32_t rkey, uint64_t wr_id)
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

static void completes(struct harness *h, struct end *end, uint64_t wr_id, enum ibv_wc_opcode opcode)
{
	assert_int_equal(harness_poll(h, end), 1);
	assert_int_equal(h->wc[0].status, IBV_WC_SUCCESS);
	assert_int_equal(h->wc[0].wr_id, wr_id);
	assert_int_equal(h->wc[0].opcode, opcode);
	assert_int_equal(h->wc[0].qp_num, end->qp->qp_num);
}

/* By a bind that has completed; its key. */
static uint32_t bound(struct harness *h, struct end *end, struct ibv_mw *mw, uint32_t rkey)
{
	post_bind(end, mw, rkey, 5, IBV_SEND_SIGNALED);
	completes(h, end, 5, IBV_WC_BIND_MW);
	return rkey;
}

static uint32_t bound_type_1(struct harness *h, struct end *end, struct ibv_mw *mw)
{
	struct ibv_mw_bind bind = {
	        .wr_id = 6, .send_flags = IBV_SEND_SIGNALED, .bind_info = part_of(end)};
	uint32_t was = mw->rkey;

	assert_int_equal(ibv_bind_mw(end->qp, mw, &bind), 0);
	assert_int_equal(mw->rkey, ibv_inc_rkey(was));
	completes(h, end, 6, IBV_WC_BIND_MW);
	return mw->rkey;
}

/* What @from writes by @rkey to a window of @to: its status. */
static enum ibv_wc_status writes(
        struct harness *h, struct end *from, const struct end *to, uint32_t rkey)
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

static void must_let_in(struct harness *h, uint32_t rkey)
{
	assert_int_equal(writes(h, &h->peer, &h->vm, rkey), IBV_WC_SUCCESS);
}

static void must_not_let_in(struct harness *h, uint32_t rkey)
{
	assert_int_equal(writes(h, &h->peer, &h->vm, rkey), IBV_WC_REM_ACCESS_ERR);
}

static void dealloc(struct ibv_mw *mw)
{
	assert_int_equal(ibv_dealloc_mw(mw), 0);
}

/* ---- keys ---- */

static void keys_reach_a_window_wherever_it_is(void **state)
{
	struct harness *h = *state;
	struct ibv_mw *mw = window_of(&h->vm, IBV_MW_TYPE_2);
	uint32_t rkey = bound(h, &h->vm, mw, ibv_inc_rkey(mw->rkey));

	must_let_in(h, rkey);
	for (int i = 0; i < MOVES; i++) {
		harness_move(h);
		must_let_in(h, rkey);
		post_invalidate(&h->vm, rkey, 7);
		completes(h, &h->vm, 7, IBV_WC_LOCAL_INV);
		rkey = bound(h, &h->vm, mw, ibv_inc_rkey(rkey));
		must_let_in(h, rkey);
	}
	dealloc(mw);
}

/* The tag is the application's: any. */
static void tags_are_the_applications(void **state)
{
	struct harness *h = *state;
	struct ibv_mw *mw = window_of(&h->vm, IBV_MW_TYPE_2);
	uint32_t number = mw->rkey & ~0xffu, rkey = bound(h, &h->vm, mw, number | 0xff);

	for (uint32_t tag = 0; tag < 256; tag += 51) {
		harness_move(h);
		must_let_in(h, rkey);
		post_invalidate(&h->vm, rkey, 7);
		completes(h, &h->vm, 7, IBV_WC_LOCAL_INV);
		rkey = bound(h, &h->vm, mw, number | tag);
		must_let_in(h, rkey);
	}
	harness_move(h);
	must_not_let_in(h, ibv_inc_rkey(rkey));
	dealloc(mw);
}

/* Providers of some devices set it where a bind is posted, and programs for these rely on it. */
static void the_key_is_shown_as_the_provider_does(void **state)
{
	struct harness *h = *state;
	struct ibv_mw *mw = window_of(&h->vm, IBV_MW_TYPE_2);
	uint32_t rkey = mw->rkey;

	bound(h, &h->vm, mw, ibv_inc_rkey(rkey));
	assert_int_equal(mw->rkey, rkey);
	fake.sets_window_keys = true;
	for (int i = 0; i < MOVES; i++) {
		post_invalidate(&h->vm, ibv_inc_rkey(rkey), 7);
		completes(h, &h->vm, 7, IBV_WC_LOCAL_INV);
		rkey = bound(h, &h->vm, mw, rkey + 2);
		assert_int_equal(mw->rkey, rkey);
		must_let_in(h, mw->rkey);
		harness_stop(h);
		post_invalidate(&h->vm, rkey, 7);
		post_bind(&h->vm, mw, ++rkey, 8, 0);
		assert_int_equal(mw->rkey, rkey); /* though it is kept */
		harness_go_on(h);
		completes(h, &h->vm, 7, IBV_WC_LOCAL_INV);
		must_let_in(h, mw->rkey);
		rkey--;
	}
	dealloc(mw);
}

static void type_1_counts_on_after_moves(void **state)
{
	struct harness *h = *state;
	struct ibv_mw *mw = window_of(&h->vm, IBV_MW_TYPE_1);
	uint32_t rkey = bound_type_1(h, &h->vm, mw);

	for (int i = 0; i < MOVES; i++) {
		harness_move(h);
		must_let_in(h, rkey);
		rkey = bound_type_1(h, &h->vm, mw);
		must_let_in(h, rkey);
		rkey = bound_type_1(h, &h->vm, mw);
	}
	must_let_in(h, rkey);
	must_not_let_in(h, rkey - 1);
	dealloc(mw);
}

static void type_1_that_was_unbound_stays_so(void **state)
{
	struct harness *h = *state;
	struct ibv_mw *mw = window_of(&h->vm, IBV_MW_TYPE_1);
	struct ibv_mw_bind nothing = {.wr_id = 6, .send_flags = IBV_SEND_SIGNALED};

	bound_type_1(h, &h->vm, mw);
	assert_int_equal(ibv_bind_mw(h->vm.qp, mw, &nothing), 0);
	completes(h, &h->vm, 6, IBV_WC_BIND_MW);
	harness_move(h);
	bound_type_1(h, &h->vm, mw);
	must_let_in(h, mw->rkey);
	assert_int_equal(ibv_bind_mw(h->vm.qp, mw, &nothing), 0);
	completes(h, &h->vm, 6, IBV_WC_BIND_MW);
	harness_move(h);
	must_not_let_in(h, mw->rkey);
	dealloc(mw);
}

/* Of no length, though it says where and of which region: devices are told just so. */
static void unbinding_may_name_the_region(void **state)
{
	struct harness *h = *state;
	struct ibv_mw *mw = window_of(&h->vm, IBV_MW_TYPE_1);
	struct ibv_mw_bind nothing = {
	        .wr_id = 6, .send_flags = IBV_SEND_SIGNALED, .bind_info = part_of(&h->vm)};

	nothing.bind_info.length = 0;
	bound_type_1(h, &h->vm, mw);
	assert_int_equal(ibv_bind_mw(h->vm.qp, mw, &nothing), 0);
	completes(h, &h->vm, 6, IBV_WC_BIND_MW);
	must_not_let_in(h, mw->rkey);
	dealloc(mw);
}

static void unbinding_may_name_the_region_while_it_moves(void **state)
{
	struct harness *h = *state;
	struct ibv_mw *mw = window_of(&h->vm, IBV_MW_TYPE_1);
	struct ibv_mw_bind nothing = {
	        .wr_id = 6, .send_flags = IBV_SEND_SIGNALED, .bind_info = part_of(&h->vm)};

	nothing.bind_info.length = 0;
	bound_type_1(h, &h->vm, mw);
	harness_stop(h);
	assert_int_equal(ibv_bind_mw(h->vm.qp, mw, &nothing), 0);
	harness_go_on(h);
	completes(h, &h->vm, 6, IBV_WC_BIND_MW);
	harness_move(h);
	bound_type_1(h, &h->vm, mw);
	must_let_in(h, mw->rkey);
	assert_int_equal(ibv_bind_mw(h->vm.qp, mw, &nothing), 0);
	completes(h, &h->vm, 6, IBV_WC_BIND_MW);
	harness_move(h);
	must_not_let_in(h, mw->rkey);
	dealloc(mw);
}

/* Type 2 knows no bind to nothing: an error of the work, not of the program. */
static void type_2_cannot_be_bound_to_nothing(void **state)
{
	struct harness *h = *state;
	struct ibv_mw *mw = window_of(&h->vm, IBV_MW_TYPE_2);
	struct ibv_send_wr wr = {.wr_id = 1,
	        .opcode = IBV_WR_BIND_MW,
	        .bind_mw = {mw, ibv_inc_rkey(mw->rkey), part_of(&h->vm)}};

	wr.bind_mw.bind_info.length = 0;
	assert_int_equal(post(&h->vm, &wr), 0);
	assert_int_equal(harness_poll(h, &h->vm), 1);
	assert_int_equal(h->wc[0].wr_id, 1);
	assert_int_equal(h->wc[0].status, IBV_WC_MW_BIND_ERR);
	dealloc(mw);
}

static void a_dead_window_lets_nobody_in(void **state)
{
	struct harness *h = *state;
	struct ibv_mw *mw = window_of(&h->vm, IBV_MW_TYPE_2);
	uint32_t rkey = bound(h, &h->vm, mw, ibv_inc_rkey(mw->rkey));

	harness_move(h);
	must_let_in(h, rkey);
	dealloc(mw);
	must_not_let_in(h, rkey);
}

/* What peers knew its key as may be anybody's where the VM is then. */
static void a_dead_key_is_nobodys_after_the_next_move(void **state)
{
	struct harness *h = *state;
	struct ibv_mw *mw = window_of(&h->vm, IBV_MW_TYPE_2), *heir;
	uint32_t rkey = bound(h, &h->vm, mw, ibv_inc_rkey(mw->rkey)), real;

	harness_move(h);
	must_let_in(h, rkey);
	real = window_key_to_real(container_of(mw, struct memory_window, shown), rkey);
	dealloc(mw);
	harness_move(h);
	fake_next_number(real >> 8);
	heir = window_of(&h->vm, IBV_MW_TYPE_2);
	assert_int_equal(heir->rkey >> 8, real >> 8);
	must_let_in(h, bound(h, &h->vm, heir, real));
	must_not_let_in(h, rkey);
	dealloc(heir);
}

static void a_dead_key_of_a_region_is_nobodys_after_the_next_move(void **state)
{
	struct harness *h = *state;
	struct ibv_mr *mr = ibv_reg_mr(h->vm.pd, h->vm.memory, HARNESS_BYTES, ACCESS), *heir;
	uint32_t rkey = mr->rkey, real;

	harness_move(h);
	must_let_in(h, rkey);
	real = container_of(mr, struct memory_region, shown)->real->rkey;
	assert_int_equal(ibv_dereg_mr(mr), 0);
	harness_move(h);
	fake_next_number(real);
	heir = ibv_reg_mr(h->vm.pd, h->vm.memory, HARNESS_BYTES, ACCESS);
	assert_int_equal(heir->rkey, real);
	must_let_in(h, real);
	must_not_let_in(h, rkey);
	assert_int_equal(ibv_dereg_mr(heir), 0);
}

/* harness_go_on in two parts: without a device, and at the next. */
static void goes_away(struct harness *h)
{
	harness_stop(h);
	harness_expect(h, TETHER__STEP__STEP_RELEASE, DONE);
	fake.slot = (fake.slot + 1) % 4;
}

static void arrives(struct harness *h)
{
	harness_expect(h, TETHER__STEP__STEP_ATTACH, DONE);
	harness_expect(h, TETHER__STEP__STEP_RECONNECT, DONE);
	harness_expect(h, TETHER__STEP__STEP_RESUME, DONE);
}

/* It ends before anybody was told what it has become. */
static void what_ends_on_the_way_is_nobodys(void **state)
{
	struct harness *h = *state;
	struct ibv_mr *mr = ibv_reg_mr(h->vm.pd, h->vm.memory, HARNESS_BYTES, ACCESS), *later;
	struct ibv_mw *mw = window_of(&h->vm, IBV_MW_TYPE_2), *heir;
	uint32_t rkey = bound(h, &h->vm, mw, ibv_inc_rkey(mw->rkey)), old = mr->rkey;

	goes_away(h);
	dealloc(mw);
	assert_int_equal(ibv_dereg_mr(mr), 0);
	arrives(h);
	fake_next_number(old);
	later = ibv_reg_mr(h->vm.pd, h->vm.memory, HARNESS_BYTES, ACCESS);
	assert_int_not_equal(later->rkey, old);
	assert_int_equal(ibv_dereg_mr(later), 0);
	fake_next_number(rkey >> 8);
	heir = window_of(&h->vm, IBV_MW_TYPE_2);
	assert_int_not_equal(heir->rkey >> 8, rkey >> 8);
	must_not_let_in(h, rkey);
	dealloc(heir);
}

/* Another window really has its number. */
static void a_dead_key_invalidates_nothing(void **state)
{
	struct harness *h = *state;
	struct ibv_mw *mw = window_of(&h->vm, IBV_MW_TYPE_2),
	              *other = window_of(&h->vm, IBV_MW_TYPE_2);
	struct memory_window *heir = container_of(other, struct memory_window, shown);
	uint32_t number = mw->rkey >> 8, rkey = bound(h, &h->vm, other, ibv_inc_rkey(other->rkey));

	harness_move(h);
	dealloc(mw);
	goes_away(h);
	fake_next_number(number - 1); /* the region first */
	arrives(h);
	assert_int_equal(heir->real->rkey >> 8, number);
	must_let_in(h, rkey);
	post_invalidate(&h->vm, window_key_to_real(heir, rkey), 7);
	assert_int_equal(harness_poll(h, &h->vm), 1);
	assert_int_equal(h->wc[0].wr_id, 7);
	assert_int_equal(h->wc[0].status, IBV_WC_MW_BIND_ERR);
	dealloc(other);
}

/* Peers would take it for the one that they know. */
static void what_is_made_later_has_no_key_of_a_window(void **state)
{
	struct harness *h = *state;
	struct ibv_mw *old = window_of(&h->vm, IBV_MW_TYPE_2), *mw;
	uint32_t number = old->rkey >> 8;
	struct ibv_mr *mr;

	harness_move(h);
	fake_next_number(number);
	mw = window_of(&h->vm, IBV_MW_TYPE_2);
	assert_int_not_equal(mw->rkey >> 8, number);
	dealloc(old);
	fake_next_number(number);
	old = window_of(&h->vm, IBV_MW_TYPE_2);
	assert_int_not_equal(old->rkey >> 8, number);
	fake_next_number(number << 8 | 0x7e);
	mr = ibv_reg_mr(h->vm.pd, h->vm.memory, 64, IBV_ACCESS_LOCAL_WRITE);
	assert_non_null(mr);
	assert_int_not_equal(mr->rkey >> 8, number);
	assert_int_equal(ibv_dereg_mr(mr), 0);
	fake_next_number(h->vm.mr->rkey >> 8);
	dealloc(mw);
	mw = window_of(&h->vm, IBV_MW_TYPE_2);
	assert_int_not_equal(mw->rkey >> 8, h->vm.mr->rkey >> 8);
	dealloc(mw);
	dealloc(old);
}

/* Peers translate the numbers of windows that were there when it moved, and no others. */
static void numbers_of_later_windows_are_given_again(void **state)
{
	struct harness *h = *state;
	struct ibv_mw *mw;
	uint32_t number;

	harness_move(h);
	mw = window_of(&h->vm, IBV_MW_TYPE_2);
	number = mw->rkey >> 8;
	for (int i = 0; i < MOVES; i++) {
		assert_int_equal(mw->rkey >> 8, number);
		dealloc(mw);
		fake_next_number(number);
		mw = window_of(&h->vm, IBV_MW_TYPE_2);
	}
	dealloc(mw);
}

/* ---- what cannot be bound again ---- */

enum { PAGE = 4096 };

/* On two pages, of which one goes. */
static struct ibv_mr *bound_to_less(struct harness *h, struct ibv_mw *mw)
{
	uint8_t *pages =
	        mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct end on_pages = h->vm;

	on_pages.mr =
	        ibv_reg_mr(h->vm.pd, pages, 2 * PAGE, IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_MW_BIND);
	on_pages.memory = pages + PAGE - AT - SIZE / 2;
	if (mw->type == IBV_MW_TYPE_1)
		bound_type_1(h, &on_pages, mw);
	else
		bound(h, &on_pages, mw, ibv_inc_rkey(mw->rkey));
	munmap(pages + PAGE, PAGE);
	return on_pages.mr;
}

static void of_one_page_less(struct ibv_mr *mr)
{
	uint8_t *page = mr->addr;

	assert_int_equal(ibv_dereg_mr(mr), 0);
	munmap(page, PAGE);
}

static void serves_as_before(struct harness *h, struct ibv_mw *mw)
{
	must_let_in(h, bound_type_1(h, &h->vm, mw));
	must_let_in(h, bound_type_1(h, &h->vm, mw));
	harness_move(h);
	must_let_in(h, mw->rkey);
	must_let_in(h, bound_type_1(h, &h->vm, mw));
}

/* The device still has the key before it. */
static void type_1_that_stays_unbound_is_bound_by_its_next_key(void **state)
{
	struct harness *h = *state;
	struct ibv_mw *mw = window_of(&h->vm, IBV_MW_TYPE_1);
	struct ibv_mr *mr = bound_to_less(h, mw);

	harness_move(h);
	serves_as_before(h, mw);
	dealloc(mw);
	of_one_page_less(mr);
}

static void type_1_that_a_device_refuses_is_bound_by_its_next_key(void **state)
{
	struct harness *h = *state;
	struct ibv_mw *mw = window_of(&h->vm, IBV_MW_TYPE_1);
	struct ibv_pd *pd = ibv_alloc_pd(h->vm.context);
	struct ibv_mr *mr = ibv_reg_mr(
	        pd, h->vm.memory, HARNESS_BYTES, IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_MW_BIND);

	bound_type_1(h, &h->vm, mw);
	container_of(mw, struct memory_window, shown)->bound.mr =
	        container_of(mr, struct memory_region, shown);
	harness_move(h);
	serves_as_before(h, mw);
	dealloc(mw);
	assert_int_equal(ibv_dereg_mr(mr), 0);
	assert_int_equal(ibv_dealloc_pd(pd), 0);
}

static void abort_behind_the_vote(struct harness *h)
{
	harness_stop(h);
	harness_expect(h, TETHER__STEP__STEP_ABORT, DONE);
	harness_expect(h, TETHER__STEP__STEP_SETTLE, DONE);
	harness_expect(h, TETHER__STEP__STEP_RECONNECT, DONE);
	harness_expect(h, TETHER__STEP__STEP_RESUME, DONE);
}

/* When it is posted already: too long. */
static void type_1_that_a_provider_refuses_is_bound_by_its_next_key(void **state)
{
	struct harness *h = *state;
	struct ibv_mw *mw = window_of(&h->vm, IBV_MW_TYPE_1);
	struct window_binding *is_bound = &container_of(mw, struct memory_window, shown)->bound;

	bound_type_1(h, &h->vm, mw);
	is_bound->length = UINT64_C(1) << 32;
	is_bound->mr->access |= IBV_ACCESS_ON_DEMAND;
	harness_move(h);
	serves_as_before(h, mw);
	dealloc(mw);
}

/* And what is given back does not take it for bound, either. */
static void type_2_that_stays_unbound_is_bound_by_its_next_key(void **state)
{
	struct harness *h = *state;
	struct ibv_mw *mw = window_of(&h->vm, IBV_MW_TYPE_2);
	struct ibv_mr *mr = bound_to_less(h, mw);

	harness_move(h);
	end_send(&h->vm, 1, 0, 8, IBV_SEND_SIGNALED);
	post_bind(&h->vm, mw, mw->rkey + 2, 2, IBV_SEND_SIGNALED);
	abort_behind_the_vote(h);
	end_receive(&h->peer, 20, 0, 8);
	assert_int_equal(end_run(&h->vm, 9), 1);
	assert_int_equal(harness_poll(h, &h->vm), 2);
	assert_int_equal(h->wc[1].status, IBV_WC_SUCCESS);
	assert_int_equal(harness_poll(h, &h->peer), 1);
	must_let_in(h, mw->rkey + 2);
	dealloc(mw);
	of_one_page_less(mr);
}

/* ---- invalidation ---- */

static void a_peer_invalidates_by_the_key_it_knows(void **state)
{
	struct harness *h = *state;
	struct ibv_mw *mw = window_of(&h->vm, IBV_MW_TYPE_2);
	uint32_t rkey = mw->rkey;

	for (int i = 0; i < MOVES; i++) {
		rkey = bound(h, &h->vm, mw, ibv_inc_rkey(rkey));
		harness_move(h);
		end_receive(&h->vm, 11, 0, 8);
		post_send_invalidate(&h->peer, rkey, 12);
		assert_int_equal(fake_execute(real_of(h->peer.qp), 1, true), 1);
		completes(h, &h->peer, 12, IBV_WC_SEND);
		completes(h, &h->vm, 11, IBV_WC_RECV);
		assert_int_equal(h->wc[0].wc_flags, IBV_WC_WITH_INV);
		assert_int_equal(h->wc[0].invalidated_rkey, rkey);
	}
	harness_move(h);
	must_not_let_in(h, rkey);
	dealloc(mw);
}

/* The first window is made by another thread while a queue pair is, which both must notice. */
static void a_queue_pair_is_told_once_for_all(void **state)
{
	struct harness *h = *state;
	struct queue_pair *qp = queue_pair_of(h->vm.qp);
	struct ibv_mw *mw;

	assert_false(qp->looks_at_receives);
	windows_look_at(qp);
	assert_false(qp->looks_at_receives);
	qp->looks_at_receives = true; /* by who has found it in the list, before it looks itself */
	windows_look_at(qp);
	assert_true(qp->looks_at_receives);
	qp->looks_at_receives = false;
	mw = window_of(&h->vm, IBV_MW_TYPE_1);
	assert_false(qp->looks_at_receives);
	dealloc(mw);
	mw = window_of(&h->vm, IBV_MW_TYPE_2);
	assert_true(qp->looks_at_receives);
	qp->looks_at_receives = false; /* one that was not in the list yet */
	windows_look_at(qp);
	assert_true(qp->looks_at_receives);
	dealloc(mw);
}

static void what_was_invalidated_is_not_bound_again(void **state)
{
	struct harness *h = *state;
	struct ibv_mw *mw = window_of(&h->vm, IBV_MW_TYPE_2);
	uint32_t rkey = bound(h, &h->vm, mw, ibv_inc_rkey(mw->rkey));

	post_invalidate(&h->vm, rkey, 7);
	harness_move(h);
	completes(h, &h->vm, 7, IBV_WC_LOCAL_INV);
	must_not_let_in(h, rkey);
	dealloc(mw);
}

/* The bind is done, its completion is behind that of a message without acknowledgement. */
static void invalidation_may_be_seen_before_the_bind(void **state)
{
	struct harness *h = *state;
	struct ibv_mw *mw = window_of(&h->vm, IBV_MW_TYPE_2);
	uint32_t rkey = ibv_inc_rkey(mw->rkey);

	end_receive(&h->peer, 20, 0, 8);
	end_receive(&h->peer, 21, 8, 8);
	end_send(&h->vm, 1, 0, 8, IBV_SEND_SIGNALED);
	fake_execute(real_of(h->vm.qp), 1, false);
	post_bind(&h->vm, mw, rkey, 2, IBV_SEND_SIGNALED);
	end_send(&h->vm, 3, 0, 8, IBV_SEND_SIGNALED);
	fake_execute(real_of(h->vm.qp), 1, false);
	assert_int_equal(harness_poll(h, &h->peer), 2);
	end_receive(&h->vm, 11, 0, 8);
	post_send_invalidate(&h->peer, rkey, 12);
	assert_int_equal(fake_execute(real_of(h->peer.qp), 1, true), 1);
	completes(h, &h->peer, 12, IBV_WC_SEND);
	harness_move(h);
	assert_int_equal(harness_poll(h, &h->vm), 4);
	must_not_let_in(h, rkey);
	dealloc(mw);
}

/* It stays in the log behind a READ that is unanswered through two moves. */
static void what_a_bind_has_done_is_noted_once(void **state)
{
	struct harness *h = *state;
	struct ibv_mw *mw = window_of(&h->vm, IBV_MW_TYPE_2);
	uint32_t rkey = ibv_inc_rkey(mw->rkey);

	end_receive(&h->peer, 20, 0, 8);
	end_rdma(&h->vm, &h->peer, IBV_WR_RDMA_READ, 1, 0, 8, IBV_SEND_SIGNALED);
	fake_execute(real_of(h->vm.qp), 1, false);
	post_bind(&h->vm, mw, rkey, 2, IBV_SEND_SIGNALED);
	end_send(&h->vm, 3, 0, 8, IBV_SEND_SIGNALED);
	fake_execute(real_of(h->vm.qp), 1, false);
	assert_int_equal(harness_poll(h, &h->peer), 1);
	harness_move(h);
	end_receive(&h->vm, 11, 0, 8);
	post_send_invalidate(&h->peer, rkey, 12);
	assert_int_equal(fake_execute(real_of(h->peer.qp), 1, true), 1);
	completes(h, &h->peer, 12, IBV_WC_SEND);
	completes(h, &h->vm, 11, IBV_WC_RECV);
	harness_move(h);
	must_not_let_in(h, rkey);
	dealloc(mw);
}

/* Its queue pair took the bind's completion with it; the key is used again. */
static void an_early_end_is_of_one_bind(void **state)
{
	struct harness *h = *state;
	struct ibv_mw *mw = window_of(&h->vm, IBV_MW_TYPE_2);
	uint32_t rkey = ibv_inc_rkey(mw->rkey);

	end_receive(&h->peer, 20, 0, 8);
	end_send(&h->vm, 1, 0, 8, IBV_SEND_SIGNALED);
	fake_execute(real_of(h->vm.qp), 1, false);
	assert_int_equal(harness_poll(h, &h->peer), 1);
	post_bind(&h->vm, mw, rkey, 2, IBV_SEND_SIGNALED);
	end_receive(&h->vm, 11, 0, 8);
	post_send_invalidate(&h->peer, rkey, 12);
	assert_int_equal(fake_execute(real_of(h->peer.qp), 1, true), 1);
	completes(h, &h->peer, 12, IBV_WC_SEND);
	completes(h, &h->vm, 11, IBV_WC_RECV);
	assert_int_equal(ibv_destroy_qp(h->vm.qp), 0);
	assert_int_equal(ibv_destroy_qp(h->peer.qp), 0);
	harness_connect(h);
	mw->rkey = rkey;
	bound(h, &h->vm, mw, rkey);
	harness_move(h);
	must_let_in(h, rkey);
	dealloc(mw);
}

/* ---- unfinished work ---- */

/* Peers may have heard of it: it is bound before they go on. */
static void a_bind_that_a_message_followed_is_done(void **state)
{
	struct harness *h = *state;
	struct ibv_mw *mw = window_of(&h->vm, IBV_MW_TYPE_2);
	uint32_t rkey = ibv_inc_rkey(mw->rkey);

	end_receive(&h->peer, 20, 0, 8);
	end_receive(&h->peer, 21, 8, 8);
	end_send(&h->vm, 1, 0, 8, IBV_SEND_SIGNALED);
	fake_execute(real_of(h->vm.qp), 1, false);
	post_bind(&h->vm, mw, rkey, 2, IBV_SEND_SIGNALED);
	end_send(&h->vm, 3, 0, 8, IBV_SEND_SIGNALED);
	fake_execute(real_of(h->vm.qp), 1, false);
	assert_int_equal(harness_poll(h, &h->peer), 2);
	assert_int_equal(harness_poll(h, &h->vm), 0);
	harness_move(h);
	assert_int_equal(fake_pending(real_of(h->vm.qp)), 0);
	assert_int_equal(harness_poll(h, &h->vm), 3);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(h->wc[i].wr_id, i + 1);
	assert_int_equal(h->wc[1].opcode, IBV_WC_BIND_MW);
	assert_int_equal(h->wc[1].byte_len, 0);
	must_let_in(h, rkey);
	dealloc(mw);
}

static void a_bind_that_waited_is_done_in_its_turn(void **state)
{
	struct harness *h = *state;
	struct ibv_mw *mw = window_of(&h->vm, IBV_MW_TYPE_2);
	uint32_t rkey = bound(h, &h->vm, mw, ibv_inc_rkey(mw->rkey));

	/* No RECV is there for it. */
	end_send(&h->vm, 1, 0, 8, IBV_SEND_SIGNALED);
	post_invalidate(&h->vm, rkey, 2);
	post_bind(&h->vm, mw, ibv_inc_rkey(rkey), 3, 0);
	end_send(&h->vm, 4, 0, 8, IBV_SEND_SIGNALED);
	harness_move(h);
	assert_int_equal(harness_poll(h, &h->vm), 0);
	must_let_in(h, rkey); /* still */
	end_receive(&h->peer, 20, 0, 8);
	end_receive(&h->peer, 21, 8, 8);
	assert_int_equal(fake_execute(real_of(h->vm.qp), 9, true), 2);
	assert_int_equal(harness_poll(h, &h->vm), 3);
	assert_int_equal(h->wc[0].wr_id, 1);
	assert_int_equal(h->wc[1].wr_id, 2);
	assert_int_equal(h->wc[2].wr_id, 4);
	assert_int_equal(harness_poll(h, &h->peer), 2);
	must_let_in(h, ibv_inc_rkey(rkey));
	dealloc(mw);
}

static void what_is_posted_while_it_moves_is_done_afterwards(void **state)
{
	struct harness *h = *state;
	struct ibv_mw *mw = window_of(&h->vm, IBV_MW_TYPE_2),
	              *other = window_of(&h->vm, IBV_MW_TYPE_1);
	struct ibv_mw_bind bind = {
	        .wr_id = 3, .send_flags = IBV_SEND_SIGNALED, .bind_info = part_of(&h->vm)};
	uint32_t rkey = bound(h, &h->vm, mw, ibv_inc_rkey(mw->rkey));

	bound_type_1(h, &h->vm, other);
	harness_stop(h);
	post_invalidate(&h->vm, rkey, 1);
	post_bind(&h->vm, mw, rkey + 5, 2, IBV_SEND_SIGNALED);
	assert_int_equal(ibv_bind_mw(h->vm.qp, other, &bind), 0);
	assert_int_equal(ibv_bind_mw(h->vm.qp, other, &bind), 0);
	harness_go_on(h);
	assert_int_equal(harness_poll(h, &h->vm), 4);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(h->wc[i].wr_id, i + 1);
	must_let_in(h, rkey + 5);
	must_let_in(h, other->rkey);
	harness_move(h);
	must_let_in(h, rkey + 5);
	must_let_in(h, other->rkey);
	dealloc(mw);
	dealloc(other);
}

static void invalidation_that_arrived_is_not_repeated(void **state)
{
	struct harness *h = *state;
	struct ibv_mw *mw = window_of(&h->vm, IBV_MW_TYPE_2);
	uint32_t rkey = bound(h, &h->vm, mw, ibv_inc_rkey(mw->rkey));

	end_receive(&h->vm, 11, 0, 8);
	post_send_invalidate(&h->peer, rkey, 12);
	fake_execute(real_of(h->peer.qp), 1, false);
	harness_move(h);
	assert_int_equal(fake_pending(real_of(h->peer.qp)), 0);
	completes(h, &h->peer, 12, IBV_WC_SEND);
	completes(h, &h->vm, 11, IBV_WC_RECV);
	assert_int_equal(h->wc[0].invalidated_rkey, rkey);
	must_not_let_in(h, rkey);
	dealloc(mw);
}

static void invalidation_that_did_not_arrive_is_replayed(void **state)
{
	struct harness *h = *state;
	struct ibv_mw *mw = window_of(&h->vm, IBV_MW_TYPE_2);
	uint32_t rkey = bound(h, &h->vm, mw, ibv_inc_rkey(mw->rkey));

	post_send_invalidate(&h->peer, rkey, 12);
	harness_move(h);
	end_receive(&h->vm, 11, 0, 8);
	assert_int_equal(fake_execute(real_of(h->peer.qp), 9, true), 1);
	completes(h, &h->peer, 12, IBV_WC_SEND);
	completes(h, &h->vm, 11, IBV_WC_RECV);
	assert_int_equal(h->wc[0].invalidated_rkey, rkey);
	must_not_let_in(h, rkey);
	dealloc(mw);
}

static void binds_that_nobody_asked_after_are_not_shown(void **state)
{
	struct harness *h = *state;
	struct ibv_mw *mw = window_of(&h->vm, IBV_MW_TYPE_2);

	post_bind(&h->vm, mw, ibv_inc_rkey(mw->rkey), 1, 0);
	assert_int_equal(harness_poll(h, &h->vm), 0);
	harness_move(h);
	assert_int_equal(harness_poll(h, &h->vm), 0);
	must_let_in(h, ibv_inc_rkey(mw->rkey));
	assert_int_equal(harness_poll(h, &h->vm), 0);
	dealloc(mw);
}

/* One queue pair, of a depth that they exceed. */
static void many_windows_are_bound_again(void **state)
{
	struct harness *h = *state;
	struct ibv_mw *mws[3 * HARNESS_DEPTH];

	for (int i = 0; i < 3 * HARNESS_DEPTH; i++) {
		mws[i] = window_of(&h->vm, i % 4 ? IBV_MW_TYPE_2 : IBV_MW_TYPE_1);
		if (i % 4)
			bound(h, &h->vm, mws[i], ibv_inc_rkey(mws[i]->rkey));
		else
			bound_type_1(h, &h->vm, mws[i]);
	}
	harness_move(h);
	assert_int_equal(harness_poll(h, &h->vm), 0);
	for (int i = 0; i < 3 * HARNESS_DEPTH; i++) {
		must_let_in(h, i % 4 ? ibv_inc_rkey(mws[i]->rkey) : mws[i]->rkey);
		dealloc(mws[i]);
	}
}

static unsigned milliseconds;

static void a_millisecond_passes(struct harness *h)
{
	milliseconds++;
	assert_non_null(h);
}

/* Through one queue pair for many, not all of them in one piece of ATTACH. */
static void many_of_type_1_are_bound_again_piece_by_piece(void **state)
{
	enum { MANY = 1000 };
	struct harness *h = *state;
	struct ibv_mw *mws[MANY];
	unsigned made;

	for (int i = 0; i < MANY; i++) {
		mws[i] = window_of(&h->vm, IBV_MW_TYPE_1);
		bound_type_1(h, &h->vm, mws[i]);
	}
	harness_stop(h);
	harness_expect(h, TETHER__STEP__STEP_RELEASE, DONE);
	made = fake.qps_made;
	fake.slot++;
	milliseconds = 0;
	h->meanwhile = a_millisecond_passes;
	harness_expect(h, TETHER__STEP__STEP_ATTACH, DONE);
	h->meanwhile = NULL;
	assert_in_range(milliseconds, 1, MANY / 10);
	assert_in_range(fake.qps_made - made, 2, MANY / 10);
	harness_expect(h, TETHER__STEP__STEP_RECONNECT, DONE);
	harness_expect(h, TETHER__STEP__STEP_RESUME, DONE);
	for (int i = 0; i < MANY; i++) {
		must_let_in(h, mws[i]->rkey);
		dealloc(mws[i]);
	}
}

/* Of two domains in turn. */
static void each_domain_has_its_windows_again(void **state)
{
	struct harness *h = *state;
	struct end other = {0};
	struct ibv_mw *mine = window_of(&h->vm, IBV_MW_TYPE_1), *theirs, *last;

	bound_type_1(h, &h->vm, mine);
	other = h->vm;
	other.pd = ibv_alloc_pd(h->vm.context);
	other.mr = ibv_reg_mr(
	        other.pd, other.memory, HARNESS_BYTES, IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_MW_BIND);
	theirs = window_of(&other, IBV_MW_TYPE_1);
	last = window_of(&h->vm, IBV_MW_TYPE_1);
	bound_type_1(h, &h->vm, last);
	container_of(theirs, struct memory_window, shown)->bound =
	        (struct window_binding){.mr = container_of(other.mr, struct memory_region, shown),
	                .addr = (uintptr_t)other.memory + AT,
	                .length = SIZE,
	                .access = ACCESS,
	                .rkey = theirs->rkey};
	harness_move(h);
	must_let_in(h, mine->rkey);
	must_let_in(h, theirs->rkey);
	must_let_in(h, last->rkey);
	dealloc(mine);
	dealloc(theirs);
	dealloc(last);
	assert_int_equal(ibv_dereg_mr(other.mr), 0);
	assert_int_equal(ibv_dealloc_pd(other.pd), 0);
}

/* ---- builders ---- */

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
		assert_int_equal(harness_poll(h, &h->vm), 6);
		for (unsigned n = 0; n < 6; n++)
			assert_int_equal(h->wc[n].wr_id, n + 1);
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
		assert_int_equal(harness_poll(h, &h->vm), 3);
		for (unsigned i = 0; i < 3; i++)
			assert_int_equal(h->wc[i].wr_id, i + 1);
		assert_int_equal(h->wc[0].status, done ? IBV_WC_SUCCESS : IBV_WC_WR_FLUSH_ERR);
		assert_int_equal(h->wc[1].status, done ? IBV_WC_MW_BIND_ERR : IBV_WC_WR_FLUSH_ERR);
		assert_int_equal(h->wc[2].status, IBV_WC_WR_FLUSH_ERR);
		assert_int_equal(h->vm.qp->state, IBV_QPS_ERR);
		assert_int_equal(ibv_destroy_qp(h->vm.qp), 0);
		assert_int_equal(ibv_destroy_qp(h->peer.qp), 0);
		harness_connect(h);
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

	end_receive(&h->peer, 20, 0, 8);
	end_send(&h->vm, 1, 0, 8, IBV_SEND_SIGNALED);
	fake_execute(real_of(h->vm.qp), 1, false);
	assert_int_equal(harness_poll(h, &h->peer), 1);
	post_bind(&h->vm, mw, rkey, 2, IBV_SEND_SIGNALED);
	end_receive(&h->vm, 11, 0, 8);
	post_send_invalidate(&h->peer, rkey, 12);
	assert_int_equal(end_run(&h->peer, 1), 1);
	completes(h, &h->peer, 12, IBV_WC_SEND);
	completes(h, &h->vm, 11, IBV_WC_RECV);
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

/* ---- lists ---- */

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

/* ---- in place: of peers, and after an abort ---- */

static void check_a_peers_window(struct harness *h)
{
	struct ibv_mw *mw = window_of(&h->peer, IBV_MW_TYPE_2),
	              *other = window_of(&h->peer, IBV_MW_TYPE_1);
	uint32_t rkey = bound(h, &h->peer, mw, ibv_inc_rkey(mw->rkey));

	bound_type_1(h, &h->peer, other);
	for (int i = 0; i < MOVES; i++) {
		harness_move(h);
		assert_int_equal(writes(h, &h->vm, &h->peer, rkey), IBV_WC_SUCCESS);
		assert_int_equal(writes(h, &h->vm, &h->peer, other->rkey), IBV_WC_SUCCESS);
		post_invalidate(&h->peer, rkey, 7);
		completes(h, &h->peer, 7, IBV_WC_LOCAL_INV);
		rkey = bound(h, &h->peer, mw, ibv_inc_rkey(rkey));
	}
	dealloc(mw);
	dealloc(other);
}

static void a_peers_windows_stay_where_reset_ends_them(void **state)
{
	check_a_peers_window(*state);
}

static void a_peers_windows_stay_where_reset_keeps_them(void **state)
{
	fake.reset_keeps_windows = true;
	check_a_peers_window(*state);
}

static void check_an_abort(struct harness *h)
{
	struct ibv_mw *mw = window_of(&h->vm, IBV_MW_TYPE_2);
	uint32_t rkey = bound(h, &h->vm, mw, ibv_inc_rkey(mw->rkey));

	abort_behind_the_vote(h);
	must_let_in(h, rkey);
	harness_move(h);
	must_let_in(h, rkey);
	dealloc(mw);
}

static void an_abort_leaves_windows_bound_where_reset_ends_them(void **state)
{
	check_an_abort(*state);
}

static void an_abort_leaves_windows_bound_where_reset_keeps_them(void **state)
{
	fake.reset_keeps_windows = true;
	check_an_abort(*state);
}

/* They were with the device, which has given them back. */
static void an_abort_leaves_binds_that_wait_to_be_done(void **state)
{
	struct harness *h = *state;
	struct ibv_mw *mw = window_of(&h->vm, IBV_MW_TYPE_2),
	              *unbound = window_of(&h->vm, IBV_MW_TYPE_2);
	uint32_t rkey = bound(h, &h->vm, mw, ibv_inc_rkey(mw->rkey));

	/* No RECV is there for it. */
	end_send(&h->vm, 1, 0, 8, IBV_SEND_SIGNALED);
	post_invalidate(&h->vm, rkey, 2);
	post_bind(&h->vm, mw, ibv_inc_rkey(rkey), 3, IBV_SEND_SIGNALED);
	post_bind(&h->vm, unbound, ibv_inc_rkey(unbound->rkey), 4, IBV_SEND_SIGNALED);
	abort_behind_the_vote(h);
	assert_int_equal(harness_poll(h, &h->vm), 0);
	must_let_in(h, rkey); /* still */
	end_receive(&h->peer, 20, 0, 8);
	assert_int_equal(end_run(&h->vm, 9), 1);
	assert_int_equal(harness_poll(h, &h->vm), 4);
	for (unsigned i = 0; i < 4; i++) {
		assert_int_equal(h->wc[i].wr_id, i + 1);
		assert_int_equal(h->wc[i].status, IBV_WC_SUCCESS);
	}
	assert_int_equal(harness_poll(h, &h->peer), 1);
	must_let_in(h, ibv_inc_rkey(rkey));
	must_let_in(h, ibv_inc_rkey(unbound->rkey));
	must_not_let_in(h, rkey);
	dealloc(mw);
	dealloc(unbound);
}

static void bind_again(struct end *end, struct ibv_mw *mw, uint64_t wr_id)
{
	struct ibv_mw_bind bind = {
	        .wr_id = wr_id, .send_flags = IBV_SEND_SIGNALED, .bind_info = part_of(end)};

	if (mw->type == IBV_MW_TYPE_1)
		assert_int_equal(ibv_bind_mw(end->qp, mw, &bind), 0);
	else
		post_bind(end, mw, ibv_inc_rkey(mw->rkey), wr_id, IBV_SEND_SIGNALED);
}

static uint32_t key_of_open_bind(const struct ibv_mw *mw)
{
	return mw->type == IBV_MW_TYPE_1 ? mw->rkey : ibv_inc_rkey(mw->rkey);
}

static void stop_is_refused(struct harness *h)
{
	harness_expect(h, TETHER__STEP__STEP_PREPARE, DONE);
	harness_expect(h, TETHER__STEP__STEP_STOP, FAILED);
	assert_string_equal(harness_reason(h), "window-unanswered");
	harness_expect(h, TETHER__STEP__STEP_ABORT, DONE);
}

/* Done, and its completion is behind that of a message without acknowledgement. */
static void check_an_open_bind(struct harness *h, enum ibv_mw_type type)
{
	struct ibv_mw *mw = window_of(&h->peer, type);

	end_receive(&h->vm, 20, 0, 8);
	end_send(&h->peer, 1, 0, 8, IBV_SEND_SIGNALED);
	fake_execute(real_of(h->peer.qp), 1, false);
	bind_again(&h->peer, mw, 2);
	stop_is_refused(h);
	fake_acknowledge(real_of(h->peer.qp));
	assert_int_equal(harness_poll(h, &h->peer), 2);
	assert_int_equal(harness_poll(h, &h->vm), 1);
	harness_move(h);
	assert_int_equal(writes(h, &h->vm, &h->peer, key_of_open_bind(mw)), IBV_WC_SUCCESS);
	dealloc(mw);
}

/* Whether it was done nobody could tell afterwards, and twice is an error. */
static void an_open_bind_is_not_broken_where_reset_keeps_it(void **state)
{
	fake.reset_keeps_windows = true;
	check_an_open_bind(*state, IBV_MW_TYPE_2);
}

/* Its key stays. */
static void an_open_bind_is_not_broken_where_reset_ends_it(void **state)
{
	check_an_open_bind(*state, IBV_MW_TYPE_2);
}

/* No RESET ends it. */
static void an_open_bind_of_type_1_is_not_broken(void **state)
{
	check_an_open_bind(*state, IBV_MW_TYPE_1);
	fake.reset_keeps_windows = true;
	check_an_open_bind(*state, IBV_MW_TYPE_1);
}

/* No RECV is there for what is before it. */
static void a_peers_binds_that_wait_are_not_broken(void **state)
{
	struct harness *h = *state;
	struct ibv_mw *mw = window_of(&h->peer, IBV_MW_TYPE_2);
	uint32_t rkey = bound(h, &h->peer, mw, ibv_inc_rkey(mw->rkey));

	end_send(&h->peer, 1, 0, 8, IBV_SEND_SIGNALED);
	post_invalidate(&h->peer, rkey, 2);
	post_bind(&h->peer, mw, ibv_inc_rkey(rkey), 3, IBV_SEND_SIGNALED);
	stop_is_refused(h);
	end_receive(&h->vm, 20, 0, 8);
	assert_int_equal(end_run(&h->peer, 9), 1);
	assert_int_equal(harness_poll(h, &h->peer), 3);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(h->wc[i].wr_id, i + 1);
	assert_int_equal(harness_poll(h, &h->vm), 1);
	harness_move(h);
	assert_int_equal(writes(h, &h->vm, &h->peer, ibv_inc_rkey(rkey)), IBV_WC_SUCCESS);
	dealloc(mw);
}

static void its_message_is_acknowledged(struct harness *h)
{
	fake_acknowledge(real_of(h->peer.qp));
	h->meanwhile = NULL;
}

static void an_open_bind_is_waited_for(void **state)
{
	struct harness *h = *state;
	struct ibv_mw *mw = window_of(&h->peer, IBV_MW_TYPE_1);

	end_receive(&h->vm, 20, 0, 8);
	end_send(&h->peer, 1, 0, 8, IBV_SEND_SIGNALED);
	end_run_unacknowledged(&h->peer, 1);
	bind_again(&h->peer, mw, 2);
	h->meanwhile = its_message_is_acknowledged;
	harness_move(h);
	assert_int_equal(harness_poll(h, &h->peer), 2);
	assert_int_equal(h->wc[1].status, IBV_WC_SUCCESS);
	assert_int_equal(harness_poll(h, &h->vm), 1);
	assert_int_equal(writes(h, &h->vm, &h->peer, mw->rkey), IBV_WC_SUCCESS);
	dealloc(mw);
}

static void what_reset_does_has_to_be_known(void **state)
{
	struct harness *h = *state;
	struct ibv_mw *mw = window_of(&h->vm, IBV_MW_TYPE_2);

	fake.makes_no_qps = true;
	harness_expect(h, TETHER__STEP__STEP_PREPARE, REFUSED);
	assert_string_equal(harness_reason(h), "veto-memory-window");
	fake.makes_no_qps = false;
	harness_expect(h, TETHER__STEP__STEP_PREPARE, DONE);
	harness_expect(h, TETHER__STEP__STEP_ABORT, DONE);
	dealloc(mw);
}

/* What it is tried with is gone afterwards. */
static void finding_out_leaves_nothing_behind(void **state)
{
	struct harness *h = *state;
	struct ibv_mw *mw = window_of(&h->vm, IBV_MW_TYPE_2),
	              *other = window_of(&h->vm, IBV_MW_TYPE_1);
	unsigned live;

	bound(h, &h->vm, mw, ibv_inc_rkey(mw->rkey));
	bound_type_1(h, &h->vm, other);
	live = fake.live_objects;
	harness_move(h);
	assert_int_equal(fake.live_objects, live);
	dealloc(mw);
	dealloc(other);
}

/* ---- what goes ---- */

static void what_is_bound_to_a_dead_region_is_not_bound_again(void **state)
{
	struct harness *h = *state;
	struct ibv_mw *mw = window_of(&h->vm, IBV_MW_TYPE_2),
	              *other = window_of(&h->vm, IBV_MW_TYPE_1);
	struct ibv_mr *mr = ibv_reg_mr(
	        h->vm.pd, h->vm.memory, HARNESS_BYTES, IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_MW_BIND);
	struct end with = h->vm;

	with.mr = mr;
	bound(h, &with, mw, ibv_inc_rkey(mw->rkey));
	bound_type_1(h, &with, other);
	assert_int_equal(ibv_dereg_mr(mr), 0);
	harness_move(h);
	bound(h, &h->vm, mw, mw->rkey + 2);
	must_let_in(h, mw->rkey + 2);
	must_not_let_in(h, other->rkey);
	dealloc(mw);
	dealloc(other);
}

/* Its region went before its turn came: as a device would say, an error. */
static void a_bind_to_a_dead_region_ends_the_queue_pair(void **state)
{
	struct harness *h = *state;
	struct ibv_mw *mw = window_of(&h->vm, IBV_MW_TYPE_2);
	struct ibv_mr *mr = ibv_reg_mr(
	        h->vm.pd, h->vm.memory, HARNESS_BYTES, IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_MW_BIND);
	struct end with = h->vm;

	with.mr = mr;
	harness_stop(h);
	post_bind(&with, mw, ibv_inc_rkey(mw->rkey), 1, 0);
	assert_int_equal(ibv_dereg_mr(mr), 0);
	harness_go_on(h);
	assert_int_equal(harness_poll(h, &h->vm), 1);
	assert_int_equal(h->wc[0].wr_id, 1);
	assert_int_not_equal(h->wc[0].status, IBV_WC_SUCCESS);
	dealloc(mw);
}

static void a_window_may_go_before_its_bind_is_done(void **state)
{
	struct harness *h = *state;
	struct ibv_mw *mw = window_of(&h->vm, IBV_MW_TYPE_2);

	end_receive(&h->peer, 20, 0, 8);
	end_send(&h->vm, 1, 0, 8, IBV_SEND_SIGNALED);
	fake_execute(real_of(h->vm.qp), 1, false);
	post_bind(&h->vm, mw, ibv_inc_rkey(mw->rkey), 2, IBV_SEND_SIGNALED);
	dealloc(mw);
	fake_acknowledge(real_of(h->vm.qp));
	assert_int_equal(harness_poll(h, &h->vm), 2);
	harness_move(h);
}

static struct watched goes;
static struct ibv_mw *going;

static void *dealloc_it(void *mw)
{
	return (void *)(intptr_t)ibv_dealloc_mw(mw);
}

static void *deregister_it(void *mr)
{
	return (void *)(intptr_t)ibv_dereg_mr(mr);
}

/* Once the bind is with the device. */
static void something_goes(struct harness *h, void *(*what)(void *), void *object)
{
	if (!fake.delays_local_work || !queue_pair_of(h->vm.qp)->migration.rebinding)
		return;
	watched_start(&goes, what, object);
	assert_false(watched_ends_at_once(&goes));
	fake.delays_local_work = false;
	fake_execute(real_of(h->vm.qp), 0, false);
}

static void the_window_goes(struct harness *h)
{
	something_goes(h, dealloc_it, going);
}

static void the_region_goes(struct harness *h)
{
	something_goes(
	        h, deregister_it, container_of(going, struct memory_window, shown)->bound.mr);
}

static void check_going(struct harness *h, void (*meanwhile)(struct harness *h))
{
	struct end with = h->vm;
	struct ibv_mw *mw = window_of(&h->vm, IBV_MW_TYPE_2);
	uint32_t rkey = bound(h, &h->vm, mw, ibv_inc_rkey(mw->rkey));

	with.mr = ibv_reg_mr(
	        h->vm.pd, h->vm.memory, HARNESS_BYTES, IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_MW_BIND);
	going = window_of(&h->vm, IBV_MW_TYPE_2);
	bound(h, &with, going, ibv_inc_rkey(going->rkey));
	harness_stop(h);
	fake.delays_local_work = true;
	h->meanwhile = meanwhile;
	harness_go_on(h);
	h->meanwhile = NULL;
	assert_false(fake.delays_local_work);
	assert_null(watched_join(&goes));
	must_let_in(h, rkey);
	dealloc(mw);
	if (meanwhile == the_window_goes)
		assert_int_equal(ibv_dereg_mr(with.mr), 0);
	else
		dealloc(going);
}

/* A bind of what is gone would be refused, and the queue pair be in error. */
static void a_window_stays_while_it_is_bound_again(void **state)
{
	check_going(*state, the_window_goes);
}

static void a_region_stays_while_it_is_bound_again(void **state)
{
	check_going(*state, the_region_goes);
}

static void a_queue_pair_takes_its_windows_with_it(void **state)
{
	struct harness *h = *state;
	struct ibv_mw *mw = window_of(&h->vm, IBV_MW_TYPE_2),
	              *other = window_of(&h->vm, IBV_MW_TYPE_1);

	bound(h, &h->vm, mw, ibv_inc_rkey(mw->rkey));
	bound_type_1(h, &h->vm, other);
	assert_int_equal(ibv_destroy_qp(h->vm.qp), 0);
	assert_int_equal(ibv_destroy_qp(h->peer.qp), 0);
	harness_connect(h);
	harness_move(h);
	bound(h, &h->vm, mw, mw->rkey + 2);
	must_let_in(h, mw->rkey + 2);
	must_let_in(h, other->rkey); /* goes by its domain */
	dealloc(mw);
	dealloc(other);
}

static void a_window_that_is_refused_ends_its_queue_pair_alone(void **state)
{
	struct harness *h = *state;
	struct ibv_mw *mw = window_of(&h->vm, IBV_MW_TYPE_2),
	              *other = window_of(&h->vm, IBV_MW_TYPE_2),
	              *elsewhere = window_of(&h->vm, IBV_MW_TYPE_2);
	struct end vm = h->vm, peer = h->peer;
	uint32_t rkey = ibv_inc_rkey(elsewhere->rkey);
	struct memory_window *mine;
	uint64_t began_ms;

	end_create_qp(&vm, h);
	end_create_qp(&peer, h);
	end_connect(&vm, &peer, FAKE_LID_PEER);
	end_connect(&peer, &vm, FAKE_LID_VM);
	bound(h, &vm, elsewhere, rkey);
	bound(h, &h->vm, mw, ibv_inc_rkey(mw->rkey));
	bound(h, &h->vm, other, ibv_inc_rkey(other->rkey));
	mine = container_of(mw, struct memory_window, shown);
	harness_stop(h);
	mine->bound.access = 0;
	mine->bound.length = 0; /* a bind to nothing, which type 2 does not know */
	began_ms = h->now_ms;
	harness_go_on(h);
	assert_true(h->now_ms - began_ms < 100); /* no deadline had to pass */
	end_send(&h->vm, 1, 0, 8, IBV_SEND_SIGNALED);
	assert_int_equal(harness_poll(h, &h->vm), 1);
	assert_int_not_equal(h->wc[0].status, IBV_WC_SUCCESS);
	assert_int_equal(writes(h, &peer, &vm, rkey), IBV_WC_SUCCESS);
	post_invalidate(&vm, rkey, 7);
	completes(h, &vm, 7, IBV_WC_LOCAL_INV);
	assert_int_equal(ibv_destroy_qp(vm.qp), 0);
	assert_int_equal(ibv_destroy_qp(peer.qp), 0);
	dealloc(elsewhere);
	dealloc(mw);
	dealloc(other);
}

static void a_device_without_windows_has_none(void **state)
{
	struct harness *h = *state;
	struct end bare = {0};

	fake.has_no_windows = true;
	end_open(&bare, FAKE_LID_PEER, false);
	errno = 0;
	assert_null(ibv_alloc_mw(bare.pd, IBV_MW_TYPE_1));
	assert_int_equal(errno, EOPNOTSUPP);
	end_close(&bare);
	assert_non_null(h);
}

static void datagrams_know_no_windows(void **state)
{
	struct harness *h = *state;
	struct ibv_mw *mw = window_of(&h->vm, IBV_MW_TYPE_2),
	              *other = window_of(&h->vm, IBV_MW_TYPE_1);
	struct ibv_mw_bind bind = {.bind_info = part_of(&h->vm)};
	struct ibv_send_wr wrs[] = {
	        {.opcode = IBV_WR_BIND_MW, .bind_mw = {mw, mw->rkey, part_of(&h->vm)}},
	        {.opcode = IBV_WR_LOCAL_INV, .invalidate_rkey = mw->rkey},
	        {.opcode = IBV_WR_SEND_WITH_INV, .invalidate_rkey = mw->rkey},
	};

	for (int i = 0; i < 3; i++)
		assert_int_equal(post(&h->vm, &wrs[i]), EINVAL);
	assert_int_equal(ibv_bind_mw(h->vm.qp, other, &bind), EINVAL);
	dealloc(mw);
	dealloc(other);
}

#define TEST(name)    cmocka_unit_test_setup_teardown(name, harness_setup, harness_teardown)
#define TEST_EX(name) cmocka_unit_test_setup_teardown(name, setup_ex, harness_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TEST(keys_reach_a_window_wherever_it_is),
	        TEST(tags_are_the_applications),
	        TEST(the_key_is_shown_as_the_provider_does),
	        TEST(type_1_counts_on_after_moves),
	        TEST(type_1_that_was_unbound_stays_so),
	        TEST(unbinding_may_name_the_region),
	        TEST(unbinding_may_name_the_region_while_it_moves),
	        TEST(type_2_cannot_be_bound_to_nothing),
	        TEST(a_dead_window_lets_nobody_in),
	        TEST(a_dead_key_is_nobodys_after_the_next_move),
	        TEST(a_dead_key_of_a_region_is_nobodys_after_the_next_move),
	        TEST(what_ends_on_the_way_is_nobodys),
	        TEST(a_dead_key_invalidates_nothing),
	        TEST(what_is_made_later_has_no_key_of_a_window),
	        TEST(type_1_that_stays_unbound_is_bound_by_its_next_key),
	        TEST(type_1_that_a_device_refuses_is_bound_by_its_next_key),
	        TEST(type_1_that_a_provider_refuses_is_bound_by_its_next_key),
	        TEST(type_2_that_stays_unbound_is_bound_by_its_next_key),
	        TEST(numbers_of_later_windows_are_given_again),
	        TEST(a_peer_invalidates_by_the_key_it_knows),
	        TEST(a_queue_pair_is_told_once_for_all),
	        TEST(what_was_invalidated_is_not_bound_again),
	        TEST(invalidation_may_be_seen_before_the_bind),
	        TEST(what_a_bind_has_done_is_noted_once),
	        TEST(an_early_end_is_of_one_bind),
	        TEST(a_bind_that_a_message_followed_is_done),
	        TEST(a_bind_that_waited_is_done_in_its_turn),
	        TEST(what_is_posted_while_it_moves_is_done_afterwards),
	        TEST(invalidation_that_arrived_is_not_repeated),
	        TEST(invalidation_that_did_not_arrive_is_replayed),
	        TEST(binds_that_nobody_asked_after_are_not_shown),
	        TEST(many_windows_are_bound_again),
	        TEST(many_of_type_1_are_bound_again_piece_by_piece),
	        TEST(each_domain_has_its_windows_again),
	        TEST_EX(built_work_is_posted_in_its_order),
	        TEST_EX(a_builder_without_room_posts_nothing),
	        TEST_EX(what_is_refused_behind_others_is_an_error_of_the_work),
	        TEST_EX(what_is_not_posted_changes_no_window),
	        TEST(bad_wr_is_the_one_that_is_wrong),
	        TEST(a_list_may_have_it_anywhere),
	        TEST(a_peers_windows_stay_where_reset_ends_them),
	        TEST(a_peers_windows_stay_where_reset_keeps_them),
	        TEST(an_abort_leaves_windows_bound_where_reset_ends_them),
	        TEST(an_abort_leaves_windows_bound_where_reset_keeps_them),
	        TEST(an_abort_leaves_binds_that_wait_to_be_done),
	        TEST(an_open_bind_is_not_broken_where_reset_keeps_it),
	        TEST(an_open_bind_is_not_broken_where_reset_ends_it),
	        TEST(an_open_bind_of_type_1_is_not_broken),
	        TEST(a_peers_binds_that_wait_are_not_broken),
	        TEST(an_open_bind_is_waited_for),
	        TEST(what_reset_does_has_to_be_known),
	        TEST(finding_out_leaves_nothing_behind),
	        TEST(what_is_bound_to_a_dead_region_is_not_bound_again),
	        TEST(a_bind_to_a_dead_region_ends_the_queue_pair),
	        TEST(a_window_may_go_before_its_bind_is_done),
	        TEST(a_window_stays_while_it_is_bound_again),
	        TEST(a_region_stays_while_it_is_bound_again),
	        TEST(a_queue_pair_takes_its_windows_with_it),
	        TEST(a_window_that_is_refused_ends_its_queue_pair_alone),
	        TEST(a_device_without_windows_has_none),
	        cmocka_unit_test_setup_teardown(
	                datagrams_know_no_windows, harness_setup_datagrams, harness_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
