/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "tests/unit/shim_ethernet_ends.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "notifier/wire/gid_name.h"
#include "preload/objects.h"
#include "tests/unit/shim_fake_tables.h"

struct harness h;

int ethernet_setup(void **state)
{
	harness_contexts = harness_announced = 0;
	h = (struct harness){.ethernet = true, .gids = GIDS_LINK_LOCAL};
	harness_open(&h);
	return 0;
}

int ethernet_setup_connected(void **state)
{
	ethernet_setup(state);
	harness_connect(&h);
	return 0;
}

int ethernet_teardown(void **state)
{
	harness_registering = NULL;
	harness_awaited = NULL;
	fake.lacks_ipv4 = false;
	harness_close(&h);
	assert_int_equal(harness_contexts, 0);
	assert_int_equal(harness_announced, 0);
	return 0;
}

uint32_t name_of(union ibv_gid gid)
{
	return gid_name(gid.raw);
}

unsigned vm_host(void)
{
	return (unsigned)fake.slot + 1;
}

void expect_leads_to(const struct end *from, union ibv_gid gid)
{
	const struct ibv_ah_attr *address = fake_qp_ah_attr(real_of(from->qp));

	assert_memory_equal(&address->grh.dgid, &gid, sizeof(gid));
}

void expect_comes_from(const struct end *from, union ibv_gid gid)
{
	unsigned index = fake_qp_ah_attr(real_of(from->qp))->grh.sgid_index;
	union ibv_gid source;

	assert_int_equal(fake_query_gid(real_of(from->qp)->context, 1, (int)index, &source), 0);
	assert_memory_equal(&source, &gid, sizeof(gid));
}

static void carries_data(struct end *from, struct end *to, uint64_t wr_id)
{
	assert_int_equal(end_rdma(from, to, IBV_WR_RDMA_WRITE, wr_id, 0, 8, IBV_SEND_SIGNALED), 0);
	assert_int_equal(end_run(from, 9), 1);
	harness_expect_one(&h, from, wr_id);
}

void carry_data_both_ways(struct end *a, struct end *b)
{
	carries_data(a, b, 1);
	carries_data(b, a, 2);
}

struct qp_row row_of(const Tether__QpRows *rows, const struct end *end, uint32_t lid)
{
	for (size_t i = 0; i < rows->n_local_qpn; i++) {
		struct qp_row row = qp_rows_get(rows, i);

		if (row.local_qpn == end->qp->qp_num && row.local_lid == lid)
			return row;
	}
	fail_msg("no row of qp 0x%x", end->qp->qp_num);
	return (struct qp_row){0};
}

int end_to_rtr(struct end *end, const struct end *to)
{
	struct ibv_qp_attr attr = {.qp_state = IBV_QPS_INIT, .port_num = 1};

	assert_int_equal(
	        ibv_modify_qp(end->qp, &attr,
	                IBV_QP_STATE | IBV_QP_PKEY_INDEX | IBV_QP_PORT | IBV_QP_ACCESS_FLAGS),
	        0);
	attr = (struct ibv_qp_attr){.qp_state = IBV_QPS_RTR,
	        .path_mtu = IBV_MTU_1024,
	        .dest_qp_num = to->qp->qp_num,
	        .ah_attr = end_address(end, to, 0)};
	return ibv_modify_qp(end->qp, &attr,
	        IBV_QP_STATE | IBV_QP_AV | IBV_QP_PATH_MTU | IBV_QP_DEST_QPN | IBV_QP_RQ_PSN |
	                IBV_QP_MAX_DEST_RD_ATOMIC | IBV_QP_MIN_RNR_TIMER);
}
