/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* Turns, taken by whoever is at hand: a program that posts or polls, or the process's thread. */
#include "simfabric/hca_faults.h"
#include "simfabric/hca_process.h"
#include "simfabric/hca_wire.h"

enum { TURN_PACKETS = 128 }; /* taken in before answers go out */

static bool take_packets_in(void)
{
	const struct packet *packet;
	int n = 0;

	while (n < TURN_PACKETS && (packet = packet_ring_peek(hca_process.ring))) {
		hca_deliver(packet);
		packet_ring_done(hca_process.ring);
		n++;
	}
	return n > 0;
}

/* Each queue pair that is ready gets one burst. */
static bool send_packets_out(void)
{
	struct queue_pair *last = hca_process.ready_last, *qp;

	if (!last)
		return false;
	do {
		qp = hca_take_ready();
		if (queue_pair_transmit(qp))
			hca_ready(qp);
	} while (qp != last && hca_process.ready_first);
	return true;
}

void hca_transmit(struct hca_queue_pair *qp)
{
	qp->hca->host.now_ns = hca_now_ns();
	if (queue_pair_transmit(&qp->engine))
		hca_ready(&qp->engine);
}

bool hca_turn(void)
{
	uint64_t now_ns;
	bool moved;

	if (!hca_process.ring)
		return false;
	now_ns = hca_tell_time();
	hca_faults_turn();
	moved = take_packets_in();
	hca_run_timers(now_ns);
	send_packets_out();
	packet_ring_answered(hca_process.ring);
	hca_wire_turn(now_ns);
	hca_release_held_completions(now_ns);
	for (struct hca *hca = hca_process.hcas; hca; hca = hca->next)
		hca_tell_counters(hca);
	return moved;
}

uint64_t hca_next_due_ns(void)
{
	uint64_t now_ns = hca_now_ns(), due_ns = hca_process.due_ns, wire_due_ns;

	/* A ring was full, or a burst was over. */
	if (hca_process.ready_first)
		return now_ns;
	wire_due_ns = hca_wire_next_due_ns();
	if (wire_due_ns < due_ns)
		due_ns = wire_due_ns;
	for (struct hca *hca = hca_process.hcas; hca; hca = hca->next) {
		for (struct hca_completion_queue *cq = hca->completion_queues; cq;
		        cq = cq->next_of_hca) {
			if (cq->queue.notify_due_ns && cq->queue.notify_due_ns < due_ns)
				due_ns = cq->queue.notify_due_ns;
		}
	}
	return due_ns;
}
