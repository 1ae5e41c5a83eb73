/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * ibv_wr_*: requests are built in the send queue's free slots between wr_start and wr_complete,
 * which posts all of them or, after any error, none. The QP's sending lock is held in between.
 */
#include "simfabric/address_handle.h"
#include "simfabric/local_work.h"
#include "simfabric/verbs_face.h"

static struct face_qp *face_qp(struct ibv_qp_ex *qp)
{
	return (struct face_qp *)(void *)qp;
}

static void note(struct face_qp *qp, int err)
{
	if (err && !qp->building.err)
		qp->building.err = -err;
}

static void wr_start(struct ibv_qp_ex *public)
{
	struct face_qp *qp = face_qp(public);
	int err;

	pthread_mutex_lock(&qp->sending);
	qp->building.count = qp->building.room = 0;
	qp->building.work = NULL;
	err = face_lock(public->qp_base.context);
	if (!err) {
		err = -queue_pair_post_send(&qp->hca.engine, 0);
		qp->building.room = send_queue_room(&qp->hca.engine.requester.queue);
		hca_unlock();
	}
	qp->building.err = err;
}

static int wr_complete(struct ibv_qp_ex *public)
{
	struct face_qp *qp = face_qp(public);
	int err = qp->building.err;

	if (!err)
		err = face_lock(public->qp_base.context);
	if (!err) {
		err = -queue_pair_post_send(&qp->hca.engine, qp->building.count);
		if (!err)
			hca_transmit(&qp->hca);
		hca_unlock();
	}
	pthread_mutex_unlock(&qp->sending);
	return err;
}

static void wr_abort(struct ibv_qp_ex *public)
{
	pthread_mutex_unlock(&face_qp(public)->sending);
}

/* A new request; the setters that follow go on with it. NULL: an error is noted. */
static struct send_work *begin(struct ibv_qp_ex *public, enum ibv_wr_opcode opcode)
{
	struct face_qp *qp = face_qp(public);
	struct send_work *work;

	qp->building.work = NULL;
	if (qp->building.err)
		return NULL;
	if (qp->building.count == qp->building.room) {
		note(qp, -ENOMEM);
		return NULL;
	}
	work = send_queue_slot(&qp->hca.engine.requester.queue, qp->building.count++);
	work->opcode = (uint8_t)opcode;
	work->wr_id = public->wr_id;
	work->flags = public->wr_flags & ~(unsigned)IBV_SEND_INLINE;
	qp->building.work = work;
	return work;
}

static struct send_work *begin_remote(
        struct ibv_qp_ex *public, enum ibv_wr_opcode opcode, uint32_t rkey, uint64_t address)
{
	struct send_work *work = begin(public, opcode);

	if (work) {
		work->rkey = rkey;
		work->remote_address = address;
	}
	return work;
}

static void wr_send(struct ibv_qp_ex *public)
{
	begin(public, IBV_WR_SEND);
}

static void wr_send_imm(struct ibv_qp_ex *public, __be32 imm_data)
{
	struct send_work *work = begin(public, IBV_WR_SEND_WITH_IMM);

	if (work)
		work->imm_data = imm_data;
}

static void wr_rdma_write(struct ibv_qp_ex *public, uint32_t rkey, uint64_t address)
{
	begin_remote(public, IBV_WR_RDMA_WRITE, rkey, address);
}

static void wr_rdma_write_imm(
        struct ibv_qp_ex *public, uint32_t rkey, uint64_t address, __be32 imm_data)
{
	struct send_work *work = begin_remote(public, IBV_WR_RDMA_WRITE_WITH_IMM, rkey, address);

	if (work)
		work->imm_data = imm_data;
}

static void wr_rdma_read(struct ibv_qp_ex *public, uint32_t rkey, uint64_t address)
{
	begin_remote(public, IBV_WR_RDMA_READ, rkey, address);
}

static void wr_atomic_cmp_swp(
        struct ibv_qp_ex *public, uint32_t rkey, uint64_t address, uint64_t compare, uint64_t swap)
{
	struct send_work *work = begin_remote(public, IBV_WR_ATOMIC_CMP_AND_SWP, rkey, address);

	if (work) {
		work->compare_add = compare;
		work->swap = swap;
	}
}

static void wr_atomic_fetch_add(
        struct ibv_qp_ex *public, uint32_t rkey, uint64_t address, uint64_t add)
{
	struct send_work *work = begin_remote(public, IBV_WR_ATOMIC_FETCH_AND_ADD, rkey, address);

	if (work)
		work->compare_add = add;
}

static void wr_bind_mw(struct ibv_qp_ex *public, struct ibv_mw *mw, uint32_t rkey,
        const struct ibv_mw_bind_info *info)
{
	struct send_work *work = begin(public, IBV_WR_BIND_MW);

	if (work && mw->type != IBV_MW_TYPE_2)
		note(face_qp(public), -EINVAL);
	else if (work)
		local_work_set_bind(work, mw, rkey, info);
}

static void wr_invalidate(struct ibv_qp_ex *public, enum ibv_wr_opcode opcode, uint32_t rkey)
{
	struct send_work *work = begin(public, opcode);

	if (work)
		work->invalidate_rkey = rkey;
}

static void wr_local_inv(struct ibv_qp_ex *public, uint32_t rkey)
{
	wr_invalidate(public, IBV_WR_LOCAL_INV, rkey);
}

