/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include <string.h>
#include <time.h>

#include "simfabric/address_handle.h"
#include "simfabric/counters.h"
#include "simfabric/forward.h"
#include "simfabric/hca_faults.h"
#include "simfabric/hca_multicast.h"
#include "simfabric/hca_port.h"
#include "simfabric/hca_process.h"
#include "simfabric/hca_wire.h"

enum { HEADER_BYTES = 24 }; /* LRH, BTH and ICRC; extended headers are not counted */

uint64_t hca_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* ---- what the engine asks of its host ---- */

void hca_ready(struct queue_pair *qp)
{
	if (qp->is_ready)
		return;
	qp->is_ready = true;
	qp->next_ready = NULL;
	if (hca_process.ready_last)
		hca_process.ready_last->next_ready = qp;
	else
		hca_process.ready_first = qp;
	hca_process.ready_last = qp;
}

struct queue_pair *hca_take_ready(void)
{
	struct queue_pair *qp = hca_process.ready_first;

	if (!qp)
		return NULL;
	hca_process.ready_first = qp->next_ready;
	if (!hca_process.ready_first)
		hca_process.ready_last = NULL;
	qp->is_ready = false;
	return qp;
}

void hca_forget_ready(const struct queue_pair *gone)
{
	struct queue_pair *list = hca_process.ready_first;

	hca_process.ready_first = hca_process.ready_last = NULL;
	while (list) {
		struct queue_pair *qp = list;

		list = qp->next_ready;
		qp->is_ready = false;
		if (qp != gone)
			hca_ready(qp);
	}
}

static void due(struct queue_pair *qp, uint64_t due_ns)
{
	qp->due_ns = due_ns;
	if (due_ns < hca_process.due_ns)
		hca_process.due_ns = due_ns;
}

static bool complete(
        struct queue_pair *qp, struct completion_queue *queue, const struct completion *completion)
{
	struct hca_completion_queue *cq =
	        (struct hca_completion_queue *)(void *)((char *)queue -
	                                                offsetof(struct hca_completion_queue,
	                                                        queue));
	struct completion held, seen;
	uint64_t visible_ns = hca_faults_visible_ns(qp, completion);
	bool was_overrun = queue->overrun;

	if (hca_of(qp)->is_ethernet) {
		seen = *completion;
		seen.wc.slid = 0;
		completion = &seen;
	}
	if (visible_ns) {
		held = *completion;
		held.visible_ns = visible_ns;
		completion = &held;
	}
	if (completion_queue_push(queue, completion, qp->host->now_ns))
		return true;
	if (!was_overrun)
		cq->overrun(cq);
	return false;
}

static void event(struct queue_pair *qp, enum ibv_event_type type)
{
	/* Whoever hears of the last receive polls once more and takes what is there for all. */
	if (type == IBV_EVENT_QP_LAST_WQE_REACHED)
		completion_queue_release_held(qp->receive_completions, qp);
	hca_owner_of(qp)->event(hca_owner_of(qp), type);
}

static void srq_taken(struct queue_pair *qp, struct receive_queue *queue)
{
	hca_owner_of(qp)->srq_taken(hca_owner_of(qp), queue);
}

static uint32_t mtu(struct queue_pair *qp)
{
	return hca_mtu(hca_of(qp));
}

static uint16_t path_bits(struct queue_pair *qp)
{
	return hca_path_bits(hca_of(qp));
}

static bool gid(struct queue_pair *qp, uint8_t index, union ibv_gid *row)
{
	return hca_gid(hca_of(qp), index, row);
}

const struct queue_pair_host hca_host_calls = {
        .reserve = hca_wire_reserve,
        .send = hca_wire_send,
        .discard = hca_wire_discard,
        .mtu = mtu,
        .path_bits = path_bits,
        .gid = gid,
        .is_under_way = hca_wire_is_under_way,
        .is_held = hca_faults_is_held,
        .refuses_receive = hca_faults_refuses_receive,
        .complete = complete,
        .event = event,
        .srq_taken = srq_taken,
        .find_srq = hca_find_srq,
        .ready = hca_ready,
        .due = due,
};

/* ---- counters ---- */

void hca_count_sent(struct hca *hca, const struct packet *packet)
{
	if (packet->dlid == packet->slid)
		return;
	hca->sent.packets++;
	hca->sent.bytes += HEADER_BYTES + packet->payload_length;
}

void hca_count_received(struct hca *hca, const struct packet *packet)
{
	if (packet->dlid == packet->slid)
		return;
	hca->received.packets++;
	hca->received.bytes += HEADER_BYTES + packet->payload_length;
}

/* Both ends of the port's own cable count; the cables between switches do not. */
void hca_tell_counters(struct hca *hca)
{
	uint32_t peer = hca->port->peer;

	if (hca->sent.packets)
		counters_port_data(
		        hca->fabric, hca->place.port, hca->sent.packets, hca->sent.bytes);
	if (hca->received.packets && peer != NO_INDEX)
		counters_port_data(hca->fabric, peer, hca->received.packets, hca->received.bytes);
	memset(&hca->sent, 0, sizeof(hca->sent));
	memset(&hca->received, 0, sizeof(hca->received));
}

/* ---- turns ---- */

uint64_t hca_tell_time(void)
{
	uint64_t now_ns = hca_now_ns();

	for (struct hca *hca = hca_process.hcas; hca; hca = hca->next)
		hca->host.now_ns = now_ns;
	return now_ns;
}

void hca_deliver(const struct packet *packet)
{
	struct hca_queue_pair *qp = hca_find_queue_pair(packet->dest_qpn);
	const struct port *port;

	if (forward_is_multicast(packet->dlid)) {
		hca_deliver_multicast(packet);
		return;
	}
	if (!qp)
		return;
	port = qp->hca->port;
	/* A packet for another port of this process, from before a move. */
	if (!port_has_lid(port, packet->dlid))
		return;
	if (!forward_pkey_matches(packet->pkey, hca_pkey(qp->hca, qp->engine.attr.pkey_index)))
		return;
	/* IBA 9.6.1.2.3. */
	if (packet->has_grh) {
		union ibv_gid dgid = grh_dgid(&packet->grh);

		if (hca_gid_index(qp->hca, &dgid) < 0)
			return;
	}
	hca_count_received(qp->hca, packet);
	queue_pair_receive(&qp->engine, packet);
}

void hca_run_timers(uint64_t now_ns)
{
	if (hca_process.due_ns > now_ns)
		return;
	hca_process.due_ns = UINT64_MAX;
	for (struct hca *hca = hca_process.hcas; hca; hca = hca->next) {
		for (struct hca_queue_pair *qp = hca->queue_pairs; qp; qp = qp->next_of_hca) {
			uint64_t due_ns = qp->engine.due_ns;

			if (!due_ns)
				continue;
			if (due_ns > now_ns) {
				due(&qp->engine, due_ns);
				continue;
			}
			qp->engine.due_ns = 0;
			queue_pair_expire(&qp->engine);
		}
	}
}

void hca_release_held_completions(uint64_t now_ns)
{
	for (struct hca *hca = hca_process.hcas; hca; hca = hca->next) {
		for (struct hca_completion_queue *cq = hca->completion_queues; cq;
		        cq = cq->next_of_hca)
			completion_queue_turn(&cq->queue, now_ns);
	}
}
