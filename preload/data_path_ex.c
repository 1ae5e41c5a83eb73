/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * ibv_qp_ex: the builders write straight into the slots of the send log, which ibv_wr_complete then
 * posts as ibv_post_send does. One way in, so one argument for what is replayed; whether the
 * provider has ibv_wr_* of its own does not matter. The slots ahead of the log's head are the
 * builder's alone; only the post itself is inside the send gate, which a migration closes.
 */
#include <errno.h>
#include <string.h>

#include "preload/data_path.h"
#include "preload/queue_pair.h"
#include "preload/window_work.h"
#include "preload/xrc.h"

static struct queue_pair *of(struct ibv_qp_ex *qpx)
{
	return container_of(qpx, struct queue_pair, shown);
}

static void wr_start(struct ibv_qp_ex *qpx)
{
	struct queue_pair *qp = of(qpx);

	qp->ex_pass = gate_enter(&qp->build_gate);
	qp->ex_count = 0;
	qp->ex_slot = NULL;
	qp->ex_error = 0;
}

static struct send_slot *begin(struct queue_pair *qp, enum ibv_wr_opcode opcode)
{
	struct send_slot *slot = send_log_begin(&qp->sends, qp->ex_count);

	qp->ex_slot = slot;
	if (!slot) {
		qp->ex_error = ENOMEM;
		return NULL;
	}
	slot->wr_id = qp->shown.wr_id;
	slot->opcode = (uint8_t)opcode;
	slot->flags =
	        (uint8_t)(qp->shown.wr_flags & ~(unsigned)IBV_SEND_INLINE) | qp->sends.flags_always;
	slot->imm_data = 0;
	slot->remote_addr = 0;
	slot->rkey = 0;
	slot->remote_srqn = 0;
	qp->ex_count++;
	return slot;
}

static void begin_remote(struct ibv_qp_ex *qpx, enum ibv_wr_opcode opcode, uint32_t rkey,
        uint64_t remote_addr, uint32_t imm_data)
{
	struct send_slot *slot = begin(of(qpx), opcode);

	if (!slot)
		return;
	slot->rkey = rkey;
	slot->remote_addr = remote_addr;
	slot->imm_data = imm_data;
}

static void begin_atomic(struct ibv_qp_ex *qpx, enum ibv_wr_opcode opcode, uint32_t rkey,
        uint64_t remote_addr, uint64_t compare_add, uint64_t swap)
{
	struct queue_pair *qp = of(qpx);
	union send_operands *operands;

	begin_remote(qpx, opcode, rkey, remote_addr, 0);
	if (!qp->ex_slot)
		return;
	operands = send_log_operands(&qp->sends, qp->ex_slot);
	operands->atomic.compare_add = compare_add;
	operands->atomic.swap = swap;
}

static void wr_atomic_cmp_swp(
        struct ibv_qp_ex *qpx, uint32_t rkey, uint64_t remote_addr, uint64_t compare, uint64_t swap)
{
	begin_atomic(qpx, IBV_WR_ATOMIC_CMP_AND_SWP, rkey, remote_addr, compare, swap);
}

static void wr_atomic_fetch_add(
        struct ibv_qp_ex *qpx, uint32_t rkey, uint64_t remote_addr, uint64_t add)
{
	begin_atomic(qpx, IBV_WR_ATOMIC_FETCH_AND_ADD, rkey, remote_addr, add, 0);
}

static void wr_rdma_read(struct ibv_qp_ex *qpx, uint32_t rkey, uint64_t remote_addr)
{
	begin_remote(qpx, IBV_WR_RDMA_READ, rkey, remote_addr, 0);
}

static void wr_rdma_write(struct ibv_qp_ex *qpx, uint32_t rkey, uint64_t remote_addr)
{
	begin_remote(qpx, IBV_WR_RDMA_WRITE, rkey, remote_addr, 0);
}

static void wr_rdma_write_imm(
        struct ibv_qp_ex *qpx, uint32_t rkey, uint64_t remote_addr, __be32 imm_data)
{
	begin_remote(qpx, IBV_WR_RDMA_WRITE_WITH_IMM, rkey, remote_addr, imm_data);
}

static void wr_send(struct ibv_qp_ex *qpx)
{
	begin_remote(qpx, IBV_WR_SEND, 0, 0, 0);
}

static void wr_send_imm(struct ibv_qp_ex *qpx, __be32 imm_data)
{
	begin_remote(qpx, IBV_WR_SEND_WITH_IMM, 0, 0, imm_data);
}

static void wr_send_inv(struct ibv_qp_ex *qpx, uint32_t rkey)
{
	begin_remote(qpx, IBV_WR_SEND_WITH_INV, 0, 0, rkey);
}

static void note(struct queue_pair *qp, int err)
{
	if (err && qp->ex_error <= 0)
		qp->ex_error = -err;
}

