/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "demo-apps/rc_verify/lane.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "demo-apps/verify/message.h"
#include "demo-apps/verify/process.h"

enum {
	INLINE_WANTED = 64,
	PSN_MASK = 0xffffff,
	RETRIES = 7,
	RNR_FOR_EVER = 7,
	RNR_TIMER_640_US = 12,
};

static void layout_make(struct lane_layout *layout, const struct work_options *work)
{
	size_t at = 0;

	layout->slot = work->length_max;
	layout->send_slot = work->length_max + WORK_SGES * LANE_GAP;
	layout->window = 2 * work->depth;
	layout->send = at;
	at += (size_t)layout->send_slot * work->depth;
	layout->receive = at;
	at += (size_t)layout->send_slot * work->depth;
	layout->with_imm = at;
	at += (size_t)layout->slot * layout->window;
	layout->written = at;
	at += (size_t)layout->slot * layout->window;
	layout->progress = at;
	at += 64;
	layout->pattern = at;
	layout->total = at + LANE_PATTERN;
}

static int memory_create(
        struct lane *lane, struct endpoint *endpoint, const struct options *options)
{
	int access = IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_WRITE | IBV_ACCESS_REMOTE_READ;
	struct lane_layout *layout = &lane->layout;
	bool is_server = !options->host;

	layout_make(layout, &options->work);
	lane->memory = aligned_alloc(4096, (layout->total + 4095) & ~(size_t)4095);
	if (!lane->memory)
		return failed("memory", ENOMEM);
	memset(lane->memory, 0, layout->total);
	lane_progress(lane)->messages = progress_encode(0);
	lane_progress(lane)->writes = progress_encode(0);
	pattern_fill(lane->memory + layout->pattern, 0, LANE_PATTERN,
	        message_stream(is_server, lane->index, false));
	slot_ring_init(&lane->writes, lane->memory + layout->written, layout->window, layout->slot,
	        message_stream(!is_server, lane->index, true));
	lane->mr = ibv_reg_mr(endpoint->pd, lane->memory, layout->total, access);
	return lane->mr ? 0 : failed("ibv_reg_mr", errno);
}

static bool lane_uses_wr(uint32_t index, enum post_api api)
{
	return api == POST_WR || (api == POST_MIXED && index % 2);
}

static int srq_create(struct lane *lane, struct endpoint *endpoint, uint32_t depth)
{
	struct ibv_srq_init_attr attr = {.attr = {.max_wr = depth, .max_sge = 2}};

	lane->srq = ibv_create_srq(endpoint->pd, &attr);
	return lane->srq ? 0 : failed("ibv_create_srq", errno);
}

static int qp_create(struct lane *lane, struct endpoint *endpoint, const struct options *options)
{
	const struct work_options *work = &options->work;
	struct ibv_qp_init_attr_ex attr = {
	        .send_cq = lane->cq,
	        .recv_cq = lane->cq,
	        .srq = lane->srq,
	        .cap = {.max_send_wr = work->depth,
	                .max_recv_wr = work->depth,
	                .max_send_sge = WORK_SGES,
	                .max_recv_sge = 2,
	                .max_inline_data = INLINE_WANTED},
	        .qp_type = work->xrc ? IBV_QPT_XRC_SEND : IBV_QPT_RC,
	        .comp_mask = IBV_QP_INIT_ATTR_PD,
	        .pd = endpoint->pd,
	};

	if (lane_uses_wr(lane->index, work->post_api)) {
		attr.comp_mask |= IBV_QP_INIT_ATTR_SEND_OPS_FLAGS;
		attr.send_ops_flags =
		        IBV_QP_EX_WITH_SEND | IBV_QP_EX_WITH_SEND_WITH_IMM |
		        IBV_QP_EX_WITH_RDMA_WRITE | IBV_QP_EX_WITH_RDMA_WRITE_WITH_IMM |
		        IBV_QP_EX_WITH_RDMA_READ | IBV_QP_EX_WITH_ATOMIC_FETCH_AND_ADD |
		        IBV_QP_EX_WITH_ATOMIC_CMP_AND_SWP;
	}
	lane->qp = ibv_create_qp_ex(endpoint->context, &attr);
	if (!lane->qp)
		return failed("ibv_create_qp_ex", errno);
	if (attr.comp_mask & IBV_QP_INIT_ATTR_SEND_OPS_FLAGS)
		lane->qp_ex = ibv_qp_to_qp_ex(lane->qp);
	lane->inline_max = attr.cap.max_inline_data;
	lane->qpn_at_start = lane->qp->qp_num;
	return 0;
}

