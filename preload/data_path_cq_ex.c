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

#include "preload/completion_queue.h"
#include "preload/completion_stamps.h"
#include "preload/data_path.h"

/* What a real ibv_wc says, and when it was. The rest is of what is not offered. */
static const uint64_t readable = IBV_WC_EX_WITH_BYTE_LEN | IBV_WC_EX_WITH_IMM |
                                 IBV_WC_EX_WITH_QP_NUM | IBV_WC_EX_WITH_SRC_QP |
                                 IBV_WC_EX_WITH_SLID | IBV_WC_EX_WITH_SL |
                                 IBV_WC_EX_WITH_DLID_PATH_BITS | COMPLETION_STAMPS;

static struct completion_queue *of(struct ibv_cq_ex *shown)
{
	return container_of(shown, struct completion_queue, shown_ex);
}

static inline int show(struct completion_queue *cq, int got)
{
	if (got < 1)
		return got ? EIO : ENOENT;
	cq->shown_ex.status = cq->polled.status;
	cq->shown_ex.wr_id = cq->polled.wr_id;
	return 0;
}

/* 0, ENOENT if there is none, or another errno. */
static inline int step(struct completion_queue *cq)
{
	return show(cq, data_path_poll_cq(&cq->shown, 1, &cq->polled));
}

static inline int step_stamped(struct completion_queue *cq)
{
	return show(cq, data_path_poll_stamped(cq, &cq->polled, &cq->stamps->polled));
}

static inline int start(struct completion_queue *cq, const struct ibv_poll_cq_attr *attr,
        int (*first)(struct completion_queue *))
{
	enum gate_pass pass;
	int err;

	if (attr->comp_mask)
		return EINVAL;
	pass = gate_enter(&cq->poll_gate);
	err = first(cq);
	/* Then there is no ibv_end_poll. */
	if (err)
		gate_leave(&cq->poll_gate, pass);
	else
		cq->poll_pass = pass;
	return err;
}

static int start_poll(struct ibv_cq_ex *shown, struct ibv_poll_cq_attr *attr)
{
	return start(of(shown), attr, step);
}

static int next_poll(struct ibv_cq_ex *shown)
{
	return step(of(shown));
}

static int start_poll_stamped(struct ibv_cq_ex *shown, struct ibv_poll_cq_attr *attr)
{
	return start(of(shown), attr, step_stamped);
}

static int next_poll_stamped(struct ibv_cq_ex *shown)
{
	return step_stamped(of(shown));
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

static struct completion_stamp stamp_of(struct ibv_cq_ex *shown)
{
	const struct completion_queue *cq = of(shown);

	return cq->stamps ? cq->stamps->polled : (struct completion_stamp){0};
}

READS(uint64_t, completion_ts, stamp_of(shown).ticks)
READS(uint64_t, completion_wallclock_ns, stamp_of(shown).wall_ns)
/* Nobody could ask for these; who reads them all the same reads nothing rather than jumps to it. */
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
	if (of(shown)->stamps) {
		shown->start_poll = start_poll_stamped;
		shown->next_poll = next_poll_stamped;
	}
}

/* ---- making ---- */

/* What is made up is stamped, too: where the clock cannot be read there are no raw stamps. */
static bool has_clocks(const struct context *context, uint64_t wc_flags)
{
	return !(wc_flags & IBV_WC_EX_WITH_COMPLETION_TIMESTAMP) || context->clock.shown.mask;
}

static bool can_be_made(const struct context *context, const struct ibv_cq_init_attr_ex *attr)
{
	/* That only one thread polls is a hint: here it costs nothing to be ready for two. */
	const uint32_t flags = IBV_CREATE_CQ_ATTR_SINGLE_THREADED;

	if (attr->comp_mask & ~(uint32_t)IBV_CQ_INIT_ATTR_MASK_FLAGS || attr->wc_flags & ~readable)
		return false;
	if (!has_clocks(context, attr->wc_flags))
		return false;
	return !(attr->comp_mask & IBV_CQ_INIT_ATTR_MASK_FLAGS) || !(attr->flags & ~flags);
}

struct ibv_cq_ex *data_path_cq_ex_create(
        struct ibv_context *shown, struct ibv_cq_init_attr_ex *attr)
{
	struct context *context = context_of(shown);
	struct completion_queue *cq;

	if (!can_be_made(context, attr)) {
		errno = EOPNOTSUPP;
		return NULL;
	}
	cq = completion_queue_create(context, attr);
	if (!cq)
		return NULL;
	show_readers(&cq->shown_ex);
	return &cq->shown_ex;
}