/* From here on ibv_wr_complete has to look what it posts. */
static struct send_slot *begin_local(struct queue_pair *qp, enum ibv_wr_opcode opcode)
{
	struct send_slot *slot = begin(qp, opcode);

	if (slot && !qp->ex_error)
		qp->ex_error = EX_HAS_LOCAL_WORK;
	return slot;
}

static void wr_bind_mw(struct ibv_qp_ex *qpx, struct ibv_mw *mw, uint32_t rkey,
        const struct ibv_mw_bind_info *info)
{
	struct queue_pair *qp = of(qpx);
	struct send_slot *slot = begin_local(qp, IBV_WR_BIND_MW);

	if (slot)
		note(qp, mw->type == IBV_MW_TYPE_2 ? window_work_fill_bind(qp, slot, mw, rkey, info)
		                                   : -EINVAL);
}

static void wr_local_inv(struct ibv_qp_ex *qpx, uint32_t rkey)
{
	struct queue_pair *qp = of(qpx);
	struct send_slot *slot = begin_local(qp, IBV_WR_LOCAL_INV);

	if (slot)
		window_work_fill_invalidate(slot, rkey);
}

/* ibv_create_qp_ex refuses the flags for these; who calls them all the same gets it from complete.
 */
static void refuse(struct ibv_qp_ex *qpx)
{
	struct queue_pair *qp = of(qpx);

	qp->ex_error = EOPNOTSUPP;
	qp->ex_slot = NULL;
}

static void wr_send_tso(struct ibv_qp_ex *qpx, void *header, uint16_t length, uint16_t mss)
{
	refuse(qpx);
}

static void wr_atomic_write(
        struct ibv_qp_ex *qpx, uint32_t rkey, uint64_t remote_addr, const void *value)
{
	refuse(qpx);
}

/* ---- setters ---- */

static void wr_set_xrc_srqn(struct ibv_qp_ex *qpx, uint32_t srqn)
{
	struct queue_pair *qp = of(qpx);

	if (qp->ex_slot)
		qp->ex_slot->remote_srqn = srqn;
}

static void wr_set_ud_addr(
        struct ibv_qp_ex *qpx, struct ibv_ah *ah, uint32_t remote_qpn, uint32_t remote_qkey)
{
	struct queue_pair *qp = of(qpx);
	union send_operands *operands;

	if (!qp->ex_slot)
		return;
	operands = send_log_operands(&qp->sends, qp->ex_slot);
	operands->ud.ah = ah;
	operands->ud.remote_qpn = remote_qpn;
	operands->ud.remote_qkey = remote_qkey;
}

static void wr_set_inline_data_list(
        struct ibv_qp_ex *qpx, size_t count, const struct ibv_data_buf *buffers)
{
	struct queue_pair *qp = of(qpx);

	if (qp->ex_slot)
		note(qp, send_log_set_inline(&qp->sends, qp->ex_slot, buffers, count));
}

static void wr_set_inline_data(struct ibv_qp_ex *qpx, void *addr, size_t length)
{
	struct ibv_data_buf buffer = {addr, length};

	wr_set_inline_data_list(qpx, 1, &buffer);
}

static void wr_set_sge_list(struct ibv_qp_ex *qpx, size_t count, const struct ibv_sge *sges)
{
	struct queue_pair *qp = of(qpx);

	if (!qp->ex_slot)
		return;
	if (count > UINT8_MAX)
		note(qp, -EINVAL);
	else
		note(qp, send_log_set_sges(&qp->sends, qp->ex_slot, sges, (uint32_t)count));
}

static void wr_set_sge(struct ibv_qp_ex *qpx, uint32_t lkey, uint64_t addr, uint32_t length)
{
	struct ibv_sge sge = {.addr = addr, .length = length, .lkey = lkey};

	wr_set_sge_list(qpx, 1, &sge);
}

/* ---- the end ---- */

typedef int post_filled_fn(struct queue_pair *qp, uint32_t count, uint32_t *posted);

static inline int post_built(struct queue_pair *qp, post_filled_fn *post_filled)
{
	int err = 0;

	while (qp->ex_count && !err) {
		uint32_t count = qp->ex_count < POST_CHUNK ? qp->ex_count : POST_CHUNK, posted;

		err = post_filled(qp, count, &posted);
		qp->ex_count -= posted;
	}
	return err;
}

/*
 * All or nothing, but what the device has taken before it refused one cannot be taken back: work of
 * different kinds is given to it piece by piece, and the queue of one in ERR may be full of what it
 * flushed. Then it fails as an error of the work.
 */
static inline int complete_with(
        struct queue_pair *qp, post_filled_fn *post_filled, enum ibv_wc_status refused)
{
	enum gate_pass pass = gate_enter(&qp->send_gate);
	const uint32_t count = qp->ex_count;
	int err = post_built(qp, post_filled);
	bool in_part = err && qp->ex_count < count;

