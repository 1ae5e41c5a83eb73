/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Requests that no packet carries: binding a memory window and invalidating one. They are done when
 * their turn to be sent comes and completed in order with the others. Under the HCA's lock.
 */
#ifndef SIMFABRIC_LOCAL_WORK_H
#define SIMFABRIC_LOCAL_WORK_H

#include "simfabric/queue_pair_engine.h"

static inline bool work_is_local(const struct send_work *work)
{
	return work->opcode == IBV_WR_BIND_MW || work->opcode == IBV_WR_LOCAL_INV;
}

enum ibv_wc_status local_work_do(struct queue_pair *qp, const struct send_work *work);

/* Make @work a bind. */
void local_work_set_bind(struct send_work *work, const struct ibv_mw *mw, uint32_t rkey,
        const struct ibv_mw_bind_info *info);

#endif
