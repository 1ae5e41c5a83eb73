/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "tests/model/injected_ends.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/model/world.h"

enum { HOSTS = 3, DEPTH = 16, ATOMICS_AT_ONCE = 8, RNR_41_MS = 24, TIMEOUT_1074_MS = 18 };

static struct host {
	struct ibv_context *context;
	struct ibv_pd *pd;
	struct ibv_mr *mr;
	struct ibv_xrcd *domain;
	uint8_t *memory;
} hosts[HOSTS];

static void must(bool is_right, const char *what)
{
	if (is_right)
		return;
	perror(what);
	_exit(2);
}

void hosts_open(size_t bytes)
{
	struct ibv_xrcd_init_attr domain = {
	        .comp_mask = IBV_XRCD_INIT_ATTR_FD | IBV_XRCD_INIT_ATTR_OFLAGS,
	        .fd = -1,
	        .oflags = O_CREAT | O_EXCL,
	};

	for (unsigned vm = 0; vm < HOSTS; vm++) {
		struct host *host = &hosts[vm];

		host->context = world_open(vm);
		must(host->context, "open");
		host->pd = ibv_alloc_pd(host->context);
		host->memory = aligned_alloc(4096, (bytes + 4095) & ~(size_t)4095);
		host->mr = ibv_reg_mr(host->pd, host->memory, bytes,
		        IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_WRITE | IBV_ACCESS_REMOTE_READ |
		                IBV_ACCESS_REMOTE_ATOMIC | IBV_ACCESS_MW_BIND);
		host->domain = ibv_open_xrcd(host->context, &domain);
		must(host->pd && host->mr && host->domain, "objects of a device");
	}
}

void hosts_close(void)
{
	for (unsigned vm = 0; vm < HOSTS; vm++) {
		must(!ibv_close_xrcd(hosts[vm].domain), "close a domain");
		must(!ibv_dereg_mr(hosts[vm].mr), "deregister");
		must(!ibv_dealloc_pd(hosts[vm].pd), "deallocate");
		must(!ibv_close_device(hosts[vm].context), "close");
		free(hosts[vm].memory);
	}
}

/* ---- objects ---- */

static bool is_xrc(const struct injected *c)
{
	return c->cell.target == TARGET_XRC;
}

static void make_srq(struct injected *c, struct side *side)
{
	struct ibv_srq_init_attr_ex attr = {
	        .attr = {.max_wr = DEPTH, .max_sge = 1},
	        .comp_mask = IBV_SRQ_INIT_ATTR_TYPE | IBV_SRQ_INIT_ATTR_PD,
	        .srq_type = is_xrc(c) ? IBV_SRQT_XRC : IBV_SRQT_BASIC,
	        .pd = hosts[side->vm].pd,
	        .xrcd = hosts[side->vm].domain,
	        .cq = side->cq,
	};

	if (is_xrc(c))
		attr.comp_mask |= IBV_SRQ_INIT_ATTR_XRCD | IBV_SRQ_INIT_ATTR_CQ;
	side->srq = ibv_create_srq_ex(hosts[side->vm].context, &attr);
	must(side->srq, "SRQ");
	if (is_xrc(c))
		must(!ibv_get_srq_num(side->srq, &side->srqn), "number of an SRQ");
}

static void make_qp(struct injected *c, struct side *side, enum ibv_qp_type type)
{
	struct host *host = &hosts[side->vm];
	struct ibv_qp_init_attr_ex attr = {
	        .send_cq = side->cq,
	        .recv_cq = side->cq,
	        .srq = is_xrc(c) ? NULL : side->srq,
	        .cap = {.max_send_wr = DEPTH,
	                .max_recv_wr = DEPTH,
	                .max_send_sge = 2,
	                .max_recv_sge = 1,
	                .max_inline_data = CASE_INLINE},
	        .qp_type = type,
	        .comp_mask = type == IBV_QPT_XRC_RECV ? IBV_QP_INIT_ATTR_XRCD : IBV_QP_INIT_ATTR_PD,
	        .pd = host->pd,
	        .xrcd = host->domain,
	};

	if (type == IBV_QPT_XRC_RECV)
		attr.send_cq = attr.recv_cq = NULL;
	side->qp = ibv_create_qp_ex(host->context, &attr);
	must(side->qp, "queue pair");
}

