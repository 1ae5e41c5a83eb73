/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "demo-apps/rc_verify/completions.h"

#include <errno.h>

struct ibv_cq *completions_create(struct ibv_context *context, int entries, bool extended)
{
	struct ibv_cq_init_attr_ex attr = {
	        .cqe = (uint32_t)entries, .wc_flags = IBV_WC_STANDARD_FLAGS};
	struct ibv_cq_ex *cq;

	if (!extended)
		return ibv_create_cq(context, entries, NULL, NULL, 0);
	cq = ibv_create_cq_ex(context, &attr);
	return cq ? ibv_cq_ex_to_cq(cq) : NULL;
}

static struct ibv_wc completion_read(struct ibv_cq_ex *cq)
{
	struct ibv_wc wc = {.wr_id = cq->wr_id,
	        .status = cq->status,
	        .vendor_err = ibv_wc_read_vendor_err(cq),
	        .qp_num = ibv_wc_read_qp_num(cq)};

	/* Nothing else is promised of one that failed. */
	if (wc.status != IBV_WC_SUCCESS)
		return wc;
	wc.opcode = ibv_wc_read_opcode(cq);
	wc.byte_len = ibv_wc_read_byte_len(cq);
	wc.wc_flags = ibv_wc_read_wc_flags(cq);
	if (wc.wc_flags & IBV_WC_WITH_IMM)
		wc.imm_data = ibv_wc_read_imm_data(cq);
	return wc;
}

static int take_extended(struct ibv_cq_ex *cq, int count, struct ibv_wc *wc)
{
	struct ibv_poll_cq_attr attr = {0};
	int taken = 0, error = ibv_start_poll(cq, &attr);

	if (error)
		return error == ENOENT ? 0 : -error;
	do {
		wc[taken++] = completion_read(cq);
		error = taken < count ? ibv_next_poll(cq) : ENOENT;
	} while (!error);
	ibv_end_poll(cq);
	return error == ENOENT ? taken : -error;
}

int completions_take(struct ibv_cq *cq, int count, struct ibv_wc *wc, bool extended)
{
	return extended ? take_extended((struct ibv_cq_ex *)cq, count, wc)
	                : ibv_poll_cq(cq, count, wc);
}
