/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include <errno.h>

#include "simfabric/hca_ethernet.h"
#include "simfabric/hca_faults.h"
#include "simfabric/hca_multicast.h"
#include "simfabric/hca_numbers.h"
#include "simfabric/hca_port.h"
#include "simfabric/hca_process.h"
#include "simfabric/hca_wire.h"
#include "simfabric/qpn_table.h"

/* ---- queue pairs ---- */

struct hca_queue_pair *hca_find_queue_pair(uint32_t qpn)
{
	struct hca_queue_pair *qp = hca_process.buckets[qpn % HCA_BUCKETS];

	while (qp && qp->engine.qpn != qpn)
		qp = qp->next;
	return qp;
}

int hca_add_queue_pair(
        struct hca *hca, struct hca_queue_pair *qp, const struct queue_pair_config *config)
{
	struct queue_pair_config full = *config;
	int err = qpn_take(hca->fabric, hca->place.port, hca_process.ring_index,
	        hca_numbers_collide(hca), hca_number_twist(hca), &full.qpn);

	if (err)
		return err;
	full.host = &hca->host;
	err = queue_pair_init(&qp->engine, &full);
	if (err) {
		qpn_give_back(hca->fabric, hca->place.port, full.qpn);
		return err;
	}
	qp->hca = hca;
	qp->has_sent = false;
	qp->cut = (struct fault_cut){0};
	qp->next = hca_process.buckets[full.qpn % HCA_BUCKETS];
	hca_process.buckets[full.qpn % HCA_BUCKETS] = qp;
	qp->next_of_hca = hca->queue_pairs;
	hca->queue_pairs = qp;
	return 0;
}

typedef void (*queue_visitor)(struct completion_queue *queue, const struct queue_pair *qp);

/* What an XRC target has received may be in any of them. */
static void visit_all_queues(struct hca_queue_pair *qp, queue_visitor visit)
{
	for (struct hca_completion_queue *cq = qp->hca->completion_queues; cq; cq = cq->next_of_hca)
		visit(&cq->queue, &qp->engine);
}

static void take_completions_away(struct hca_queue_pair *qp)
{
	struct queue_pair *engine = &qp->engine;
	queue_visitor visit =
	        qp->hca->faults->reset_purges ? completion_queue_purge : completion_queue_orphan;

	/* It has no CQ of its own, so no driver looks for them. */
	if (engine->type == IBV_QPT_XRC_RECV) {
		visit_all_queues(qp, completion_queue_orphan);
		return;
	}
	visit(engine->send_completions, engine);
	if (engine->receive_completions)
		visit(engine->receive_completions, engine);
}

void hca_unlink_queue_pair(struct hca_queue_pair *qp)
{
	struct hca_queue_pair **at = &hca_process.buckets[qp->engine.qpn % HCA_BUCKETS];

	while (*at && *at != qp)
		at = &(*at)->next;
	if (*at)
		*at = qp->next;
}

void hca_remove_queue_pair(struct hca_queue_pair *qp)
{
	struct hca *hca = qp->hca;
	struct hca_queue_pair **at = &hca->queue_pairs;

	hca_detach_all_groups(qp);
	hca_unlink_queue_pair(qp);
	while (*at != qp)
		at = &(*at)->next_of_hca;
	*at = qp->next_of_hca;
	if (!hca->is_gone)
		qpn_give_back(hca->fabric, hca->place.port, qp->engine.qpn);
	hca_forget_ready(&qp->engine);
	if (qp->engine.type == IBV_QPT_XRC_RECV)
		visit_all_queues(qp, completion_queue_write_out);
	take_completions_away(qp);
	queue_pair_fini(&qp->engine);
}

static bool port_allows(const struct hca *hca, const struct ibv_qp_attr *attr, int mask)
{
	if ((mask & IBV_QP_PORT) && attr->port_num != 1)
		return false;
	if ((mask & IBV_QP_AV) && attr->ah_attr.port_num != 1)
		return false;
	if ((mask & IBV_QP_PKEY_INDEX) && attr->pkey_index >= HCA_PKEYS)
		return false;
	return !(mask & IBV_QP_PATH_MTU) || attr->path_mtu <= port_mtu(hca->port);
}

