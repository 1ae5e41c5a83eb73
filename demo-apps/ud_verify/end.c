/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "demo-apps/ud_verify/end.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "demo-apps/verify/process.h"

enum { SENDS = 64, INLINE_BYTES = 64 };

/* The first from there on that there is; entries may be empty. */
static int places_find(struct end *end, int gid_index, uint16_t pkey_index)
{
	struct ibv_port_attr port;
	union ibv_gid gid;
	__be16 pkey = 0;

	if (ibv_query_port(end->context, DEVICE_PORT, &port))
		return failed("ibv_query_port", errno);
	end->is_ethernet = port.link_layer == IBV_LINK_LAYER_ETHERNET;
	for (end->gid_index = gid_index < 0 ? 0 : gid_index;; end->gid_index++) {
		if (ibv_query_gid(end->context, DEVICE_PORT, end->gid_index, &gid))
			return failed("no GID", ENOENT);
		if (gid.global.interface_id)
			break;
	}
	for (end->pkey_index = pkey_index;; end->pkey_index++) {
		if (ibv_query_pkey(end->context, DEVICE_PORT, end->pkey_index, &pkey))
			return failed("no P_Key", ENOENT);
		if (pkey)
			return 0;
	}
}

static int memory_register(struct end *end)
{
	size_t bytes = (size_t)end->count * (end->receives + end->sends) * end->slot;

	end->memory = aligned_alloc(4096, (bytes + 4095) / 4096 * 4096);
	if (!end->memory)
		return failed("memory", ENOMEM);
	memset(end->memory, 0, bytes);
	end->mr = ibv_reg_mr(end->pd, end->memory, bytes, IBV_ACCESS_LOCAL_WRITE);
	return end->mr ? 0 : failed("ibv_reg_mr", errno);
}

static int qp_create(struct end *end, uint32_t index)
{
	struct end_qp *q = &end->qps[index];
	struct ibv_qp_init_attr_ex attr = {
	        .send_cq = end->cq,
	        .recv_cq = end->cq,
	        .cap = {.max_send_wr = end->sends,
	                .max_recv_wr = end->receives,
	                .max_send_sge = 2,
	                .max_recv_sge = 1,
	                .max_inline_data = INLINE_BYTES},
	        .qp_type = IBV_QPT_UD,
	        .comp_mask = IBV_QP_INIT_ATTR_PD | IBV_QP_INIT_ATTR_SEND_OPS_FLAGS,
	        .pd = end->pd,
	        .send_ops_flags = IBV_QP_EX_WITH_SEND,
	};

	q->qp = ibv_create_qp_ex(end->context, &attr);
	if (!q->qp)
		return failed("ibv_create_qp_ex", errno);
	q->qp_ex = index % 2 ? ibv_qp_to_qp_ex(q->qp) : NULL;
	q->qpn = q->qp->qp_num;
	return 0;
}

static int qp_ready(struct end *end, uint32_t index)
{
	static const struct {
		enum ibv_qp_state state;
		int mask;
	} steps[] = {
	        {IBV_QPS_INIT, IBV_QP_STATE | IBV_QP_PKEY_INDEX | IBV_QP_PORT | IBV_QP_QKEY},
	        {IBV_QPS_RTR, IBV_QP_STATE},
	        {IBV_QPS_RTS, IBV_QP_STATE | IBV_QP_SQ_PSN},
	};
	int error = 0;

	for (int i = 0; i < 3 && !error; i++) {
		struct ibv_qp_attr attr = {.qp_state = steps[i].state,
		        .pkey_index = end->pkey_index,
		        .port_num = DEVICE_PORT,
		        .qkey = END_QKEY};

		error = ibv_modify_qp(end->qps[index].qp, &attr, steps[i].mask);
		for (uint32_t slot = 0; !i && !error && slot < end->receives; slot++)
			error = end_post_receive(end, index, slot);
	}
	return error ? failed("ibv_modify_qp", error) : 0;
}

int end_open(struct end *end, const struct options *options)
{
	int error = 0;

	*end = (struct end){.count = options->qps,
	        .receives = 2 * options->qps * options->tokens + 16,
	        .sends = SENDS,
	        .signal_every = options->signal_every,
	        .slot = (GRH_BYTES + options->length_max + 63) / 64 * 64};
	end->context = device_open(options->device);
	if (!end->context)
		return -ENODEV;
	end->pd = ibv_alloc_pd(end->context);
	end->cq = ibv_create_cq(
	        end->context, (int)(end->count * (end->receives + end->sends)), NULL, NULL, 0);
	if (!end->pd || !end->cq)
		return failed("PD or CQ", errno);
	error = places_find(end, options->gid_index, options->pkey_index);
	if (!error)
		error = port_address_ask(end->context, end->gid_index, &end->own);
	if (!error)
		error = memory_register(end);
	for (uint32_t i = 0; i < end->count && !error; i++) {
		error = qp_create(end, i);
		if (!error)
			error = qp_ready(end, i);
	}
	return error;
}

