/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* Numbers and keys: the application keeps its own, and nobody gets them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "notifier/wire/rows.h"
#include "preload/objects.h"
#include "preload/reconnect.h"
#include "tests/unit/shim_harness.h"
#include "tests/unit/shim_sides.h"
#include "tests/unit/counted_rows.h"

static void the_application_keeps_its_numbers(void **state)
{
	struct harness *h = *state;
	uint32_t qpn = h->vm.qp->qp_num, lkey = h->vm.mr->lkey, rkey = h->vm.mr->rkey;

	harness_move(h);
	assert_int_equal(h->vm.qp->qp_num, qpn);
	assert_int_equal(h->vm.mr->lkey, lkey);
	assert_int_equal(h->vm.mr->rkey, rkey);
	assert_int_not_equal(real_of(h->vm.qp)->qp_num, qpn);
}

static void old_rkeys_reach_the_rebuilt_region(void **state)
{
	struct harness *h = *state;
	struct sides s = from_peer(h);

	harness_move(h);
	write8(s, 1, "after", IBV_SEND_SIGNALED);
	end_run(&h->peer, 1);
	harness_expect_one(h, &h->peer, 1);
	assert_string_equal(there(s, 1), "after");
}

static void a_wrong_key_stays_wrong(void **state)
{
	struct harness *h = *state;
	struct ibv_mr wrong = *h->vm.mr;

	harness_move(h);
	wrong.rkey += 0x777;
	h->vm.mr->rkey += 0x777;
	end_rdma(&h->peer, &h->vm, IBV_WR_RDMA_WRITE, 1, 0, 8, IBV_SEND_SIGNALED);
	h->vm.mr->rkey -= 0x777;
	end_run(&h->peer, 1);
	assert_int_equal(harness_poll(h, &h->peer), 1);
	assert_int_equal(h->wc[0].status, IBV_WC_REM_ACCESS_ERR);
}

static void a_new_key_is_not_somebodys_old_one(void **state)
{
	struct harness *h = *state;
	struct ibv_mr *mr;

	harness_move(h);
	fake_next_number(h->vm.mr->lkey);
	mr = ibv_reg_mr(h->vm.pd, h->vm.memory, 64, 0);
	assert_non_null(mr);
	assert_int_not_equal(mr->lkey, h->vm.mr->lkey);
	assert_int_not_equal(mr->rkey, h->vm.mr->rkey);
	assert_int_equal(ibv_dereg_mr(mr), 0);
}

static void a_new_queue_pair_is_not_called_as_an_old_one(void **state)
{
	struct harness *h = *state;
	struct ibv_qp_init_attr attr = {
	        .send_cq = h->vm.cq, .recv_cq = h->vm.cq, .qp_type = IBV_QPT_RC};
	struct ibv_qp *qp;

	harness_move(h);
	fake_next_number(h->vm.qp->qp_num);
	qp = ibv_create_qp(h->vm.pd, &attr);
	assert_non_null(qp);
	assert_int_not_equal(qp->qp_num, h->vm.qp->qp_num);
	assert_int_equal(ibv_destroy_qp(qp), 0);
}

/* An application may use a key after it let the region go; it must not reach another region. */
static void a_dead_key_reaches_nothing(void **state)
{
	struct harness *h = *state;
	struct ibv_mr *other = ibv_reg_mr(h->vm.pd, h->vm.memory, 64, IBV_ACCESS_REMOTE_WRITE);
	struct ibv_sge sge = {(uintptr_t)h->vm.memory, 8, other->lkey};
	struct ibv_send_wr *bad, wr = {.sg_list = &sge,
	                                 .num_sge = 1,
	                                 .opcode = IBV_WR_RDMA_WRITE,
	                                 .wr.rdma = {(uintptr_t)h->peer.memory, h->peer.mr->rkey}};
	struct ibv_mr *heir;
	uint32_t freed;

	harness_move(h);
	freed = memory_region_of(other)->real->lkey;
	assert_int_equal(ibv_dereg_mr(other), 0);
	fake_next_number(freed);
	heir = ibv_reg_mr(h->vm.pd, h->vm.memory, 64, IBV_ACCESS_LOCAL_WRITE);
	strcpy((char *)h->vm.memory, "secret");
	assert_int_equal(ibv_post_send(h->vm.qp, &wr, &bad), 0);
	end_run(&h->vm, 1);
	assert_string_not_equal((char *)h->peer.memory, "secret");
	assert_int_equal(ibv_dereg_mr(heir), 0);
}

#define EITHER(test) cmocka_unit_test_setup_teardown(test, harness_setup, harness_teardown)

/* Of a VM with two VFs: keys whose contexts come by turns. */
static unsigned looks_at_reconnect_with(uint32_t count)
{
	Tether__Event event = TETHER__EVENT__INIT;
	Tether__QpRows qps = TETHER__QP_ROWS__INIT;
	Tether__KeyRows keys = TETHER__KEY_ROWS__INIT;
	struct move move = {.lid = 0x41, .known_lids = (uint32_t[]){0x42}, .known_lid_count = 1};

	for (uint32_t i = 0; i < count; i++) {
		qp_rows_append(&qps,
		        &(struct qp_row){.local_lid = 0x41, .context = count - i, .of_vm = 1});
		key_rows_append(&keys,
		        &(struct key_row){.context = 1 + i % 2, .virtual_rkey = i, .real_rkey = i});
	}
	event.qps = &qps;
	event.keys = &keys;
	rows_looked_at = 0;
	assert_int_equal(reconnect_to_rtr(&move, &event, true), 0);
	rows_clear(&qps.base);
	rows_clear(&keys.base);
	return rows_looked_at;
}

static void twice_as_many_rows_are_twice_the_work(void **state)
{
	unsigned once = looks_at_reconnect_with(100), twice = looks_at_reconnect_with(200);

	assert_true(once > 0);
	assert_true(twice <= 2 * once);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        EITHER(the_application_keeps_its_numbers),
	        EITHER(old_rkeys_reach_the_rebuilt_region),
	        EITHER(a_wrong_key_stays_wrong),
	        EITHER(a_new_key_is_not_somebodys_old_one),
	        EITHER(a_new_queue_pair_is_not_called_as_an_old_one),
	        EITHER(a_dead_key_reaches_nothing),
	        EITHER(twice_as_many_rows_are_twice_the_work),
	};

	return HARNESS_RUN_WHEREVER_ON_EACH_LINK(tests);
}