int hca_modify_queue_pair(struct hca_queue_pair *qp, const struct ibv_qp_attr *attr, int mask)
{
	struct hca *hca = qp->hca;
	struct ibv_qp_attr led = *attr;
	int err;

	if (!port_allows(hca, attr, mask))
		return -EINVAL;
	if ((mask & IBV_QP_AV) && hca->is_ethernet && !hca_ethernet_resolve(hca, &led.ah_attr))
		return -EINVAL;
	hca_faults_apply(hca);
	err = queue_pair_modify(&qp->engine, &led, mask);
	if (!err && (mask & IBV_QP_STATE) && attr->qp_state == IBV_QPS_RESET) {
		take_completions_away(qp);
		qp->has_sent = false;
	}
	return err;
}

void hca_query_queue_pair(struct hca_queue_pair *qp, struct ibv_qp_attr *attr)
{
	const struct data_faults *faults = qp->hca->faults;

	queue_pair_query(&qp->engine, attr);
	if (qp->hca->is_ethernet)
		attr->ah_attr.dlid = 0;
	if (!faults->live_rq_psn)
		attr->rq_psn = faults->given_psns ? qp->engine.attr.rq_psn : 0;
	if (!faults->live_sq_psn)
		attr->sq_psn = faults->given_psns ? qp->engine.attr.sq_psn : 0;
	if (!faults->hold_until_query)
		return;
	if (qp->engine.type == IBV_QPT_XRC_RECV)
		visit_all_queues(qp, completion_queue_release_held);
	else if (qp->engine.receive_completions)
		completion_queue_release_held(qp->engine.receive_completions, &qp->engine);
}

/* ---- completion queues ---- */

int hca_add_completion_queue(struct hca *hca, struct hca_completion_queue *cq, uint32_t capacity)
{
	int err = completion_queue_init(&cq->queue, capacity);

	if (err)
		return err;
	cq->next_of_hca = hca->completion_queues;
	hca->completion_queues = cq;
	return 0;
}

void hca_remove_completion_queue(struct hca *hca, struct hca_completion_queue *cq)
{
	struct hca_completion_queue **at = &hca->completion_queues;

	while (*at != cq)
		at = &(*at)->next_of_hca;
	*at = cq->next_of_hca;
	completion_queue_fini(&cq->queue);
}

/* ---- shared receive queues ---- */

static const struct hca_shared_queue *find_shared_queue(const struct hca *hca, uint32_t number)
{
	const struct hca_shared_queue *shared = hca->shared_queues;

	while (shared && shared->srq.number != number)
		shared = shared->next_of_hca;
	return shared;
}

const struct xrc_srq *hca_find_srq(const struct queue_pair *qp, uint32_t number)
{
	const struct hca *hca = (const struct hca *)(const void *)qp->host;
	const struct hca_shared_queue *shared = find_shared_queue(hca, number);

	return shared && shared->srq.domain && shared->srq.domain == qp->xrc_domain ? &shared->srq
	                                                                            : NULL;
}

/* As of queue pairs: of one port, however many processes have it open, no two have the same. */
int hca_add_shared_queue(struct hca *hca, struct hca_shared_queue *shared)
{
	int err = qpn_take(hca->fabric, hca->place.port, hca_process.ring_index,
	        hca_numbers_collide(hca), hca_number_twist(hca), &shared->srq.number);

	if (err)
		return err;
	shared->srq.queue = &shared->queue;
	shared->next_of_hca = hca->shared_queues;
	hca->shared_queues = shared;
	return 0;
}

void hca_remove_shared_queue(struct hca *hca, struct hca_shared_queue *shared)
{
	struct hca_shared_queue **at = &hca->shared_queues;

	while (*at != shared)
		at = &(*at)->next_of_hca;
	*at = shared->next_of_hca;
	if (!hca->is_gone)
		qpn_give_back(hca->fabric, hca->place.port, shared->srq.number);
}
