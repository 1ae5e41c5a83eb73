/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "tests/model/turns_states.h"

#include "simfabric/verbs_face.h"
#include "simfabric/work_state.h"

static const struct queue_pair *engine_of(struct ibv_qp *qp)
{
	return &((const struct face_qp *)(const void *)qp)->hca.engine;
}

void turns_states(struct ibv_qp *asks, struct ibv_qp *answers, turns_state *tell, void *argument)
{
	struct work_ends ends = {
	        .requester = engine_of(asks),
	        .responder = engine_of(answers),
	        .now_ns = hca_now_ns(),
	};
	const struct send_queue *queue = &ends.requester->requester.queue;

	if (ends.requester->state != IBV_QPS_RTS || ends.responder->state != IBV_QPS_RTS)
		return;
	for (uint32_t i = work_state_first(queue); i != queue->posted; i++) {
		struct work_found found = work_state_of(&ends, i);

		if (found.state != WORK_DONE)
			tell(argument, send_queue_at(queue, i)->wr_id, found.state);
	}
}
