/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* Every builder of ibv_qp_ex: what it says is executed, as it is posted and as it is replayed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "tests/unit/shim_harness.h"

enum { HERE = 0, THERE = 256, WR_ID = 77, IMM = 0x01020304 };

static struct harness harness;

static int setup(void **state)
{
	harness_begin(&harness, (struct harness){.with_ex = true});
	strcpy((char *)harness.vm.memory + HERE, "from here");
	return 0;
}

static int teardown(void **state)
{
	harness_close(&harness);
	return 0;
}

/* ---- what is built, and what has come of it ---- */

static uint64_t remote_at(uint32_t offset)
{
	return (uintptr_t)harness.peer.memory + offset;
}

static uint64_t *number_at(struct end *end, uint32_t offset)
{
	return (uint64_t *)(void *)(end->memory + offset);
}

static uint32_t rkey(void)
{
	return harness.peer.mr->rkey;
}

static void here_as_sge(struct ibv_qp_ex *qpx)
{
	ibv_wr_set_sge(qpx, harness.vm.mr->lkey, (uintptr_t)harness.vm.memory + HERE, 16);
}

static void has_arrived(void)
{
	assert_string_equal((char *)harness.peer.memory + THERE, "from here");
}

static void has_arrived_with(__be32 imm)
{
	assert_int_equal(harness_poll(&harness, &harness.peer), 1);
	assert_int_equal(harness.wc[0].wr_id, WR_ID);
	assert_int_equal(harness.wc[0].imm_data, imm);
	has_arrived();
}

static void build_wr_send(struct ibv_qp_ex *qpx)
{
	end_receive(&harness.peer, WR_ID, THERE, 64);
	ibv_wr_send(qpx);
	here_as_sge(qpx);
}

static void check_wr_send(void)
{
	has_arrived_with(0);
}

static void build_wr_send_imm(struct ibv_qp_ex *qpx)
{
	end_receive(&harness.peer, WR_ID, THERE, 64);
	ibv_wr_send_imm(qpx, IMM);
	here_as_sge(qpx);
}

static void check_wr_send_imm(void)
{
	has_arrived_with(IMM);
}

static void build_wr_rdma_write(struct ibv_qp_ex *qpx)
{
	ibv_wr_rdma_write(qpx, rkey(), remote_at(THERE));
	here_as_sge(qpx);
}

static void check_wr_rdma_write(void)
{
	has_arrived();
}

static void build_wr_rdma_write_imm(struct ibv_qp_ex *qpx)
{
	end_receive(&harness.peer, WR_ID, 0, 0);
	ibv_wr_rdma_write_imm(qpx, rkey(), remote_at(THERE), IMM);
	here_as_sge(qpx);
}

static void check_wr_rdma_write_imm(void)
{
	has_arrived_with(IMM);
}

static void build_wr_rdma_read(struct ibv_qp_ex *qpx)
{
	strcpy((char *)harness.peer.memory + THERE, "from there");
	ibv_wr_rdma_read(qpx, rkey(), remote_at(THERE));
	here_as_sge(qpx);
}

static void check_wr_rdma_read(void)
{
	assert_string_equal((char *)harness.vm.memory + HERE, "from there");
}

static void answer_here(struct ibv_qp_ex *qpx)
{
	ibv_wr_set_sge(qpx, harness.vm.mr->lkey, (uintptr_t)harness.vm.memory + HERE, 8);
}

static void build_wr_atomic_cmp_swp(struct ibv_qp_ex *qpx)
{
	*number_at(&harness.peer, THERE) = 5;
	ibv_wr_atomic_cmp_swp(qpx, rkey(), remote_at(THERE), 5, 9);
	answer_here(qpx);
}

static void check_wr_atomic_cmp_swp(void)
{
	assert_int_equal(*number_at(&harness.vm, HERE), 5);
	assert_int_equal(*number_at(&harness.peer, THERE), 9);
}

static void build_wr_atomic_fetch_add(struct ibv_qp_ex *qpx)
{
	*number_at(&harness.peer, THERE) = 5;
	ibv_wr_atomic_fetch_add(qpx, rkey(), remote_at(THERE), 3);
	answer_here(qpx);
}

