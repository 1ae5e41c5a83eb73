/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "simfabric/local_work.h"
#include "simfabric/request_packets.h"
#include "simfabric/requester_parts.h"

bool requester_is_drained(const struct queue_pair *qp)
{
	return !oldest_started(qp);
}

void requester_start(struct queue_pair *qp, uint32_t psn)
{
	struct requester *requester = &qp->requester;

	requester->next_psn = requester->new_psn = requester->acked_psn = psn & PACKET_PSN_MASK;
	requester->reads_out = 0;
	requester->went_back = requester->in_rnr_wait = false;
	requester->timeout_due_ns = 0;
	requester->retries_left = qp->attr.retry_cnt;
	requester->rnr_retries_left = qp->attr.rnr_retry;
}

static enum ibv_wc_status check_work(const struct queue_pair *qp, const struct send_work *work)
{
	if (work->length > QUEUE_PAIR_MAX_MESSAGE)
		return IBV_WC_LOC_LEN_ERR;
	if ((work_is(work) & IS_ATOMIC) && work->length != sizeof(uint64_t))
		return IBV_WC_LOC_LEN_ERR;
	if (wants_answer(work) && !qp->attr.max_rd_atomic)
		return IBV_WC_LOC_QP_OP_ERR;
	return IBV_WC_SUCCESS;
}

void requester_number_packets(struct queue_pair *qp, struct send_work *work)
{
	work->started = true;
	work->first_psn = qp->requester.new_psn;
	work->packets = work->length ? (uint32_t)((work->length + qp->mtu - 1) / qp->mtu) : 1;
}

static bool start_work(struct queue_pair *qp, struct send_work *work)
{
	enum ibv_wc_status status = check_work(qp, work);

	requester_number_packets(qp, work);
	if (status == IBV_WC_SUCCESS)
		return true;
	requester_fail_work(qp, work, status);
	return false;
}

bool requester_pass_local_work(struct queue_pair *qp)
{
	struct requester *requester = &qp->requester;
	struct send_queue *queue = &requester->queue;
	struct send_work *work;
	enum ibv_wc_status status;

	if (!may_run(qp) || requester->in_rnr_wait || queue->cursor == queue->posted)
		return false;
	work = work_at(qp, queue->cursor);
	if (!work_is_local(work) || work->failed ||
	        ((work->flags & IBV_SEND_FENCE) && requester->reads_out))
		return false;
	if (!work->started) {
		if (qp->state == IBV_QPS_SQD)
			return false;
		work->started = true;
		work->first_psn = requester->new_psn;
		status = local_work_do(qp, work);
		if (status != IBV_WC_SUCCESS) {
			if (qp->type == IBV_QPT_UC)
				requester_fail_sends(qp, status);
			else
				requester_fail_work(qp, work, status);
			return false;
		}
	}
	if (qp->type == IBV_QPT_UC)
		requester_complete_sent(qp);
	if (queue->cursor == queue->oldest)
		requester_complete_oldest(qp, IBV_WC_SUCCESS);
	else
		queue->cursor++;
	return true;
}

static bool is_held(struct queue_pair *qp, const struct send_work *work)
{
	return qp->host->is_held && qp->host->is_held(qp, qp->requester.next_psn, !work->started);
}

/* The request that has the next packet to send, NULL: none may be sent now. */
static struct send_work *work_to_send(struct queue_pair *qp)
{
	struct requester *requester = &qp->requester;
	struct send_queue *queue = &requester->queue;
	struct send_work *work;

	if (!may_run(qp) || requester->in_rnr_wait || queue->cursor == queue->posted)
		return NULL;
	if (psn_distance(requester->next_psn, requester->acked_psn) >= REQUEST_WINDOW)
		return NULL;
	work = work_at(qp, queue->cursor);
	if (work->failed)
		return NULL;
	if ((work->flags & IBV_SEND_FENCE) && requester->reads_out)
		return NULL;
	if (!work->started && qp->state == IBV_QPS_SQD)
		return NULL;
	if (is_held(qp, work) || (!work->started && !start_work(qp, work)))
		return NULL;
	if (wants_answer(work) && requester->reads_out >= qp->attr.max_rd_atomic)
		return NULL;
	return work;
}

/* The packet of next_psn is out. */
static void advance(struct queue_pair *qp, const struct send_work *work)
{
	struct requester *requester = &qp->requester;
	uint32_t end = psn_add(work->first_psn, work->packets);

	/* All packets of the answer have their PSNs. */
	requester->next_psn = wants_answer(work) ? end : psn_add(requester->next_psn, 1);
	requester->reads_out += wants_answer(work);
	if (requester->next_psn == end)
		requester->queue.cursor++;
	if (psn_distance(requester->next_psn, requester->new_psn) > 0)
		requester->new_psn = requester->next_psn;
}

enum sent requester_send(struct queue_pair *qp)
{
	struct send_work *work;
	struct packet *packet;

	while (requester_pass_local_work(qp))
		;
	work = work_to_send(qp);
	if (!work)
		return NOTHING_TO_SEND;
	packet = qp->host->reserve(qp, qp->attr.ah_attr.dlid, qp->attr.dest_qp_num);
	if (!packet)
		return NO_ROOM;
	if (!request_write(qp, work, packet)) {
		qp->host->discard(qp, packet);
		requester_fail_work(qp, work, IBV_WC_LOC_PROT_ERR);
		return NOTHING_TO_SEND;
	}
	qp->host->send(qp, packet);
	advance(qp, work);
	if (!qp->requester.timeout_due_ns)
		requester_restart_timeout(qp);
	return SENT;
}
