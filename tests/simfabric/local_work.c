/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "simfabric/local_work.h"

void local_work_set_bind(struct send_work *work, const struct ibv_mw *mw, uint32_t rkey,
        const struct ibv_mw_bind_info *info)
{
	work->opcode = IBV_WR_BIND_MW;
	work->bind = (struct window_bind){.window = mw->rkey,
	        .rkey = rkey,
	        .lkey = info->mr ? info->mr->lkey : 0,
	        .is_type_2 = mw->type == IBV_MW_TYPE_2,
	        .access = info->mw_access_flags,
	        .address = info->addr,
	        .length = info->length};
}

enum ibv_wc_status local_work_do(struct queue_pair *qp, const struct send_work *work)
{
	struct memory_keys *keys = qp->host->keys;
	bool is_done =
	        work->opcode == IBV_WR_BIND_MW
	                ? memory_window_bind(keys, qp->pd, &qp->windows, &work->bind)
	                : memory_window_invalidate(keys, &qp->windows, work->invalidate_rkey);

	return is_done ? IBV_WC_SUCCESS : IBV_WC_MW_BIND_ERR;
}