static void make_side(struct injected *c, struct side *side)
{
	side->memory = hosts[side->vm].memory + c->place;
	if (c->cell.manner == MANNER_SOLICITED && side == &c->answers) {
		side->channel = ibv_create_comp_channel(hosts[side->vm].context);
		must(side->channel, "channel");
		fcntl(side->channel->fd, F_SETFL, fcntl(side->channel->fd, F_GETFL) | O_NONBLOCK);
	}
	side->cq = ibv_create_cq(
	        hosts[side->vm].context, 2 * CASE_COMPLETIONS, NULL, side->channel, 0);
	must(side->cq, "completion queue");
}

static int answering(enum ibv_qp_type type)
{
	return type == IBV_QPT_XRC_SEND ? 0 : IBV_QP_MAX_DEST_RD_ATOMIC | IBV_QP_MIN_RNR_TIMER;
}

static int asking(enum ibv_qp_type type)
{
	return type == IBV_QPT_XRC_RECV
	               ? 0
	               : IBV_QP_RETRY_CNT | IBV_QP_RNR_RETRY | IBV_QP_MAX_QP_RD_ATOMIC;
}

static void connect_side(const struct injected *c, const struct side *side, const struct side *to)
{
	enum ibv_qp_type type = side->qp->qp_type;
	bool asks = side == &c->asks;
	struct ibv_qp_attr attr = {.qp_state = IBV_QPS_INIT,
	        .port_num = 1,
	        .qp_access_flags =
	                IBV_ACCESS_REMOTE_WRITE | IBV_ACCESS_REMOTE_READ | IBV_ACCESS_REMOTE_ATOMIC,
	        .path_mtu = c->mtu,
	        .dest_qp_num = to->qp->qp_num,
	        .sq_psn = asks ? c->first_psn : 0x4000,
	        .rq_psn = asks ? 0x4000 : c->first_psn,
	        .max_rd_atomic = ATOMICS_AT_ONCE,
	        .max_dest_rd_atomic = ATOMICS_AT_ONCE,
	        .min_rnr_timer = RNR_41_MS,
	        .timeout = TIMEOUT_1074_MS,
	        .retry_cnt = 7,
	        .rnr_retry = 7,
	        .ah_attr = {.dlid = world_lid_of(to->vm), .port_num = 1}};

	must(!ibv_modify_qp(side->qp, &attr,
	             IBV_QP_STATE | IBV_QP_PKEY_INDEX | IBV_QP_PORT | IBV_QP_ACCESS_FLAGS),
	        "INIT");
	attr.qp_state = IBV_QPS_RTR;
	must(!ibv_modify_qp(side->qp, &attr,
	             IBV_QP_STATE | IBV_QP_AV | IBV_QP_PATH_MTU | IBV_QP_DEST_QPN | IBV_QP_RQ_PSN |
	                     answering(type)),
	        "RTR");
	attr.qp_state = IBV_QPS_RTS;
	must(!ibv_modify_qp(
	             side->qp, &attr, IBV_QP_STATE | IBV_QP_SQ_PSN | IBV_QP_TIMEOUT | asking(type)),
	        "RTS");
}

/* ---- memory ---- */

uint8_t injected_byte(const struct planned *work, uint32_t at)
{
	return (uint8_t)(work->operand * 31 + at * 7 + (at >> 8));
}

