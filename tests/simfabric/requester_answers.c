/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* What comes back to a requester, or does not in time: acknowledgements, data, NAKs, the timer. */
#include "simfabric/local_work.h"
#include "simfabric/request_packets.h"
#include "simfabric/requester_parts.h"
#include "simfabric/scatter_gather.h"

void requester_restart_timeout(struct queue_pair *qp)
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

static void go_back(struct queue_pair *qp)
{
	struct requester *requester = &qp->requester;

	requester->queue.cursor = requester->queue.oldest;
	requester->next_psn = requester->acked_psn;
	requester->reads_out = 0;
	requester_restart_timeout(qp);
	qp->host->ready(qp);
}

/* Something is lost: send again from the oldest unacknowledged packet, if that is still allowed. */
static void retry(struct queue_pair *qp)
{
	if (!qp->requester.retries_left) {
		requester_fail_oldest(qp, IBV_WC_RETRY_EXC_ERR);
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
	requester_restart_timeout(qp);
	qp->host->ready(qp);
}

static void complete_oldest_well(struct queue_pair *qp)
{
	struct send_work *work;

	requester_complete_oldest(qp, IBV_WC_SUCCESS);
	/* Local work behind it has been done when it was sent. */
	while ((work = oldest_started(qp)) && !work->failed && work_is_local(work))
		requester_complete_oldest(qp, IBV_WC_SUCCESS);
	if (work && work->failed)
		requester_fail_oldest(qp, work->failed);
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

static void receive_rnr_nak(struct queue_pair *qp, uint8_t syndrome)
{
	struct requester *requester = &qp->requester;
	uint64_t wait_ns = rnr_wait_10us[syndrome & SYNDROME_RNR_TIMER] * 10000ull;

	if (requester->in_rnr_wait)
		return;
	if (qp->attr.rnr_retry != 7) {
		if (!requester->rnr_retries_left) {
			requester_fail_oldest(qp, IBV_WC_RNR_RETRY_EXC_ERR);
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
		requester_fail_oldest(qp, IBV_WC_REM_INV_REQ_ERR);
		return;
	case SYNDROME_NAK_ACCESS:
		requester_fail_oldest(qp, IBV_WC_REM_ACCESS_ERR);
		return;
	case SYNDROME_NAK_OPERATION:
		requester_fail_oldest(qp, IBV_WC_REM_OP_ERR);
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
		requester_fail_oldest(qp, IBV_WC_BAD_RESP_ERR);
		return;
	}
	if (!store_answer(qp, work, offset, data, bytes)) {
		requester_fail_oldest(qp, IBV_WC_LOC_PROT_ERR);
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
		requester_restart_timeout(qp);
	} else {
		requester->went_back = false;
		retry(qp);
	}
}