	if (in_part)
		window_work_keep(qp, qp->ex_count);
	gate_leave(&qp->send_gate, pass);
	if (in_part)
		window_work_refused(qp, refused);
	return in_part ? 0 : err;
}

/* Local work, or an error. */
static __attribute__((noinline, cold)) int complete_closely(struct queue_pair *qp)
{
	return qp->ex_error == EX_HAS_LOCAL_WORK
	               ? complete_with(qp, window_work_post_filled, IBV_WC_MW_BIND_ERR)
	               : qp->ex_error;
}

static int wr_complete(struct ibv_qp_ex *qpx)
{
	struct queue_pair *qp = of(qpx);
	int err = qp->ex_error;

	if (!err)
		err = complete_with(qp, queue_pair_post_filled, IBV_WC_WR_FLUSH_ERR);
	else
		err = complete_closely(qp);
	gate_leave(&qp->build_gate, qp->ex_pass);
	return err;
}

static void wr_abort(struct ibv_qp_ex *qpx)
{
	struct queue_pair *qp = of(qpx);

	gate_leave(&qp->build_gate, qp->ex_pass);
}

static void show_builders(struct queue_pair *qp)
{
	struct ibv_qp_ex *qpx = &qp->shown;

	qp->has_ex = true;
	qpx->comp_mask = 0;
#define BUILDER(class, slot, function, remark, test) qpx->slot = function;
#include "preload/inline_operations.def"
}

/* That they ask for nothing is all that these may say. */
static bool extras_are_empty(const struct ibv_qp_init_attr_ex *attr)
{
	return !(attr->comp_mask & IBV_QP_INIT_ATTR_CREATE_FLAGS && attr->create_flags) &&
	       !(attr->comp_mask & IBV_QP_INIT_ATTR_MAX_TSO_HEADER && attr->max_tso_header);
}

/* A target belongs to a domain of connections, all others to one of memory. */
static bool domain_is_ours(const struct ibv_qp_init_attr_ex *attr)
{
	if (attr->qp_type == IBV_QPT_XRC_RECV)
		return attr->comp_mask & IBV_QP_INIT_ATTR_XRCD && xrc_domain_of(attr->xrcd);
	return attr->comp_mask & IBV_QP_INIT_ATTR_PD && protection_domain_of(attr->pd) &&
	       !(attr->comp_mask & IBV_QP_INIT_ATTR_XRCD);
}

static bool can_be_made(const struct ibv_qp_init_attr_ex *attr)
{
	const uint32_t known = IBV_QP_INIT_ATTR_PD | IBV_QP_INIT_ATTR_XRCD |
	                       IBV_QP_INIT_ATTR_SEND_OPS_FLAGS | IBV_QP_INIT_ATTR_CREATE_FLAGS |
	                       IBV_QP_INIT_ATTR_MAX_TSO_HEADER;
	const uint64_t operations =
	        IBV_QP_EX_WITH_RDMA_WRITE | IBV_QP_EX_WITH_RDMA_WRITE_WITH_IMM |
	        IBV_QP_EX_WITH_SEND | IBV_QP_EX_WITH_SEND_WITH_IMM | IBV_QP_EX_WITH_RDMA_READ |
	        IBV_QP_EX_WITH_ATOMIC_CMP_AND_SWP | IBV_QP_EX_WITH_ATOMIC_FETCH_AND_ADD |
	        IBV_QP_EX_WITH_SEND_WITH_INV | IBV_QP_EX_WITH_LOCAL_INV | IBV_QP_EX_WITH_BIND_MW;

	if (attr->comp_mask & ~known || !extras_are_empty(attr) || !domain_is_ours(attr))
		return false;
	return !(attr->comp_mask & IBV_QP_INIT_ATTR_SEND_OPS_FLAGS) ||
	       !(attr->send_ops_flags & ~operations);
}

struct ibv_qp *data_path_ex_create_qp(struct ibv_context *shown, struct ibv_qp_init_attr_ex *attr)
{
	struct ibv_qp_init_attr plain;
	struct queue_pair *qp;

	if (!can_be_made(attr)) {
		errno = EOPNOTSUPP;
		return NULL;
	}
	memcpy(&plain, attr, sizeof(plain));
	if (attr->qp_type == IBV_QPT_XRC_RECV)
		qp = queue_pair_create(context_of(shown), NULL, xrc_domain_of(attr->xrcd), &plain);
	else
		qp = queue_pair_create(
		        context_of(shown), protection_domain_of(attr->pd), NULL, &plain);
	if (!qp)
		return NULL;
	attr->cap = plain.cap;
	if (attr->comp_mask & IBV_QP_INIT_ATTR_SEND_OPS_FLAGS)
		show_builders(qp);
	return &qp->shown.qp_base;
}