static void wr_send_inv(struct ibv_qp_ex *public, uint32_t rkey)
{
	wr_invalidate(public, IBV_WR_SEND_WITH_INV, rkey);
}

/* Makes wr_complete fail. */
static void refuse(struct ibv_qp_ex *public)
{
	face_qp(public)->building.work = NULL;
	note(face_qp(public), -EOPNOTSUPP);
}

/* ---- setters ---- */

static void wr_set_sge_list(struct ibv_qp_ex *public, size_t count, const struct ibv_sge *list)
{
	struct face_qp *qp = face_qp(public);

	if (qp->building.work)
		note(qp, send_work_set_buffers(
		                 &qp->hca.engine.requester.queue, qp->building.work, list, count));
}

static void wr_set_sge(struct ibv_qp_ex *public, uint32_t lkey, uint64_t addr, uint32_t length)
{
	struct ibv_sge sge = {.addr = addr, .length = length, .lkey = lkey};

	wr_set_sge_list(public, 1, &sge);
}

static void wr_set_inline_data_list(
        struct ibv_qp_ex *public, size_t count, const struct ibv_data_buf *list)
{
	struct face_qp *qp = face_qp(public);

	for (size_t i = 0; qp->building.work && i < count; i++)
		note(qp, send_work_add_inline(&qp->hca.engine.requester.queue, qp->building.work,
		                 list[i].addr, list[i].length));
}

static void wr_set_inline_data(struct ibv_qp_ex *public, void *addr, size_t length)
{
	struct ibv_data_buf data = {.addr = addr, .length = length};

	wr_set_inline_data_list(public, 1, &data);
}

static void wr_set_ud_addr(
        struct ibv_qp_ex *public, struct ibv_ah *ah, uint32_t remote_qpn, uint32_t remote_qkey)
{
	struct send_work *work = face_qp(public)->building.work;

	if (!work)
		return;
	work->datagram.path = *address_of(ah);
	work->datagram.qpn = remote_qpn;
	work->datagram.qkey = remote_qkey;
}

static void wr_set_xrc_srqn(struct ibv_qp_ex *public, uint32_t remote_srqn)
{
	struct face_qp *qp = face_qp(public);

	if (public->qp_base.qp_type != IBV_QPT_XRC_SEND)
		refuse(public);
	else if (qp->building.work)
		qp->building.work->remote_srqn = remote_srqn;
}

/* ---- what this HCA does not do: called all the same, it makes wr_complete fail ---- */

static void wr_send_tso(struct ibv_qp_ex *public, void *hdr, uint16_t hdr_sz, uint16_t mss)
{
	refuse(public);
}

static void wr_atomic_write(
        struct ibv_qp_ex *public, uint32_t rkey, uint64_t address, const void *data)
{
	refuse(public);
}

static uint64_t operations_of(enum ibv_qp_type type)
{
	const uint64_t sends = IBV_QP_EX_WITH_SEND | IBV_QP_EX_WITH_SEND_WITH_IMM;
	const uint64_t windows = IBV_QP_EX_WITH_BIND_MW | IBV_QP_EX_WITH_LOCAL_INV;
	const uint64_t writes = IBV_QP_EX_WITH_RDMA_WRITE | IBV_QP_EX_WITH_RDMA_WRITE_WITH_IMM;

	if (type == IBV_QPT_UD)
		return sends;
	if (type == IBV_QPT_UC)
		return sends | writes | windows;
	return sends | writes | windows | IBV_QP_EX_WITH_SEND_WITH_INV | IBV_QP_EX_WITH_RDMA_READ |
	       IBV_QP_EX_WITH_ATOMIC_CMP_AND_SWP | IBV_QP_EX_WITH_ATOMIC_FETCH_AND_ADD;
}

int face_fill_wr_operations(struct face_qp *qp, uint64_t send_ops_flags)
{
	const uint64_t known = operations_of(qp->init_attr.qp_type);
	struct ibv_qp_ex *ex = &qp->qp_ex;

	if (send_ops_flags & ~known)
		return EOPNOTSUPP;
	ex->wr_atomic_cmp_swp = wr_atomic_cmp_swp;
	ex->wr_atomic_fetch_add = wr_atomic_fetch_add;
	ex->wr_bind_mw = wr_bind_mw;
	ex->wr_local_inv = wr_local_inv;
	ex->wr_rdma_read = wr_rdma_read;
	ex->wr_rdma_write = wr_rdma_write;
	ex->wr_rdma_write_imm = wr_rdma_write_imm;
	ex->wr_send = wr_send;
	ex->wr_send_imm = wr_send_imm;
	ex->wr_send_inv = wr_send_inv;
	ex->wr_send_tso = wr_send_tso;
	ex->wr_set_ud_addr = wr_set_ud_addr;
	ex->wr_set_xrc_srqn = wr_set_xrc_srqn;
	ex->wr_set_inline_data = wr_set_inline_data;
	ex->wr_set_inline_data_list = wr_set_inline_data_list;
	ex->wr_set_sge = wr_set_sge;
	ex->wr_set_sge_list = wr_set_sge_list;
	ex->wr_start = wr_start;
	ex->wr_complete = wr_complete;
	ex->wr_abort = wr_abort;
	ex->wr_atomic_write = wr_atomic_write;
	qp->has_ex = true;
	return 0;
}