static void fill(struct injected *c)
{
	memset(c->asks.memory, BYTE_BEFORE, c->used);
	memset(c->answers.memory, BYTE_BEFORE, c->used);
	for (unsigned i = 0; i < c->count; i++) {
		const struct planned *work = &c->works[i];
		uint8_t *from = work->opcode == IBV_WR_RDMA_READ ? c->answers.memory + work->remote
		                                                 : c->asks.memory + work->local;

		if (planned_is_atomic(work)) {
			memcpy(c->answers.memory + work->remote, &work->before,
			        sizeof(work->before));
			continue;
		}
		for (uint32_t at = 0; at < work->length; at++)
			from[at] = injected_byte(work, at);
	}
}

/* ---- receives ---- */

static void post_receives_until(struct injected *c, unsigned wanted)
{
	while (c->receives_posted < wanted) {
		unsigned which = c->receives_posted++;
		struct ibv_sge sge = {(uintptr_t)c->answers.memory + c->buffers[which].at,
		        c->buffers[which].length, hosts[c->answers.vm].mr->lkey};
		struct ibv_recv_wr *bad, wr = {.wr_id = WR_ID_RECEIVE + which,
		                                 .sg_list = &sge,
		                                 .num_sge = sge.length > 0};

		must(!(c->answers.srq ? ibv_post_srq_recv(c->answers.srq, &wr, &bad)
		                      : ibv_post_recv(c->answers.qp, &wr, &bad)),
		        "RECV");
	}
}

void injected_post_receives(struct injected *c)
{
	post_receives_until(c, c->buffer_count);
}

/* ---- work ---- */

static void target_of(const struct injected *c, const struct planned *work, struct ibv_send_wr *wr)
{
	uint64_t address = (uintptr_t)c->answers.memory + work->remote;
	uint32_t rkey = hosts[c->answers.vm].mr->rkey;

	if (planned_is_atomic(work)) {
		bool swaps = work->opcode == IBV_WR_ATOMIC_CMP_AND_SWP;

		wr->wr.atomic.remote_addr = address;
		wr->wr.atomic.rkey = rkey;
		wr->wr.atomic.compare_add = swaps ? work->before : work->operand;
		wr->wr.atomic.swap = work->operand;
	} else {
		wr->wr.rdma.remote_addr = address;
		wr->wr.rdma.rkey = rkey;
	}
}

static void post_work(struct injected *c, const struct planned *work)
{
	struct ibv_sge sge = {
	        (uintptr_t)c->asks.memory + work->local, work->length, hosts[c->asks.vm].mr->lkey};
	struct ibv_send_wr *bad, wr = {.wr_id = WR_ID_SEND + (uint64_t)(work - c->works),
	                                 .sg_list = &sge,
	                                 .num_sge = work->length > 0,
	                                 .opcode = work->opcode,
	                                 .send_flags = work->flags};

	if (work->window)
		wr.invalidate_rkey = work->window->rkey;
	else
		wr.imm_data = (uint32_t)work->operand;
	if (planned_writes(work) || work->opcode == IBV_WR_RDMA_READ || planned_is_atomic(work))
		target_of(c, work, &wr);
	wr.qp_type.xrc.remote_srqn = c->answers.srqn;
	must(!ibv_post_send(c->asks.qp, &wr, &bad), "send");
}

void injected_post(struct injected *c, bool kept)
{
	for (unsigned i = 0; i < c->count; i++)
		if (c->works[i].is_kept == kept)
			post_work(c, &c->works[i]);
}

void injected_post_last(struct injected *c)
{
	struct ibv_sge sge = {(uintptr_t)c->asks.memory, 8, hosts[c->asks.vm].mr->lkey};
	struct ibv_send_wr *bad, wr = {.wr_id = WR_ID_SEND + CASE_WORKS,
	                                 .sg_list = &sge,
	                                 .num_sge = 1,
	                                 .opcode = IBV_WR_SEND,
	                                 .send_flags = IBV_SEND_SIGNALED};

	wr.qp_type.xrc.remote_srqn = c->answers.srqn;
	must(!ibv_post_send(c->asks.qp, &wr, &bad), "send");
}

static bool is_of_receive(const struct ibv_wc *wc)
{
	return wc->wr_id >= WR_ID_RECEIVE;
}

