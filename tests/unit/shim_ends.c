/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "tests/unit/shim_ends.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdlib.h>

#include "preload/objects.h"
#include "tests/unit/shim_fake_devices.h"
#include "tests/unit/shim_fake_tables.h"
#include "tests/unit/shim_harness.h"

static bool is_at(struct ibv_context *context, uint16_t lid)
{
	struct ibv_port_attr attr;

	assert_int_equal(___ibv_query_port(context, 1, &attr), 0);
	if (fake.ethernet)
		return fake_is_vm(context_of(context)->real) == (lid == FAKE_LID_VM);
	return attr.lid == lid;
}

static struct ibv_context *open_lid(uint16_t lid)
{
	struct ibv_device **list = ibv_get_device_list(NULL);
	struct ibv_context *found = NULL;

	for (struct ibv_device **d = list; *d && !found; d++) {
		struct ibv_context *context = ibv_open_device(*d);

		assert_non_null(context);
		if (is_at(context, lid))
			found = context;
		else
			ibv_close_device(context);
	}
	ibv_free_device_list(list);
	return found;
}

static bool is_of_kind(const struct ibv_gid_entry *entry, enum harness_gids gids)
{
	return entry->gid_type == IBV_GID_TYPE_ROCE_V2 &&
	       (entry->gid.raw[0] == 0xfe) == (gids == GIDS_LINK_LOCAL);
}

void end_choose_gid(struct end *end, enum harness_gids gids)
{
	struct ibv_gid_entry entry;

	for (uint32_t i = 0; i < FAKE_GIDS; i++) {
		if (_ibv_query_gid_ex(end->context, 1, i, &entry, 0, sizeof(entry)) ||
		        !is_of_kind(&entry, gids))
			continue;
		end->gid = entry.gid;
		end->gid_index = (uint8_t)i;
		return;
	}
	fail_msg("no such GID");
}

void end_make(struct end *end, bool with_srq)
{
	struct ibv_srq_init_attr srq = {.attr = {.max_wr = HARNESS_DEPTH, .max_sge = 1}};

	end->memory = calloc(1, HARNESS_BYTES);
	end->pd = ibv_alloc_pd(end->context);
	end->mr = ibv_reg_mr(end->pd, end->memory, HARNESS_BYTES,
	        IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_WRITE | IBV_ACCESS_REMOTE_READ |
	                IBV_ACCESS_REMOTE_ATOMIC);
	end->channel = end->with_channel ? ibv_create_comp_channel(end->context) : NULL;
	end->cq = ibv_create_cq(end->context, 4 * HARNESS_DEPTH, end, end->channel, 0);
	end->srq = with_srq ? ibv_create_srq(end->pd, &srq) : NULL;
	assert_non_null(end->mr);
	assert_non_null(end->cq);
}

void end_open(struct end *end, uint16_t lid, bool with_srq)
{
	end->context = open_lid(lid);
	assert_non_null(end->context);
	end_make(end, with_srq);
}

void end_create_qp(struct end *end, const struct harness *h)
{
	struct ibv_qp_init_attr_ex attr = {
	        .send_cq = end->cq,
	        .recv_cq = end->cq,
	        .srq = end->srq,
	        .cap = {.max_send_wr = HARNESS_DEPTH,
	                .max_recv_wr = HARNESS_DEPTH,
	                .max_send_sge = 2,
	                .max_recv_sge = 4},
	        .qp_type = h->type ? h->type : IBV_QPT_RC,
	        .sq_sig_all = h->signal_all,
	        .comp_mask = IBV_QP_INIT_ATTR_PD | IBV_QP_INIT_ATTR_SEND_OPS_FLAGS,
	        .pd = end->pd,
	        .send_ops_flags = h->type == IBV_QPT_UD
	                                  ? IBV_QP_EX_WITH_SEND
	                                  : IBV_QP_EX_WITH_SEND | IBV_QP_EX_WITH_RDMA_WRITE,
	};

	if (h->with_ex)
		end->qp = ibv_create_qp_ex(end->context, &attr);
	else
		end->qp = ibv_create_qp(end->pd, (struct ibv_qp_init_attr *)&attr);
	assert_non_null(end->qp);
}

