/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include <string.h>

#include "simfabric/local_work.h"
#include "simfabric/request_packets.h"
#include "simfabric/requester.h"
#include "simfabric/scatter_gather.h"

static bool may_run(const struct queue_pair *qp)
{
	return qp->state == IBV_QPS_RTS || qp->state == IBV_QPS_SQD;
}

static struct send_work *work_at(const struct queue_pair *qp, uint32_t counter)
{
	return send_queue_at(&qp->requester.queue, counter);
}

/* The oldest request of which a packet has gone out; NULL: none. */
static struct send_work *oldest_started(const struct queue_pair *qp)
{
	const struct send_queue *queue = &qp->requester.queue;
	struct send_work *work;

	if (queue->oldest == queue->posted)
		return NULL;
	work = work_at(qp, queue->oldest);
	return work->started ? work : NULL;
}

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

/* ---- timers ---- */

static void restart_timeout(struct queue_pair *qp)
{
	struct requester *requester = &qp->requester;
	bool was_running = requester->timeout_due_ns;

	if (requester->in_rnr_wait)
		return;
	if (!may_run(qp) || !qp->timeout_ns || requester->next_psn == requester->acked_psn) {
		requester->timeout_due_ns = 0;
		return;
	}
	requester->timeout_due_ns = qp->host->now_ns + qp->timeout_ns;
	if (!was_running)
		qp->host->due(qp, requester->timeout_due_ns);
}

/* IBA table 46: the RNR timer field in units of 10 us. */
static const uint32_t rnr_wait_10us[32] = {65536, 1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128,
        192, 256, 384, 512, 768, 1024, 1536, 2048, 3072, 4096, 6144, 8192, 12288, 16384, 24576,
        32768, 49152};

/* ---- completing ---- */

static void complete_oldest(struct queue_pair *qp, enum ibv_wc_status status)
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
		complete_oldest(qp, IBV_WC_WR_FLUSH_ERR);
}

/* What was sent without a completion of its own is done when the next one is. */
static void complete_sent(struct queue_pair *qp)
{
	struct send_queue *queue = &qp->requester.queue;

	while (queue->oldest != queue->cursor)
		complete_oldest(qp, IBV_WC_SUCCESS);
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
		complete_sent(qp);
}

/* IBA 10.3.1.6. A full completion queue has led to ERR already. */
void requester_fail_sends(struct queue_pair *qp, enum ibv_wc_status status)
{
	complete_sent(qp);
	complete_oldest(qp, status);
	if (qp->state != IBV_QPS_RTS && qp->state != IBV_QPS_SQD)
		return;
	qp->state = IBV_QPS_SQE;
	requester_flush(qp);
}

static void fail_oldest(struct queue_pair *qp, enum ibv_wc_status status)
{
	complete_oldest(qp, status);
	queue_pair_fail(qp);
}

/* What went wrong locally is reported after all that was posted before it. */
static void fail_work(struct queue_pair *qp, struct send_work *work, enum ibv_wc_status status)
{
	work->failed = (uint8_t)status;
	if (work == work_at(qp, qp->requester.queue.oldest))
		fail_oldest(qp, status);
}

static void go_back(struct queue_pair *qp)
{
	struct requester *requester = &qp->requester;

	requester->queue.cursor = requester->queue.oldest;
	requester->next_psn = requester->acked_psn;
	requester->reads_out = 0;
	restart_timeout(qp);
	qp->host->ready(qp);
}

/* Something is lost: send again from the oldest unacknowledged packet, if that is still allowed. */
static void retry(struct queue_pair *qp)
{
	if (!qp->requester.retries_left) {
		fail_oldest(qp, IBV_WC_RETRY_EXC_ERR);
		return;
	}
	qp->requester.retries_left--;
	go_back(qp);
}

static void retry_once_per_loss(struct queue_pair *qp)
{
	if (qp->requester.went_back || qp->requester.in_rnr_wait)
		return;
	qp->requester.went_back = true;
	retry(qp);
}

/* The peer has everything before @psn. */
static void progress(struct queue_pair *qp, uint32_t psn)
{
	struct requester *requester = &qp->requester;

	requester->acked_psn = psn;
	if (psn_distance(psn, requester->next_psn) > 0)
		requester->next_psn = psn; /* answered from before we went back */
	requester->retries_left = qp->attr.retry_cnt;
	requester->rnr_retries_left = qp->attr.rnr_retry;
	requester->went_back = false;
	restart_timeout(qp);
	qp->host->ready(qp);
}

static void complete_oldest_well(struct queue_pair *qp)
{
	struct send_work *work;

	complete_oldest(qp, IBV_WC_SUCCESS);
	/* Local work behind it has been done when it was sent. */
	while ((work = oldest_started(qp)) && !work->failed && work_is_local(work))
		complete_oldest(qp, IBV_WC_SUCCESS);
	if (work && work->failed)
		fail_oldest(qp, work->failed);
}

/*
 * Take everything before @psn for acknowledged. False: a READ or atomic before it lacks its answer,
 * which says that the answer is lost (IBA 9.7.5.1.3).
 */
static bool acknowledge_before(struct queue_pair *qp, uint32_t psn)
{
	struct send_work *work;

	while ((work = oldest_started(qp)) && psn_distance(psn, work->first_psn) > 0) {
		uint32_t end = psn_add(work->first_psn, work->packets);

		if (wants_answer(work))
			return psn_distance(psn, qp->requester.acked_psn) <= 0;
		if (psn_distance(end, psn) > 0) {
			if (psn_distance(psn, qp->requester.acked_psn) > 0)
				progress(qp, psn);
			return true;
		}
		progress(qp, end);
		complete_oldest_well(qp);
	}
	return true;
}

/* ---- answers ---- */