int end_meet(struct end *end, const struct port_address *other)
{
	end->plain_attr = (struct ibv_ah_attr){.dlid = other->lid, .port_num = DEVICE_PORT};
	end->global_attr = end->plain_attr;
	end->global_attr.is_global = 1;
	end->global_attr.grh = (struct ibv_global_route){.dgid = other->gid,
	        .sgid_index = (uint8_t)end->gid_index,
	        .hop_limit = end->is_ethernet ? 64 : 1};
	if (end->is_ethernet)
		end->plain_attr = end->global_attr;
	end->plain = ibv_create_ah(end->pd, &end->plain_attr);
	end->global = ibv_create_ah(end->pd, &end->global_attr);
	return end->plain && end->global ? 0 : failed("ibv_create_ah", errno);
}

void end_close(struct end *end)
{
	for (uint32_t i = 0; i < end->count; i++)
		if (end->qps[i].qp)
			ibv_destroy_qp(end->qps[i].qp);
	if (end->plain)
		ibv_destroy_ah(end->plain);
	if (end->global)
		ibv_destroy_ah(end->global);
	if (end->mr)
		ibv_dereg_mr(end->mr);
	free(end->memory);
	if (end->cq)
		ibv_destroy_cq(end->cq);
	if (end->pd)
		ibv_dealloc_pd(end->pd);
	if (end->context)
		ibv_close_device(end->context);
}

/* ---- work ---- */

unsigned char *end_receive_at(const struct end *end, uint32_t qp, uint32_t slot)
{
	return end->memory + ((size_t)qp * end->receives + slot) * end->slot;
}

unsigned char *end_send_at(const struct end *end, uint32_t qp)
{
	size_t first = (size_t)end->count * end->receives + (size_t)qp * end->sends;

	return end->memory + (first + end->qps[qp].posted % end->sends) * end->slot;
}

int end_post_receive(struct end *end, uint32_t qp, uint32_t slot)
{
	struct ibv_sge sge = {.addr = (uintptr_t)end_receive_at(end, qp, slot),
	        .length = end->slot,
	        .lkey = end->mr->lkey};
	struct ibv_recv_wr wr = {.wr_id = receive_id(qp, slot), .sg_list = &sge, .num_sge = 1},
	                   *bad;

	return ibv_post_recv(end->qps[qp].qp, &wr, &bad);
}

/* Counted from the first: the last of every so many. */
static unsigned signal_of(const struct end *end, const struct end_qp *q)
{
	return (q->posted + 1) % end->signal_every ? 0 : IBV_SEND_SIGNALED;
}

void end_sends_completed(struct end *end, uint32_t qp)
{
	end->qps[qp].sends_open -= end->signal_every;
}

bool end_sends_are_done(const struct end *end, uint32_t qp)
{
	return end->qps[qp].sends_open < end->signal_every;
}

static int post_wr(struct end *end, struct end_qp *q, struct ibv_ah *ah, uint32_t to_qpn, void *at,
        uint32_t length)
{
	struct ibv_qp_ex *qpx = q->qp_ex;

	ibv_wr_start(qpx);
	qpx->wr_id = (uint64_t)(q - end->qps);
	qpx->wr_flags = signal_of(end, q);
	ibv_wr_send(qpx);
	ibv_wr_set_ud_addr(qpx, ah, to_qpn, END_QKEY);
	if (length <= INLINE_BYTES)
		ibv_wr_set_inline_data(qpx, at, length);
	else
		ibv_wr_set_sge(qpx, end->mr->lkey, (uintptr_t)at, length);
	return ibv_wr_complete(qpx);
}

static int post_send(struct end *end, struct end_qp *q, struct ibv_ah *ah, uint32_t to_qpn,
        void *at, uint32_t length)
{
	struct ibv_sge sge = {.addr = (uintptr_t)at, .length = length, .lkey = end->mr->lkey};
	struct ibv_send_wr wr = {.wr_id = (uint64_t)(q - end->qps),
	                           .sg_list = &sge,
	                           .num_sge = 1,
	                           .opcode = IBV_WR_SEND,
	                           .send_flags = signal_of(end, q),
	                           .wr.ud = {ah, to_qpn, END_QKEY}},
	                   *bad;

	if (length <= INLINE_BYTES)
		wr.send_flags |= IBV_SEND_INLINE;
	return ibv_post_send(q->qp, &wr, &bad);
}

int end_send(
        struct end *end, uint32_t qp, uint32_t to_qpn, uint32_t length, bool global, bool fresh)
{
	struct end_qp *q = &end->qps[qp];
	struct ibv_ah *ah = global ? end->global : end->plain;
	void *at = end_send_at(end, qp);
	int error;

	if (fresh)
		ah = ibv_create_ah(end->pd, global ? &end->global_attr : &end->plain_attr);
	if (!ah)
		return failed("ibv_create_ah", errno);
	error = q->qp_ex ? post_wr(end, q, ah, to_qpn, at, length)
	                 : post_send(end, q, ah, to_qpn, at, length);
	if (fresh)
		ibv_destroy_ah(ah);
	if (error)
		return error == ENOMEM ? -ENOMEM : failed("post", error);
	q->posted++;
	q->sends_open++;
	return 0;
}
