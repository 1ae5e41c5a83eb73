/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "demo-apps/window_verify/lane.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum { RECEIVE_TAG = 1 << 16 };

static struct ibv_sge sge_of(const struct lane *lane, const void *at, uint32_t length)
{
	return (struct ibv_sge){(uintptr_t)at, length, lane->mr->lkey};
}

void lane_note(struct lane *lane, const char *what, int err)
{
	if (!err)
		return;
	fprintf(stderr, "window-verify: lane %u: %s: error %d\n", lane->number, what, err);
	lane->verdict.errors++;
}

/* ---- posting, both ways ---- */

static void post(struct lane *lane, struct ibv_send_wr *wr, const char *what)
{
	struct ibv_send_wr *bad;

	lane_note(lane, what, ibv_post_send(lane->qp, wr, &bad));
}

static struct ibv_qp_ex *build(struct lane *lane, uint64_t wr_id, unsigned flags)
{
	struct ibv_qp_ex *qpx = ibv_qp_to_qp_ex(lane->qp);

	ibv_wr_start(qpx);
	qpx->wr_id = wr_id;
	qpx->wr_flags = flags;
	return qpx;
}

void lane_send(struct lane *lane, const struct message *message, uint32_t invalidates)
{
	struct message *slot = &lane->memory->sent[lane->messages_sent++ % MESSAGES];
	struct ibv_sge sge = sge_of(lane, slot, sizeof(*slot));
	struct ibv_send_wr wr = {.wr_id = WR_SEND,
	        .sg_list = &sge,
	        .num_sge = 1,
	        .opcode = invalidates ? IBV_WR_SEND_WITH_INV : IBV_WR_SEND,
	        .send_flags = IBV_SEND_SIGNALED,
	        .invalidate_rkey = invalidates};

	*slot = *message;
	lane->sends_open++;
	if (lane->builds) {
		struct ibv_qp_ex *qpx = build(lane, WR_SEND, IBV_SEND_SIGNALED);

		if (invalidates)
			ibv_wr_send_inv(qpx, invalidates);
		else
			ibv_wr_send(qpx);
		ibv_wr_set_sge(qpx, sge.lkey, sge.addr, sge.length);
		lane_note(lane, "a SEND", ibv_wr_complete(qpx));
	} else {
		post(lane, &wr, "a SEND");
	}
}

void lane_bind(struct lane *lane, uint32_t rkey, const struct ibv_mw_bind_info *info, bool signals)
{
	const unsigned flags = signals ? IBV_SEND_SIGNALED : 0;
	struct ibv_send_wr wr = {.wr_id = WR_BIND,
	        .opcode = IBV_WR_BIND_MW,
	        .send_flags = flags,
	        .bind_mw = {lane->mws[0], rkey, *info}};

	if (lane->builds) {
		struct ibv_qp_ex *qpx = build(lane, WR_BIND, flags);

		ibv_wr_bind_mw(qpx, lane->mws[0], rkey, info);
		lane_note(lane, "a bind", ibv_wr_complete(qpx));
	} else {
		post(lane, &wr, "a bind");
	}
	/* Of type 2 this is the program's to do: the next bind says by it which window it means. */
	lane->mws[0]->rkey = rkey;
}

void lane_invalidate(struct lane *lane, uint32_t rkey, bool signals)
{
	const unsigned flags = signals ? IBV_SEND_SIGNALED : 0;
	struct ibv_send_wr wr = {.wr_id = WR_INVALIDATE,
	        .opcode = IBV_WR_LOCAL_INV,
	        .send_flags = flags,
	        .invalidate_rkey = rkey};

	if (lane->builds) {
		struct ibv_qp_ex *qpx = build(lane, WR_INVALIDATE, flags);

		ibv_wr_local_inv(qpx, rkey);
		lane_note(lane, "an invalidation", ibv_wr_complete(qpx));
	} else {
		post(lane, &wr, "an invalidation");
	}
}