struct ibv_ah_attr end_address(const struct end *from, const struct end *to, uint16_t lid)
{
	struct ibv_ah_attr address = {.dlid = lid, .port_num = 1};

	if (!fake.ethernet)
		return address;
	address.dlid = 0;
	address.is_global = 1;
	address.grh = (struct ibv_global_route){
	        .dgid = to->gid, .sgid_index = from->gid_index, .hop_limit = 64};
	return address;
}

/* It is connected to nobody: whoever has its number and its key is heard. */
static void end_begin_datagrams(struct end *end, const struct end *to, uint16_t lid)
{
	static const enum ibv_qp_state states[] = {IBV_QPS_INIT, IBV_QPS_RTR, IBV_QPS_RTS};
	static const int masks[] = {
	        IBV_QP_STATE | IBV_QP_PKEY_INDEX | IBV_QP_PORT | IBV_QP_QKEY,
	        IBV_QP_STATE,
	        IBV_QP_STATE | IBV_QP_SQ_PSN,
	};
	struct ibv_ah_attr address = end_address(end, to, lid);

	for (int i = 0; i < 3; i++) {
		struct ibv_qp_attr attr = {
		        .qp_state = states[i], .port_num = 1, .qkey = HARNESS_QKEY};

		assert_int_equal(ibv_modify_qp(end->qp, &attr, masks[i]), 0);
	}
	end->ah = ibv_create_ah(end->pd, &address);
	assert_non_null(end->ah);
	end->remote_qpn = to->qp->qp_num;
}

void end_connect(struct end *end, const struct end *to, uint16_t lid)
{
	struct ibv_qp_attr attr = {.qp_state = IBV_QPS_INIT, .port_num = 1};

	if (end->qp->qp_type == IBV_QPT_UD) {
		end_begin_datagrams(end, to, lid);
		return;
	}
	assert_int_equal(
	        ibv_modify_qp(end->qp, &attr,
	                IBV_QP_STATE | IBV_QP_PKEY_INDEX | IBV_QP_PORT | IBV_QP_ACCESS_FLAGS),
	        0);
	attr = (struct ibv_qp_attr){.qp_state = IBV_QPS_RTR,
	        .path_mtu = IBV_MTU_1024,
	        .dest_qp_num = to->qp->qp_num,
	        .rq_psn = HARNESS_FIRST_PSN,
	        .ah_attr = end_address(end, to, lid)};
	assert_int_equal(
	        ibv_modify_qp(end->qp, &attr,
	                IBV_QP_STATE | IBV_QP_AV | IBV_QP_PATH_MTU | IBV_QP_DEST_QPN |
	                        IBV_QP_RQ_PSN | IBV_QP_MAX_DEST_RD_ATOMIC | IBV_QP_MIN_RNR_TIMER),
	        0);
	attr = (struct ibv_qp_attr){.qp_state = IBV_QPS_RTS, .sq_psn = HARNESS_FIRST_PSN};
	assert_int_equal(
	        ibv_modify_qp(end->qp, &attr,
	                IBV_QP_STATE | IBV_QP_TIMEOUT | IBV_QP_RETRY_CNT | IBV_QP_RNR_RETRY |
	                        IBV_QP_SQ_PSN | IBV_QP_MAX_QP_RD_ATOMIC),
	        0);
}

void end_close(struct end *end)
{
	if (end->qp)
		assert_int_equal(ibv_destroy_qp(end->qp), 0);
	if (end->ah)
		assert_int_equal(ibv_destroy_ah(end->ah), 0);
	if (end->srq)
		assert_int_equal(ibv_destroy_srq(end->srq), 0);
	assert_int_equal(ibv_destroy_cq(end->cq), 0);
	if (end->channel)
		assert_int_equal(ibv_destroy_comp_channel(end->channel), 0);
	assert_int_equal(ibv_dereg_mr(end->mr), 0);
	assert_int_equal(ibv_dealloc_pd(end->pd), 0);
	if (!end->shares_context)
		assert_int_equal(ibv_close_device(end->context), 0);
	free(end->memory);
}