void injected_poll(struct injected *c)
{
	struct ibv_wc wc;

	while (ibv_poll_cq(c->asks.cq, 1, &wc) == 1)
		if (c->sent_count < CASE_COMPLETIONS)
			c->sent[c->sent_count++] = wc;
	while (ibv_poll_cq(c->answers.cq, 1, &wc) == 1)
		if (is_of_receive(&wc) && c->received_count < CASE_COMPLETIONS)
			c->received[c->received_count++] = wc;
}

void injected_fail_answering(struct injected *c)
{
	struct ibv_qp_init_attr init;
	struct ibv_qp_attr attr;

	must(!ibv_query_qp(c->answers.qp, &attr, IBV_QP_STATE, &init), "query");
	c->flushes_receives = attr.qp_state == IBV_QPS_ERR || c->is_mlx5;
	attr.qp_state = IBV_QPS_ERR;
	must(!ibv_modify_qp(c->answers.qp, &attr, IBV_QP_STATE), "to ERR");
}

/* ---- windows ---- */

/* Each with the key that a provider has given it, counted on by one. */
void injected_post_binds(struct injected *c)
{
	for (unsigned i = 0; i < c->count; i++) {
		struct planned *work = &c->works[i];
		struct ibv_send_wr *bad,
		        wr = {.opcode = IBV_WR_BIND_MW, .send_flags = IBV_SEND_SIGNALED};

		if (work->opcode != IBV_WR_SEND_WITH_INV)
			continue;
		work->window = ibv_alloc_mw(hosts[c->answers.vm].pd, IBV_MW_TYPE_2);
		must(work->window, "window");
		wr.bind_mw.mw = work->window;
		wr.bind_mw.rkey = ibv_inc_rkey(work->window->rkey);
		wr.bind_mw.bind_info = (struct ibv_mw_bind_info){hosts[c->answers.vm].mr,
		        (uintptr_t)c->answers.memory, c->used, IBV_ACCESS_REMOTE_WRITE};
		must(!ibv_post_send(c->answers.qp, &wr, &bad), "bind");
		work->window->rkey = wr.bind_mw.rkey;
	}
}

bool injected_binds_are_done(struct injected *c)
{
	unsigned open = 0;
	struct ibv_wc wc;

	for (unsigned i = 0; i < c->count; i++)
		open += c->works[i].window != NULL;
	while (open && ibv_poll_cq(c->answers.cq, 1, &wc) == 1)
		open--;
	return !open;
}

/* ---- the whole ---- */

void injected_open(struct injected *c)
{
	c->asks.vm = c->from_vm ? 0 : c->peer;
	c->answers.vm = c->from_vm ? c->peer : 0;
	make_side(c, &c->asks);
	make_side(c, &c->answers);
	if (c->cell.target != TARGET_RQ)
		make_srq(c, &c->answers);
	make_qp(c, &c->asks, is_xrc(c) ? IBV_QPT_XRC_SEND : IBV_QPT_RC);
	make_qp(c, &c->answers, is_xrc(c) ? IBV_QPT_XRC_RECV : IBV_QPT_RC);
	connect_side(c, &c->asks, &c->answers);
	connect_side(c, &c->answers, &c->asks);
	fill(c);
	if (c->answers.channel)
		must(!ibv_req_notify_cq(c->answers.cq, 1), "arm");
	post_receives_until(c, c->receives);
}

static void close_side(struct side *side)
{
	must(!ibv_destroy_qp(side->qp), "destroy a queue pair");
	if (side->srq)
		must(!ibv_destroy_srq(side->srq), "destroy an SRQ");
	must(!ibv_destroy_cq(side->cq), "destroy a completion queue");
	if (side->channel)
		must(!ibv_destroy_comp_channel(side->channel), "destroy a channel");
}

void injected_close(struct injected *c)
{
	for (unsigned i = 0; i < c->count; i++)
		if (c->works[i].window)
			must(!ibv_dealloc_mw(c->works[i].window), "deallocate a window");
	close_side(&c->asks);
	close_side(&c->answers);
}
