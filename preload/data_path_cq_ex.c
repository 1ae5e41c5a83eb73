/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * ibv_cq_ex over ibv_poll_cq: each completion is taken when the application steps to it, the way
 * that all others go, and lies in the queue while it is read. So there is one filter, and nothing
 * is in hand that a destroyed queue pair's purge would have to find.
 *
 * Between ibv_start_poll and ibv_end_poll the application has the poll gate for as long as it
 * likes. No step and no control verb takes it; the queue's own gate is entered for one step only.
 */
#include "preload/data_path_cq_ex.h"

#include <errno.h>

#include "preload/data_path.h"

/* What a real ibv_wc says. The rest is of one device's clock, or of what is not offered. */
static const uint64_t readable = IBV_WC_EX_WITH_BYTE_LEN | IBV_WC_EX_WITH_IMM |
                                 IBV_WC_EX_WITH_QP_NUM | IBV_WC_EX_WITH_SRC_QP |
                                 IBV_WC_EX_WITH_SLID | IBV_WC_EX_WITH_SL |
                                 IBV_WC_EX_WITH_DLID_PATH_BITS;

static struct completion_queue *of(struct ibv_cq_ex *shown)
{
	return container_of(shown, struct completion_queue, shown_ex);
}

/* 0, ENOENT if there is none, or another errno. */
static int step(struct completion_queue *cq)
{
	int got = data_path_poll_cq(&cq->shown, 1, &cq->polled);

	if (got < 1)
		return got ? EIO : ENOENT;
	cq->shown_ex.status = cq->polled.status;
	cq->shown_ex.wr_id = cq->polled.wr_id;
	return 0;
}

static int start_poll(struct ibv_cq_ex *shown, struct ibv_poll_cq_attr *attr)
{
	struct completion_queue *cq = of(shown);
	enum gate_pass pass;
	int err;

	if (attr->comp_mask)
		return EINVAL;
	pass = gate_enter(&cq->poll_gate);
	err = step(cq);
	/* Then there is no ibv_end_poll. */
	if (err)
		gate_leave(&cq->poll_gate, pass);
	else
		cq->poll_pass = pass;
	return err;
}

static int next_poll(struct ibv_cq_ex *shown)
{
	return step(of(shown));
}

static void end_poll(struct ibv_cq_ex *shown)
{
	struct completion_queue *cq = of(shown);

	gate_leave(&cq->poll_gate, cq->poll_pass);
}

/* ---- readers ---- */

#define READS(ret, what, value)                                                                    \
	static ret read_##what(struct ibv_cq_ex *shown)                                            \
	{                                                                                          \
		return value;                                                                      \
	}

READS(enum ibv_wc_opcode, opcode, of(shown)->polled.opcode)
READS(uint32_t, vendor_err, of(shown)->polled.vendor_err)
READS(uint32_t, byte_len, of(shown)->polled.byte_len)
READS(__be32, imm_data, of(shown)->polled.imm_data)
READS(uint32_t, qp_num, of(shown)->polled.qp_num)
READS(uint32_t, src_qp, of(shown)->polled.src_qp)
READS(unsigned, wc_flags, of(shown)->polled.wc_flags)
READS(uint32_t, slid, of(shown)->polled.slid)
READS(uint8_t, sl, of(shown)->polled.sl)
READS(uint8_t, dlid_path_bits, of(shown)->polled.dlid_path_bits)
/* Nobody could ask for these; who reads them all the same reads nothing rather than jumps to it. */
READS(uint64_t, completion_ts, 0)
READS(uint64_t, completion_wallclock_ns, 0)
READS(uint16_t, cvlan, 0)
READS(uint32_t, flow_tag, 0)

static void read_tm_info(struct ibv_cq_ex *shown, struct ibv_wc_tm_info *info)
{
	*info = (struct ibv_wc_tm_info){0};
}

static void show_readers(struct ibv_cq_ex *shown)
{
#define READER(class, slot, function, remark, test) shown->slot = function;
#include "preload/inline_operations.def"
}

/* ---- making ---- */

static bool can_be_made(const struct ibv_cq_init_attr_ex *attr)
{
	/* That only one thread polls is a hint: here it costs nothing to be ready for two. */
	const uint32_t flags = IBV_CREATE_CQ_ATTR_SINGLE_THREADED;

	if (attr->comp_mask & ~(uint32_t)IBV_CQ_INIT_ATTR_MASK_FLAGS || attr->wc_flags & ~readable)
		return false;
	return !(attr->comp_mask & IBV_CQ_INIT_ATTR_MASK_FLAGS) || !(attr->flags & ~flags);
}

struct ibv_cq_ex *data_path_cq_ex_create(
        struct ibv_context *context, struct ibv_cq_init_attr_ex *attr)
{
	struct ibv_cq_ex *shown;
	struct ibv_cq *made;

	if (!can_be_made(attr)) {
		errno = EOPNOTSUPP;
		return NULL;
	}
	if (attr->cqe > INT32_MAX) {
		errno = EINVAL;
		return NULL;
	}
	made = ibv_create_cq(
	        context, (int)attr->cqe, attr->cq_context, attr->channel, (int)attr->comp_vector);
	if (!made)
		return NULL;
	shown = &completion_queue_of(made)->shown_ex;
	show_readers(shown);
	return shown;
}