static void receive_rnr_nak(struct queue_pair *qp, uint8_t syndrome)
{
	struct requester *requester = &qp->requester;
	uint64_t wait_ns = rnr_wait_10us[syndrome & SYNDROME_RNR_TIMER] * 10000ull;

	if (requester->in_rnr_wait)
		return;
	if (qp->attr.rnr_retry != 7) {
		if (!requester->rnr_retries_left) {
			fail_oldest(qp, IBV_WC_RNR_RETRY_EXC_ERR);
			return;
		}
		requester->rnr_retries_left--;
	}
	go_back(qp);
	requester->in_rnr_wait = true;
	requester->timeout_due_ns = qp->host->now_ns + wait_ns;
	qp->host->due(qp, requester->timeout_due_ns);
}

static void receive_nak(struct queue_pair *qp, uint8_t syndrome)
{
	if (!oldest_started(qp))
		return;
	switch (syndrome) {
	case SYNDROME_NAK_SEQUENCE:
		retry_once_per_loss(qp);
		return;
	case SYNDROME_NAK_INVALID_REQUEST:
		fail_oldest(qp, IBV_WC_REM_INV_REQ_ERR);
		return;
	case SYNDROME_NAK_ACCESS:
		fail_oldest(qp, IBV_WC_REM_ACCESS_ERR);
		return;
	case SYNDROME_NAK_OPERATION:
		fail_oldest(qp, IBV_WC_REM_OP_ERR);
		return;
	default:
		if ((syndrome & SYNDROME_KIND) == SYNDROME_RNR_NAK)
			receive_rnr_nak(qp, syndrome);
	}
}

static void receive_acknowledge(struct queue_pair *qp, const struct packet *packet)
{
	bool is_ack = packet->aeth.syndrome == SYNDROME_ACK;

	if (!acknowledge_before(qp, is_ack ? psn_add(packet->psn, 1) : packet->psn))
		retry_once_per_loss(qp);
	else if (!is_ack)
		receive_nak(qp, packet->aeth.syndrome);
}

static bool store_answer(struct queue_pair *qp, const struct send_work *work, uint64_t offset,
        const void *data, uint32_t bytes)
{
	const struct buffer_list list = {qp->host->keys, qp->pd, work->sge, work->sge_count};

	return scatter(&list, offset, data, bytes);
}

/* The data of the oldest request, which waits for just this PSN. */
static void receive_data(
        struct queue_pair *qp, const struct packet *packet, const void *data, uint32_t bytes)
{
	struct send_work *work = oldest_started(qp);
	uint32_t end = psn_add(work->first_psn, work->packets);
	uint64_t offset = (uint64_t)psn_distance(packet->psn, work->first_psn) * qp->mtu;
	uint64_t left = work->length - offset;

	if (bytes != (left < qp->mtu ? left : qp->mtu)) {
		fail_oldest(qp, IBV_WC_BAD_RESP_ERR);
		return;
	}
	if (!store_answer(qp, work, offset, data, bytes)) {
		fail_oldest(qp, IBV_WC_LOC_PROT_ERR);
		return;
	}
	progress(qp, psn_add(packet->psn, 1));
	if (qp->requester.acked_psn == end)
		complete_oldest_well(qp);
}

static void receive_answer(struct queue_pair *qp, const struct packet *packet)
{
	struct send_work *work;

	if (!acknowledge_before(qp, packet->psn)) {
		retry_once_per_loss(qp);
		return;
	}
	work = oldest_started(qp);
	if (!work || packet->psn != qp->requester.acked_psn)
		return;
	if ((work_is(work) & packet_is(packet)) & IS_READ)
		receive_data(qp, packet, packet->payload, packet->payload_length);
	else if ((work_is(work) & packet_is(packet)) & IS_ATOMIC)
		receive_data(qp, packet, &packet->aeth.original, sizeof(packet->aeth.original));
}

void requester_receive(struct queue_pair *qp, const struct packet *packet)
{
	struct requester *requester = &qp->requester;

	/* Late or repeated, or the answer to what was never asked. */
	if (!may_run(qp) || psn_distance(packet->psn, requester->acked_psn) < 0 ||
	        psn_distance(packet->psn, requester->new_psn) >= 0)
		return;
	if (packet_is(packet) & (IS_READ | IS_ATOMIC))
		receive_answer(qp, packet);
	else
		receive_acknowledge(qp, packet);
}

void requester_expire(struct queue_pair *qp)
{
	struct requester *requester = &qp->requester;

	if (!requester->timeout_due_ns)
		return;
	if (requester->timeout_due_ns > qp->host->now_ns) {
		qp->host->due(qp, requester->timeout_due_ns);
		return;
	}
	requester->timeout_due_ns = 0;
	if (requester->in_rnr_wait) {
		requester->in_rnr_wait = false;
		qp->host->ready(qp);
	} else if (qp->host->is_under_way(qp)) {
		restart_timeout(qp);
	} else {
		requester->went_back = false;
		retry(qp);
	}
}

/* ---- sending ---- */

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
	fail_work(qp, work, status);
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
				fail_work(qp, work, status);
			return false;
		}
	}
	if (qp->type == IBV_QPT_UC)
		complete_sent(qp);
	if (queue->cursor == queue->oldest)
		complete_oldest(qp, IBV_WC_SUCCESS);
	else
		queue->cursor++;
	return true;
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
	if (!work->started && (qp->state == IBV_QPS_SQD || !start_work(qp, work)))
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
		fail_work(qp, work, IBV_WC_LOC_PROT_ERR);
		return NOTHING_TO_SEND;
	}
	qp->host->send(qp, packet);
	advance(qp, work);
	if (!qp->requester.timeout_due_ns)
		restart_timeout(qp);
	return SENT;
}
