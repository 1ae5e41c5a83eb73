/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * What the library costs a message while nothing moves, for a tool that counts instructions:
 * bench/path.py. The device is replaced by stubs once everything stands, so that what is counted is
 * the library's.
 *
 *   path_cost            the paths, by name
 *   path_cost PATH N     N messages on that path, all within messages()
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "preload/objects.h"
#include "tests/unit/shim_fake_ethernet.h"
#include "tests/unit/shim_harness.h"

/* ---- the device ---- */

static struct {
	struct ibv_wc wc; /* of what was posted last */
	int count;
} completed;

static int stub_post_send(struct ibv_qp *qp, struct ibv_send_wr *wr, struct ibv_send_wr **bad)
{
	completed.wc.wr_id = wr->wr_id;
	completed.wc.opcode = IBV_WC_SEND;
	completed.wc.qp_num = qp->qp_num;
	completed.count = 1;
	return 0;
}

static int stub_post_recv(struct ibv_qp *qp, struct ibv_recv_wr *wr, struct ibv_recv_wr **bad)
{
	completed.wc.wr_id = wr->wr_id;
	completed.wc.opcode = IBV_WC_RECV;
	completed.wc.qp_num = qp->qp_num;
	completed.count = 1;
	return 0;
}

/* Whichever queue pair takes it: there is one. */
static struct ibv_qp *taker;

static int stub_post_srq_recv(struct ibv_srq *srq, struct ibv_recv_wr *wr, struct ibv_recv_wr **bad)
{
	return stub_post_recv(taker, wr, bad);
}

static int stub_poll_cq(struct ibv_cq *cq, int count, struct ibv_wc *wc)
{
	const int got = completed.count;

	if (got)
		*wc = completed.wc;
	completed.count = 0;
	return got;
}

static void stub_the_device_of(struct ibv_qp *qp)
{
	struct ibv_context_ops *ops = &qp->context->ops;

	taker = qp;
	ops->post_send = stub_post_send;
	ops->post_recv = stub_post_recv;
	ops->post_srq_recv = stub_post_srq_recv;
	ops->poll_cq = stub_poll_cq;
}

/* ---- messages ---- */

static struct harness harness;
static struct end *const end = &harness.vm;
static struct ibv_sge sge;

static bool is_polled(struct ibv_cq *cq)
{
	struct ibv_wc wc;

	return ibv_poll_cq(cq, 1, &wc) == 1;
}

static bool send_by(struct ibv_qp *qp, struct ibv_cq *cq, unsigned flags)
{
	struct ibv_send_wr wr = {.sg_list = &sge,
	        .num_sge = 1,
	        .opcode = IBV_WR_SEND,
	        .send_flags = IBV_SEND_SIGNALED | flags};
	struct ibv_send_wr *bad;

	if (end->ah) {
		wr.wr.ud.ah = end->ah;
		wr.wr.ud.remote_qpn = end->remote_qpn;
	}
	return !ibv_post_send(qp, &wr, &bad) && is_polled(cq);
}

static bool send_one(void)
{
	return send_by(end->qp, end->cq, 0);
}

static bool send_one_inline(void)
{
	return send_by(end->qp, end->cq, IBV_SEND_INLINE);
}

/* Without the library: what is not its cost. */
static bool send_to_stubs(void)
{
	return send_by(real_of(end->qp), completion_queue_of(end->cq)->real, 0);
}

static bool receive_one(void)
{
	struct ibv_recv_wr wr = {.sg_list = &sge, .num_sge = 1}, *bad;

	return !ibv_post_recv(end->qp, &wr, &bad) && is_polled(end->cq);
}

static bool receive_one_shared(void)
{
	struct ibv_recv_wr wr = {.sg_list = &sge, .num_sge = 1}, *bad;

	return !ibv_post_srq_recv(end->srq, &wr, &bad) && is_polled(end->cq);
}

static bool build_one(void)
{
	struct ibv_qp_ex *qp = ibv_qp_to_qp_ex(end->qp);

	ibv_wr_start(qp);
	qp->wr_flags = IBV_SEND_SIGNALED;
	ibv_wr_send(qp);
	ibv_wr_set_sge(qp, sge.lkey, sge.addr, sge.length);
	return !ibv_wr_complete(qp) && is_polled(end->cq);
}

static bool poll_nothing(void)
{
	return !is_polled(end->cq);
}

static const struct path {
	const char *name;
	bool (*one)(void);
	enum ibv_qp_type type; /* 0: RC */
	bool with_srq, with_ex, has_moved, ethernet;
} paths[] = {
        {.name = "stubs", .one = send_to_stubs},
        {.name = "empty-poll", .one = poll_nothing},
        {.name = "rc-send", .one = send_one},
        {.name = "rc-send-inline", .one = send_one_inline},
        {.name = "rc-send-built", .one = build_one, .with_ex = true},
        {.name = "rc-receive", .one = receive_one},
        {.name = "rc-receive-shared", .one = receive_one_shared, .with_srq = true},
        {.name = "rc-send-moved", .one = send_one, .has_moved = true},
        {.name = "rc-receive-moved", .one = receive_one, .has_moved = true},
        {.name = "ud-send", .one = send_one, .type = IBV_QPT_UD},
        {.name = "ud-receive", .one = receive_one, .type = IBV_QPT_UD},
        {.name = "ud-send-roce", .one = send_one, .type = IBV_QPT_UD, .ethernet = true},
        {.name = "ud-receive-roce", .one = receive_one, .type = IBV_QPT_UD, .ethernet = true},
};
enum { PATHS = sizeof(paths) / sizeof(*paths) };

/* Not inlined: what is counted has this name. */
__attribute__((noinline)) bool messages(bool (*one)(void), unsigned long count);

bool messages(bool (*one)(void), unsigned long count)
{
	while (count && one())
		count--;
	return !count;
}

static void nobody_has_moved(uint32_t name)
{
}

/* What has come from the peer stands in the buffer. */
static void begin_on_ethernet(void)
{
	const struct ibv_ah_attr here = end_address(&harness.peer, end, 0);

	sge.length = FAKE_GRH_BYTES + 8;
	fake_ethernet_header(fake_hca_of(real_of(harness.peer.qp)->context), &here, 8, end->memory);
}

static bool run(const struct path *path, unsigned long count)
{
	bool ok;

	harness_stranger = path->ethernet ? nobody_has_moved : NULL;
	harness_begin(&harness, (struct harness){.type = path->type,
	                                .with_srq = path->with_srq,
	                                .with_ex = path->with_ex,
	                                .ethernet = path->ethernet});
	if (path->has_moved)
		harness_move(&harness);
	sge = (struct ibv_sge){.addr = (uintptr_t)end->memory, .length = 8, .lkey = end->mr->lkey};
	if (path->ethernet)
		begin_on_ethernet();
	else if (path->type == IBV_QPT_UD)
		completed.wc = (struct ibv_wc){.slid = FAKE_LID_PEER, .src_qp = end->remote_qpn};
	stub_the_device_of(real_of(end->qp));
	/* Gates have owners, and symbols are bound, from the first one on. */
	ok = path->one() && messages(path->one, count);
	harness_close(&harness);
	return ok;
}

int main(int argc, char **argv)
{
	for (int i = 0; i < PATHS; i++) {
		if (argc == 1)
			puts(paths[i].name);
		else if (argc == 3 && !strcmp(argv[1], paths[i].name))
			return run(&paths[i], strtoul(argv[2], NULL, 10)) ? 0 : 1;
	}
	return argc == 1 ? 0 : 2;
}
