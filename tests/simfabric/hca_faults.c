/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "simfabric/hca_faults.h"

#include "simfabric/hca_port.h"
#include "simfabric/hca_process.h"
#include "simfabric/hca_wire.h"

static bool is_active(const struct hca *hca)
{
	return __builtin_expect(__atomic_load_n(&hca->faults->is_active, __ATOMIC_RELAXED), 0);
}

static bool is_reliable(const struct queue_pair *qp)
{
	return qp->transport == TRANSPORT_RC || qp->transport == TRANSPORT_XRC;
}

static struct qp_name peer_of(const struct queue_pair *qp)
{
	return (struct qp_name){qp->attr.ah_attr.dlid, qp->attr.dest_qp_num};
}

bool hca_faults_is_held(struct queue_pair *qp, uint32_t psn, bool begins)
{
	struct hca *hca = hca_of(qp);
	struct qp_name name;

	if (!is_active(hca) || !is_reliable(qp))
		return false;
	name = (struct qp_name){port_lid(hca->port), qp->qpn};
	return qp_faults_hold(&hca->faults->qps, &name, psn, begins);
}

bool hca_faults_refuses_receive(struct queue_pair *qp)
{
	struct hca *hca = hca_of(qp);
	struct qp_name peer = peer_of(qp);

	return is_active(hca) && is_reliable(qp) &&
	       qp_faults_refuse(&hca->faults->qps, &peer, qp->responder.expected_psn);
}

static bool is_hidden(const struct queue_pair *qp, const struct completion *completion, bool is_new)
{
	const struct hca *hca = (const struct hca *)(const void *)qp->host;
	struct qp_name peer = peer_of(qp);

	return is_active(hca) && is_reliable(qp) && completion->is_receive &&
	       completion->wc.status == IBV_WC_SUCCESS &&
	       qp_faults_hold_receive(&hca->faults->qps, &peer, completion->psn, is_new);
}

uint64_t hca_faults_visible_ns(struct queue_pair *qp, const struct completion *completion)
{
	uint64_t hold_ns;

	if (is_hidden(qp, completion, true))
		return COMPLETION_HELD;
	hold_ns = hca_wire_hold_ns(hca_of(qp), completion->is_receive);
	return hold_ns ? qp->host->now_ns + hold_ns : 0;
}

static bool is_still_hidden(const struct completion *completion)
{
	return completion->qp && is_hidden(completion->qp, completion, false);
}

void hca_faults_apply(struct hca *hca)
{
	hca->host.err_flushes_receives = hca->faults->err_flushes_receives;
	hca->host.err_gives_back_sent = hca->faults->err_gives_back_sent;
	hca->host.raises_last_wqe = hca->faults->raises_last_wqe;
}

static void look_anew(struct hca *hca)
{
	hca_faults_apply(hca);
	for (struct hca_queue_pair *qp = hca->queue_pairs; qp; qp = qp->next_of_hca)
		hca_ready(&qp->engine);
	for (struct hca_completion_queue *cq = hca->completion_queues; cq; cq = cq->next_of_hca)
		completion_queue_look_anew(&cq->queue, is_still_hidden);
}

void hca_faults_turn(void)
{
	for (struct hca *hca = hca_process.hcas; hca; hca = hca->next) {
		uint32_t changes = __atomic_load_n(&hca->faults->changes, __ATOMIC_ACQUIRE);

		if (hca->is_gone || hca->faults_seen == changes)
			continue;
		hca->faults_seen = changes;
		look_anew(hca);
	}
}
