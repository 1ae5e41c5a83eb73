/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include <string.h>

#include "simfabric/request_packets.h"
#include "simfabric/requester_parts.h"

void requester_complete_oldest(struct queue_pair *qp, enum ibv_wc_status status)
{
	struct requester *requester = &qp->requester;
	struct send_queue *queue = &requester->queue;
	struct send_work *work = work_at(qp, queue->oldest);
	struct completion completion;

	if (queue->cursor == queue->oldest)
		queue->cursor++;
	else if (wants_answer(work))
		requester->reads_out--;
	queue->oldest++;
	if (status == IBV_WC_SUCCESS && !(work->flags & IBV_SEND_SIGNALED))
		return;
	memset(&completion, 0, sizeof(completion));
	completion.wc.wr_id = work->wr_id;
	completion.wc.status = status;
	completion.wc.opcode = work_completes_as(work);
	completion.wc.byte_len = (uint32_t)work->length;
	completion.wc.qp_num = qp->qpn;
	completion.qp = qp;
	completion.covers = queue->oldest;
	if (!qp->host->complete(qp, qp->send_completions, &completion))
		queue_pair_fail(qp);
}

void requester_flush(struct queue_pair *qp)
{
	struct requester *requester = &qp->requester;
	struct send_queue *queue = &requester->queue;

	requester->timeout_due_ns = 0;
	requester->in_rnr_wait = false;
	while (queue->oldest != queue->posted)
		requester_complete_oldest(qp, IBV_WC_WR_FLUSH_ERR);
}

void requester_complete_sent(struct queue_pair *qp)
{
	struct send_queue *queue = &qp->requester.queue;

	while (queue->oldest != queue->cursor)
		requester_complete_oldest(qp, IBV_WC_SUCCESS);
}

void requester_sent_for_good(struct queue_pair *qp, bool last)
{
	struct requester *requester = &qp->requester;
	struct send_queue *queue = &requester->queue;
	bool has_completion = work_at(qp, queue->cursor)->flags & IBV_SEND_SIGNALED;

	requester->next_psn = psn_add(requester->next_psn, 1);
	requester->new_psn = requester->acked_psn = requester->next_psn;
	if (!last)
		return;
	queue->cursor++;
	if (has_completion || !qp->host->err_gives_back_sent)
		requester_complete_sent(qp);
}

/* IBA 10.3.1.6. A full completion queue has led to ERR already. */
void requester_fail_sends(struct queue_pair *qp, enum ibv_wc_status status)
{
	requester_complete_sent(qp);
	requester_complete_oldest(qp, status);
	if (qp->state != IBV_QPS_RTS && qp->state != IBV_QPS_SQD)
		return;
	qp->state = IBV_QPS_SQE;
	requester_flush(qp);
}

void requester_fail_oldest(struct queue_pair *qp, enum ibv_wc_status status)
{
	requester_complete_oldest(qp, status);
	queue_pair_fail(qp);
}

void requester_fail_work(struct queue_pair *qp, struct send_work *work, enum ibv_wc_status status)
{
	work->failed = (uint8_t)status;
	if (work == work_at(qp, qp->requester.queue.oldest))
		requester_fail_oldest(qp, status);
}