static int qp_to_init(struct ibv_qp *qp)
{
	struct ibv_qp_attr attr = {
	        .qp_state = IBV_QPS_INIT,
	        .port_num = DEVICE_PORT,
	        .qp_access_flags =
	                IBV_ACCESS_REMOTE_WRITE | IBV_ACCESS_REMOTE_READ | IBV_ACCESS_REMOTE_ATOMIC,
	};
	int error = ibv_modify_qp(
	        qp, &attr, IBV_QP_STATE | IBV_QP_PKEY_INDEX | IBV_QP_PORT | IBV_QP_ACCESS_FLAGS);

	return error ? failed("ibv_modify_qp to INIT", error) : 0;
}

static bool does_atomics(const struct options *options)
{
	return options->work.atomics == ATOMICS_BY_BOTH ||
	       (options->work.atomics == ATOMICS_BY_CLIENT && options->host);
}

int lane_create(
        struct lane *lane, uint32_t index, struct endpoint *endpoint, const struct options *options)
{
	uint64_t seed = options->seed * 1000003 + index * 2 + !options->host;
	int error;

	*lane = (struct lane){.index = index, .cq = endpoint->shared_cq};
	lane->psn = (uint32_t)random_next(&seed) & PSN_MASK;
	error = memory_create(lane, endpoint, options);
	if (!error && !lane->cq) {
		lane->owns_cq = true;
		error = endpoint_create_cq(endpoint, (int)(2 * options->work.depth), &lane->cq);
	}
	if (!error && options->work.shared_receives && !options->work.xrc)
		error = srq_create(lane, endpoint, options->work.depth);
	if (!error)
		error = qp_create(lane, endpoint, options);
	if (!error)
		error = qp_to_init(lane->qp);
	if (!error && options->work.xrc)
		error = xrc_half_create(&lane->xrc, endpoint, lane->cq, options->work.depth);
	if (lane->xrc.srq)
		lane->srq = lane->xrc.srq;
	if (!error && lane->xrc.target)
		error = qp_to_init(lane->xrc.target);
	if (!error)
		error = send_queue_init(&lane->queue, options->work.depth);
	if (!error)
		error = receive_book_init(&lane->receives, options->work.depth);
	lane->message_window = options->work.is_paced ? options->work.depth : lane->layout.window;
	lane->workload.seed = seed;
	lane->workload.limits = (struct workload_limits){
	        .length_max = options->work.length_max,
	        .inline_max = lane->inline_max,
	        .sges_max = WORK_SGES,
	        .pattern_length = LANE_PATTERN,
	        .signal_every = options->work.signal_every,
	        .has_atomics =
	                does_atomics(options) && endpoint->device.atomic_cap != IBV_ATOMIC_NONE,
	};
	return error;
}

void lane_destroy(struct lane *lane)
{
	if (lane->qp)
		ibv_destroy_qp(lane->qp);
	if (lane->srq && !lane->xrc.srq)
		ibv_destroy_srq(lane->srq);
	xrc_half_destroy(&lane->xrc);
	if (lane->owns_cq && lane->cq)
		ibv_destroy_cq(lane->cq);
	if (lane->mr)
		ibv_dereg_mr(lane->mr);
	free(lane->memory);
	send_queue_finish(&lane->queue);
	receive_book_finish(&lane->receives);
}

static int qp_to_rtr(
        const struct lane *lane, struct ibv_qp *qp, uint32_t to, const struct endpoint *endpoint)
{
	struct ibv_qp_attr attr = {
	        .qp_state = IBV_QPS_RTR,
	        .path_mtu = endpoint->mtu,
	        .dest_qp_num = to,
	        .rq_psn = lane->peer.psn,
	        .max_dest_rd_atomic = (uint8_t)endpoint->rd_atomic,
	        .min_rnr_timer = RNR_TIMER_640_US,
	        .ah_attr = {.dlid = lane->peer.lid, .port_num = DEVICE_PORT},
	};
	int error;

	if (endpoint->uses_grh) {
		attr.ah_attr.is_global = 1;
		attr.ah_attr.grh.dgid = lane->peer.gid;
		attr.ah_attr.grh.sgid_index = (uint8_t)endpoint->gid_index;
		attr.ah_attr.grh.hop_limit = 64;
	}
	error = ibv_modify_qp(qp, &attr,
	        IBV_QP_STATE | IBV_QP_AV | IBV_QP_PATH_MTU | IBV_QP_DEST_QPN | IBV_QP_RQ_PSN |
	                IBV_QP_MAX_DEST_RD_ATOMIC | IBV_QP_MIN_RNR_TIMER);
	return error ? failed("ibv_modify_qp to RTR", error) : 0;
}

