/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "simfabric/verbs_objects_ends.h"

#include <string.h>

static struct ibv_qp *open_qp(struct objects *o, struct ends *ends, struct ibv_srq *srq)
{
	struct ibv_qp_init_attr attr = {.send_cq = ends->send_cq,
	        .recv_cq = ends->recv_cq,
	        .srq = srq,
	        .cap = {.max_send_wr = 16, .max_recv_wr = 16, .max_send_sge = 1, .max_recv_sge = 1},
	        .qp_type = IBV_QPT_RC};
	struct ibv_qp *qp = ibv_create_qp(o->pd, &attr);

	CHECK(qp);
	return qp;
}

void ends_open(struct objects *o, struct ends *ends, bool with_srq)
{
	struct ibv_srq_init_attr srq_attr = {.attr = {.max_wr = 16, .max_sge = 1}};

	memset(ends, 0, sizeof(*ends));
	CHECK((ends->send_cq = ibv_create_cq(o->context, 64, &ends->send_cq, o->channel, 0)));
	CHECK((ends->recv_cq = ibv_create_cq(o->context, 64, &ends->recv_cq, o->channel, 0)));
	if (with_srq)
		CHECK((ends->srq = ibv_create_srq(o->pd, &srq_attr)));
	ends->sender = open_qp(o, ends, NULL);
	ends->receiver = open_qp(o, ends, ends->srq);
	objects_connect(o, ends->sender, ends->receiver);
}

void ends_close(struct ends *ends)
{
	CHECK(!ibv_destroy_qp(ends->sender) && !ibv_destroy_qp(ends->receiver));
	CHECK(!ends->srq || !ibv_destroy_srq(ends->srq));
	CHECK(!ibv_destroy_cq(ends->send_cq) && !ibv_destroy_cq(ends->recv_cq));
}

void ends_post_receive(struct ends *ends, struct ibv_sge sge)
{
	struct ibv_recv_wr wr = {.wr_id = 100, .sg_list = &sge, .num_sge = 1}, *bad;

	CHECK(!(ends->srq ? ibv_post_srq_recv(ends->srq, &wr, &bad)
	                  : ibv_post_recv(ends->receiver, &wr, &bad)));
}

void ends_post_receives(struct objects *o, struct ends *ends, int count)
{
	while (count--)
		ends_post_receive(ends, objects_sge(o, 0x10000, ENDS_BYTES));
}

void ends_post_with_key(struct objects *o, struct ends *ends, enum ibv_wr_opcode opcode,
        unsigned flags, uint32_t rkey)
{
	struct ibv_sge sge = objects_sge(o, 0, ENDS_BYTES);
	struct ibv_send_wr wr = {.wr_id = 1,
	                           .sg_list = &sge,
	                           .num_sge = 1,
	                           .opcode = opcode,
	                           .send_flags = flags,
	                           .wr = {.rdma = {.remote_addr = (uintptr_t)o->memory + 0x20000,
	                                          .rkey = rkey}}},
	                   *bad;

	CHECK(!ibv_post_send(ends->sender, &wr, &bad));
}

void ends_post(struct objects *o, struct ends *ends, enum ibv_wr_opcode opcode, unsigned flags)
{
	ends_post_with_key(o, ends, opcode, flags, o->mr->rkey);
}

void ends_exchange(struct objects *o, struct ends *ends, enum ibv_wr_opcode opcode, unsigned flags)
{
	ends_post(o, ends, opcode, flags | IBV_SEND_SIGNALED);
	objects_poll_for(ends->send_cq, 1, IBV_WC_SUCCESS);
	if (opcode != IBV_WR_RDMA_WRITE)
		objects_poll_for(ends->recv_cq, 100, IBV_WC_SUCCESS);
}