static void check_wr_atomic_fetch_add(void)
{
	assert_int_equal(*number_at(&harness.vm, HERE), 5);
	assert_int_equal(*number_at(&harness.peer, THERE), 8);
}

#define build_wr_set_sge build_wr_rdma_write
#define check_wr_set_sge check_wr_rdma_write

static void build_wr_set_sge_list(struct ibv_qp_ex *qpx)
{
	uintptr_t at = (uintptr_t)harness.vm.memory + HERE;
	struct ibv_sge sges[] = {{at, 5, harness.vm.mr->lkey}, {at + 5, 5, harness.vm.mr->lkey}};

	ibv_wr_rdma_write(qpx, rkey(), remote_at(THERE));
	ibv_wr_set_sge_list(qpx, 2, sges);
	memset(sges, 0, sizeof(sges)); /* taken already */
}

static void check_wr_set_sge_list(void)
{
	has_arrived();
}

static void build_wr_set_inline_data(struct ibv_qp_ex *qpx)
{
	char text[] = "from here";

	ibv_wr_rdma_write(qpx, rkey(), remote_at(THERE));
	ibv_wr_set_inline_data(qpx, text, sizeof(text));
	memset(text, 'X', sizeof(text));
}

static void check_wr_set_inline_data(void)
{
	has_arrived();
}

static void build_wr_set_inline_data_list(struct ibv_qp_ex *qpx)
{
	char text[] = "from here";
	struct ibv_data_buf buffers[] = {{text, 5}, {text + 5, sizeof(text) - 5}};

	ibv_wr_rdma_write(qpx, rkey(), remote_at(THERE));
	ibv_wr_set_inline_data_list(qpx, 2, buffers);
	memset(text, 'X', sizeof(text));
}

static void check_wr_set_inline_data_list(void)
{
	has_arrived();
}

/* ---- the test ---- */

static void run(void (*build)(struct ibv_qp_ex *), void (*check)(void), bool moves)
{
	struct ibv_qp_ex *qpx = ibv_qp_to_qp_ex(harness.vm.qp);

	ibv_wr_start(qpx);
	qpx->wr_id = WR_ID;
	qpx->wr_flags = IBV_SEND_SIGNALED;
	build(qpx);
	assert_int_equal(ibv_wr_complete(qpx), 0);
	if (moves)
		harness_move(&harness);
	assert_int_equal(fake_execute(real_of(harness.vm.qp), 2, true), 1);
	assert_int_equal(harness_poll(&harness, &harness.vm), 1);
	assert_int_equal(harness.wc[0].wr_id, WR_ID);
	assert_int_equal(harness.wc[0].status, IBV_WC_SUCCESS);
	check();
}

#define EXECUTES(name)                                                                             \
	static void name##_is_executed(void **state)                                               \
	{                                                                                          \
		run(build_##name, check_##name, false);                                            \
	}
#define BUILDS(name)                                                                               \
	EXECUTES(name)                                                                             \
	static void name##_is_replayed(void **state)                                               \
	{                                                                                          \
		run(build_##name, check_##name, true);                                             \
	}

BUILDS(wr_send)
BUILDS(wr_send_imm)
BUILDS(wr_rdma_write)
BUILDS(wr_rdma_write_imm)
BUILDS(wr_rdma_read)
/* A stop waits for their answers. */
EXECUTES(wr_atomic_cmp_swp)
EXECUTES(wr_atomic_fetch_add)
BUILDS(wr_set_sge)
BUILDS(wr_set_sge_list)
BUILDS(wr_set_inline_data)
BUILDS(wr_set_inline_data_list)

#define ROW(name)  cmocka_unit_test_setup_teardown(name, setup, teardown)
#define ROWS(name) ROW(name##_is_executed), ROW(name##_is_replayed)

int main(void)
{
	const struct CMUnitTest tests[] = {
	        ROWS(wr_send),
	        ROWS(wr_send_imm),
	        ROWS(wr_rdma_write),
	        ROWS(wr_rdma_write_imm),
	        ROWS(wr_rdma_read),
	        ROW(wr_atomic_cmp_swp_is_executed),
	        ROW(wr_atomic_fetch_add_is_executed),
	        ROWS(wr_set_sge),
	        ROWS(wr_set_sge_list),
	        ROWS(wr_set_inline_data),
	        ROWS(wr_set_inline_data_list),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