void lane_transfer(struct lane *lane, enum ibv_wr_opcode opcode, const struct part *part,
        const void *at, bool signals)
{
	struct ibv_sge sge = sge_of(lane, at, part->length);
	struct ibv_send_wr wr = {.wr_id = signals ? WR_READ : WR_OTHER,
	        .sg_list = &sge,
	        .num_sge = 1,
	        .opcode = opcode,
	        .send_flags = signals ? IBV_SEND_SIGNALED : 0,
	        .wr.rdma = {part->addr, part->rkey}};

	if (lane->builds) {
		struct ibv_qp_ex *qpx = build(lane, wr.wr_id, wr.send_flags);

		if (opcode == IBV_WR_RDMA_READ)
			ibv_wr_rdma_read(qpx, part->rkey, part->addr);
		else
			ibv_wr_rdma_write(qpx, part->rkey, part->addr);
		ibv_wr_set_sge(qpx, sge.lkey, sge.addr, sge.length);
		lane_note(lane, "a WRITE or READ", ibv_wr_complete(qpx));
	} else {
		post(lane, &wr, "a WRITE or READ");
	}
}

static void receive(struct lane *lane, uint32_t slot)
{
	struct ibv_sge sge = sge_of(lane, &lane->memory->received[slot], sizeof(struct message));
	struct ibv_recv_wr *bad, wr = {.wr_id = RECEIVE_TAG + slot, .sg_list = &sge, .num_sge = 1};

	lane_note(lane, "a RECV", ibv_post_recv(lane->qp, &wr, &bad));
}

/* ---- objects ---- */

static int open_windows(struct lane *lane)
{
	lane->mws[0] = ibv_alloc_mw(lane->pd, IBV_MW_TYPE_2);
	lane->mws[1] = lane->mws[0] ? ibv_alloc_mw(lane->pd, IBV_MW_TYPE_1) : NULL;
	if (!lane->mws[1])
		return -errno;
	return 0;
}

int lane_open(struct lane *lane, struct ibv_context *context, struct ibv_pd *pd, struct ibv_cq *cq)
{
	const int access = IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_MW_BIND;
	struct ibv_qp_init_attr_ex init = {
	        .send_cq = cq,
	        .recv_cq = cq,
	        .cap = {.max_send_wr = SEND_DEPTH,
	                .max_recv_wr = MESSAGES,
	                .max_send_sge = 1,
	                .max_recv_sge = 1},
	        .qp_type = IBV_QPT_RC,
	        .comp_mask = IBV_QP_INIT_ATTR_PD | IBV_QP_INIT_ATTR_SEND_OPS_FLAGS,
	        .pd = pd,
	        .send_ops_flags = IBV_QP_EX_WITH_SEND | IBV_QP_EX_WITH_SEND_WITH_INV |
	                          IBV_QP_EX_WITH_RDMA_WRITE | IBV_QP_EX_WITH_RDMA_READ |
	                          IBV_QP_EX_WITH_BIND_MW | IBV_QP_EX_WITH_LOCAL_INV,
	};
	/* guest.c counts from where a half begins. */
	const size_t size = (sizeof(*lane->memory) + LANE_BYTES - 1) / LANE_BYTES * LANE_BYTES;

	lane->pd = pd;
	lane->cq = cq;
	lane->memory = aligned_alloc(LANE_BYTES, size);
	if (!lane->memory)
		return -ENOMEM;
	*lane->memory = (struct memory){0};
	lane->mr = ibv_reg_mr(pd, lane->memory, sizeof(*lane->memory), access);
	if (!lane->mr)
		return -errno;
	lane->qp = lane->builds ? ibv_create_qp_ex(context, &init)
	                        : ibv_create_qp(pd, (struct ibv_qp_init_attr *)&init);
	return lane->qp ? open_windows(lane) : -errno;
}

void lane_close(struct lane *lane)
{
	for (int i = 0; i < 2; i++) {
		if (lane->mws[i])
			lane_note(lane, "freeing a window", ibv_dealloc_mw(lane->mws[i]));
	}
	if (lane->qp)
		lane_note(lane, "destroying", ibv_destroy_qp(lane->qp));
	if (lane->mr)
		lane_note(lane, "deregistering", ibv_dereg_mr(lane->mr));
	free(lane->memory);
}