static int qp_to_rts(const struct lane *lane, struct ibv_qp *qp, const struct endpoint *endpoint,
        uint8_t ack_timeout)
{
	struct ibv_qp_attr attr = {
	        .qp_state = IBV_QPS_RTS,
	        .sq_psn = lane->psn,
	        .max_rd_atomic = (uint8_t)endpoint->rd_atomic,
	        .timeout = ack_timeout,
	        .retry_cnt = RETRIES,
	        .rnr_retry = RNR_FOR_EVER,
	};
	int error = ibv_modify_qp(qp, &attr,
	        IBV_QP_STATE | IBV_QP_TIMEOUT | IBV_QP_RETRY_CNT | IBV_QP_RNR_RETRY |
	                IBV_QP_SQ_PSN | IBV_QP_MAX_QP_RD_ATOMIC);
	return error ? failed("ibv_modify_qp to RTS", error) : 0;
}

/* The sender's other end: the QP itself, or the target in its place. */
static uint32_t partner_of(const struct lane *lane)
{
	return lane->xrc.target ? lane->xrc.peer_qpn : lane->peer.qpn;
}

int lane_connect(struct lane *lane, struct endpoint *endpoint, uint8_t ack_timeout)
{
	struct ibv_qp *target = lane->xrc.target;
	int error = target ? qp_to_rtr(lane, target, lane->peer.qpn, endpoint) : 0;

	if (!error && target)
		error = qp_to_rts(lane, target, endpoint, ack_timeout);
	if (!error)
		error = qp_to_rtr(lane, lane->qp, partner_of(lane), endpoint);
	return error ? error : qp_to_rts(lane, lane->qp, endpoint, ack_timeout);
}

void lane_describe(
        const struct lane *lane, const struct endpoint *endpoint, char *line, size_t size)
{
	const uint8_t *gid = endpoint->at_start.gid.raw;
	char hex[33];

	for (int i = 0; i < 16; i++)
		snprintf(hex + 2 * i, 3, "%02x", gid[i]);
	snprintf(line, size, "lane %u %u %s %u %u %u %" PRIu64 " %u %" PRIu64 " %u %u", lane->index,
	        endpoint->at_start.lid, hex, lane->qp->qp_num, lane->psn, lane->mr->rkey,
	        (uint64_t)(uintptr_t)lane->memory, endpoint->counters_mr->rkey,
	        (uint64_t)(uintptr_t)endpoint->counters, lane->xrc.qpn_at_start,
	        lane->xrc.srqn_at_start);
}

int lane_peer_read(struct lane *lane, const char *line)
{
	struct lane_peer *peer = &lane->peer;
	unsigned index, byte;
	char hex[33];

	if (sscanf(line, "lane %u %hu %32s %u %u %u %" SCNu64 " %u %" SCNu64 " %u %u", &index,
	            &peer->lid, hex, &peer->qpn, &peer->psn, &peer->rkey, &peer->memory,
	            &peer->counters_rkey, &peer->counters, &lane->xrc.peer_qpn,
	            &lane->xrc.peer_srqn) != 11 ||
	        index != lane->index)
		return -EPROTO;
	for (int i = 0; i < 16; i++) {
		if (sscanf(hex + 2 * i, "%2x", &byte) != 1)
			return -EPROTO;
		peer->gid.raw[i] = (uint8_t)byte;
	}
	return 0;
}

bool lane_unchanged(struct lane *lane)
{
	struct ibv_qp_init_attr init;
	struct ibv_qp_attr attr;

	if (lane->qp->qp_num != lane->qpn_at_start ||
	        (lane->xrc.target && !xrc_half_unchanged(&lane->xrc)))
		return false;
	if (ibv_query_qp(lane->qp, &attr, IBV_QP_STATE | IBV_QP_AV | IBV_QP_DEST_QPN, &init))
		return false;
	return attr.qp_state == IBV_QPS_RTS && attr.dest_qp_num == partner_of(lane) &&
	       attr.ah_attr.dlid == lane->peer.lid;
}
