/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "tests/model/turns.h"

#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "simfabric/hca_faults.h"
#include "simfabric/hca_process.h"
#include "simfabric/hca_wire.h"
#include "simfabric/requester.h"
#include "tests/model/turns_states.h"

struct letter {
	TAILQ_ENTRY(letter) link;
	struct packet packet; /* as much of it as there is */
};

struct flow {
	TAILQ_ENTRY(flow) link;
	TAILQ_HEAD(, letter) letters;
	uint32_t from, to; /* queue pairs */
	uint16_t slid, dlid;
};

static TAILQ_HEAD(, flow) flows = TAILQ_HEAD_INITIALIZER(flows);
static unsigned flow_count;

/* ---- nobody is at hand ---- */

int hca_thread_start(void)
{
	return 0;
}

void hca_thread_stop(void)
{
}

void hca_thread_forget(void)
{
}

void hca_polled(bool in_vain)
{
}

void hca_stops_polling(void)
{
}

void hca_transmit(struct hca_queue_pair *qp)
{
	hca_ready(&qp->engine);
}

/* What no packet carries is done whoever looks: the library waits for windows that it binds itself
 * and lets nothing else happen meanwhile. */
static void do_local_work(void)
{
	for (struct queue_pair *qp = hca_process.ready_first; qp; qp = qp->next_ready)
		while (requester_pass_local_work(qp))
			;
}

/* True: who polls in vain is not sent to sleep. */
bool hca_turn(void)
{
	hca_tell_time();
	hca_faults_turn();
	do_local_work();
	return true;
}

/* ---- senders ---- */

static unsigned senders(void)
{
	unsigned count = 0;

	hca_faults_turn();
	for (const struct queue_pair *qp = hca_process.ready_first; qp; qp = qp->next_ready)
		count++;
	return count;
}

static void transmit(unsigned sender)
{
	struct queue_pair *qp;

	hca_tell_time();
	while (sender--)
		hca_ready(hca_take_ready());
	qp = hca_take_ready();
	if (qp && queue_pair_transmit(qp))
		hca_ready(qp);
}

/* ---- packets under way ---- */

static struct flow *flow_of(const struct packet *packet)
{
	struct flow *flow;

	TAILQ_FOREACH(flow, &flows, link)
	{
		if (flow->from == packet->src_qpn && flow->to == packet->dest_qpn &&
		        flow->slid == packet->slid && flow->dlid == packet->dlid)
			return flow;
	}
	flow = calloc(1, sizeof(*flow));
	flow->from = packet->src_qpn;
	flow->to = packet->dest_qpn;
	flow->slid = packet->slid;
	flow->dlid = packet->dlid;
	TAILQ_INIT(&flow->letters);
	TAILQ_INSERT_TAIL(&flows, flow, link);
	flow_count++;
	return flow;
}

/* Out of the ring, which has room for few and one order for all. */
static void gather(void)
{
	const struct packet *packet;

	while (hca_process.ring && (packet = packet_ring_peek(hca_process.ring))) {
		size_t bytes = offsetof(struct packet, payload) + packet->payload_length;
		struct letter *letter = malloc(offsetof(struct letter, packet) + bytes);

		memcpy(&letter->packet, packet, bytes);
		TAILQ_INSERT_TAIL(&flow_of(packet)->letters, letter, link);
		packet_ring_done(hca_process.ring);
	}
	if (hca_process.ring)
		packet_ring_answered(hca_process.ring);
}

static unsigned count_flows(void)
{
	gather();
	return flow_count;
}

static struct flow *flow_at(unsigned index)
{
	struct flow *flow = TAILQ_FIRST(&flows);

	while (flow && index--)
		flow = TAILQ_NEXT(flow, link);
	return flow;
}

static const struct packet *first(unsigned index)
{
	return &TAILQ_FIRST(&flow_at(index)->letters)->packet;
}

static struct letter *take(struct flow *flow)
{
	struct letter *letter = TAILQ_FIRST(&flow->letters);

	TAILQ_REMOVE(&flow->letters, letter, link);
	if (TAILQ_EMPTY(&flow->letters)) {
		TAILQ_REMOVE(&flows, flow, link);
		free(flow);
		flow_count--;
	}
	return letter;
}

static void deliver(unsigned index)
{
	struct letter *letter = take(flow_at(index));

	hca_tell_time();
	hca_deliver(&letter->packet);
	free(letter);
}

static void forget(void)
{
	gather();
	while (flow_count)
		free(take(TAILQ_FIRST(&flows)));
}

/* ---- time ---- */

static void expire(void)
{
	uint64_t now_ns = hca_tell_time();

	hca_faults_turn();
	hca_run_timers(now_ns);
	if (hca_process.ring)
		hca_wire_turn(now_ns);
	hca_release_held_completions(now_ns);
}

static uint64_t earlier(uint64_t a_ns, uint64_t b_ns)
{
	return b_ns && b_ns < a_ns ? b_ns : a_ns;
}

static uint64_t next_due_ns(void)
{
	uint64_t due_ns = hca_wire_next_due_ns(), now_ns = hca_now_ns();

	for (const struct hca *hca = hca_process.hcas; hca; hca = hca->next) {
		for (const struct hca_queue_pair *qp = hca->queue_pairs; qp; qp = qp->next_of_hca)
			due_ns = earlier(due_ns, qp->engine.due_ns);
		for (const struct hca_completion_queue *cq = hca->completion_queues; cq;
		        cq = cq->next_of_hca) {
			due_ns = earlier(due_ns, cq->queue.notify_due_ns);
			if (cq->queue.held_until_ns > now_ns)
				due_ns = earlier(due_ns, cq->queue.held_until_ns);
		}
	}
	return due_ns;
}

__attribute__((visibility("default"))) const struct turns simfabric_turns = {
        .senders = senders,
        .transmit = transmit,
        .flows = count_flows,
        .first = first,
        .deliver = deliver,
        .expire = expire,
        .next_due_ns = next_due_ns,
        .forget = forget,
        .states = turns_states,
};