int lane_connect(
        struct lane *lane, const struct port_address *other, int gid_index, uint32_t remote_qpn)
{
	struct ibv_qp_attr attr = {
	        .qp_state = IBV_QPS_INIT,
	        .port_num = 1,
	        .qp_access_flags = IBV_ACCESS_REMOTE_WRITE | IBV_ACCESS_REMOTE_READ,
	        .path_mtu = IBV_MTU_1024,
	        .dest_qp_num = remote_qpn,
	        .ah_attr = {.dlid = other->lid, .port_num = 1},
	        .max_dest_rd_atomic = 4,
	        .max_rd_atomic = 4,
	        .min_rnr_timer = 12,
	        .timeout = 17,
	        .retry_cnt = 7,
	        .rnr_retry = 7,
	};
	int err;

	if (gid_index >= 0) {
		attr.ah_attr.is_global = 1;
		attr.ah_attr.grh = (struct ibv_global_route){
		        .dgid = other->gid, .sgid_index = (uint8_t)gid_index, .hop_limit = 64};
	}
	err = ibv_modify_qp(lane->qp, &attr,
	        IBV_QP_STATE | IBV_QP_PKEY_INDEX | IBV_QP_PORT | IBV_QP_ACCESS_FLAGS);

	for (uint32_t slot = 0; slot < MESSAGES; slot++)
		receive(lane, slot);
	attr.qp_state = IBV_QPS_RTR;
	if (!err)
		err = ibv_modify_qp(lane->qp, &attr,
		        IBV_QP_STATE | IBV_QP_AV | IBV_QP_PATH_MTU | IBV_QP_DEST_QPN |
		                IBV_QP_RQ_PSN | IBV_QP_MAX_DEST_RD_ATOMIC | IBV_QP_MIN_RNR_TIMER);
	attr.qp_state = IBV_QPS_RTS;
	if (!err)
		err = ibv_modify_qp(lane->qp, &attr,
		        IBV_QP_STATE | IBV_QP_SQ_PSN | IBV_QP_TIMEOUT | IBV_QP_RETRY_CNT |
		                IBV_QP_RNR_RETRY | IBV_QP_MAX_QP_RD_ATOMIC);
	return -err;
}

/* ---- a lane's life ---- */

void lane_begin(struct lane *lane)
{
	owner_offers(lane);
}

static void take_message(struct lane *lane, const struct ibv_wc *wc)
{
	uint32_t slot = (uint32_t)wc->wr_id - RECEIVE_TAG;
	struct message message = lane->memory->received[slot];

	receive(lane, slot);
	switch (message.kind) {
	case MESSAGE_OFFER:
		lane->asked = message;
		lane->guest_is_due = true;
		break;
	case MESSAGE_DONE:
		owner_takes_done(lane, &message, wc);
		break;
	case MESSAGE_END:
		lane->other_end = true;
		break;
	default:
		lane_note(lane, "a message of no kind", (int)message.kind);
	}
}

static bool opcode_is_right(const struct ibv_wc *wc)
{
	return (wc->wr_id == WR_BIND && wc->opcode == IBV_WC_BIND_MW) ||
	       (wc->wr_id == WR_INVALIDATE && wc->opcode == IBV_WC_LOCAL_INV) ||
	       (wc->wr_id == WR_READ && wc->opcode == IBV_WC_RDMA_READ) ||
	       (wc->wr_id == WR_SEND && wc->opcode == IBV_WC_SEND);
}

static void go_on(struct lane *lane)
{
	if (lane->guest_is_due && !lane->sends_open) {
		lane->guest_is_due = false;
		guest_goes_on(lane);
	}
	if (lane->owner_is_due && !lane->sends_open) {
		lane->owner_is_due = false;
		owner_goes_on(lane);
	}
}

static void take_send(struct lane *lane, const struct ibv_wc *wc)
{
	if (!opcode_is_right(wc))
		lane_note(lane, "a completion of another kind, or of what asked for none",
		        (int)wc->wr_id);
	if (wc->wr_id == WR_SEND)
		lane->sends_open--;
	if (wc->wr_id == WR_READ)
		guest_has_read(lane);
}

void lane_take(struct lane *lane, const struct ibv_wc *wc)
{
	if (wc->status != IBV_WC_SUCCESS) {
		lane_note(lane, ibv_wc_status_str(wc->status), (int)wc->wr_id);
		return;
	}
	if (wc->wr_id >= RECEIVE_TAG)
		take_message(lane, wc);
	else
		take_send(lane, wc);
	go_on(lane);
}

bool lane_is_over(const struct lane *lane)
{
	return lane->own_end && lane->other_end;
}
