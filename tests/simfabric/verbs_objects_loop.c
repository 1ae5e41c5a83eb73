/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "simfabric/verbs_objects_loop.h"

#include <time.h>

struct ibv_cq_init_attr_ex loop_wants(uint64_t wc_flags)
{
	return (struct ibv_cq_init_attr_ex){.cqe = 16, .wc_flags = wc_flags};
}

void loop_open(struct objects *o, struct loop *loop, struct ibv_cq_init_attr_ex attr)
{
	loop->cq = ibv_create_cq_ex(o->context, &attr);
	CHECK(loop->cq);
	loop->qp = objects_rc(o, ibv_cq_ex_to_cq(loop->cq), ibv_cq_ex_to_cq(loop->cq));
	objects_connect(o, loop->qp, loop->qp);
}

void loop_close(struct loop *loop)
{
	CHECK(!ibv_destroy_qp(loop->qp));
	CHECK(!ibv_destroy_cq(ibv_cq_ex_to_cq(loop->cq)));
}

void loop_post_write(struct objects *o, struct loop *loop, uint64_t wr_id)
{
	struct ibv_sge sge = objects_sge(o, 0, LOOP_BYTES);
	struct ibv_send_wr wr = {.wr_id = wr_id,
	                           .sg_list = &sge,
	                           .num_sge = 1,
	                           .opcode = IBV_WR_RDMA_WRITE,
	                           .send_flags = IBV_SEND_SIGNALED,
	                           .wr = {.rdma = {.remote_addr = (uintptr_t)o->memory + 0x20000,
	                                          .rkey = o->mr->rkey}}},
	                   *bad;

	CHECK(!ibv_post_send(loop->qp, &wr, &bad));
}

void loop_start(struct ibv_cq_ex *cq)
{
	struct ibv_poll_cq_attr attr = {0};
	time_t end = time(NULL) + 20;
	int err;

	while ((err = ibv_start_poll(cq, &attr)) == ENOENT)
		CHECK(time(NULL) < end);
	CHECK(!err);
}
