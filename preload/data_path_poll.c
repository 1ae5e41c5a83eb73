/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* What completes, from the device to the application: the half of data_path.h that polls. */
#include "preload/data_path.h"

#include "preload/completions.h"
#include "preload/datagrams.h"
#include "preload/lost_devices.h"
#include "preload/memory_windows.h"
#include "preload/nap.h"
#include "preload/window_work.h"
#include "preload/xrc.h"

struct queue_pair *completion_owner(const struct completion_queue *cq, const struct ibv_wc *wc)
{
	const struct number_entry *entry = number_table_find(&cq->qps, wc->qp_num);

	return entry ? (struct queue_pair *)entry->value : NULL;
}

static inline void receive_counted(struct queue_pair *qp, struct ibv_wc *wc)
{
	qp->receives_done++;
	wc->qp_num = queue_pair_number(qp);
}

static inline void receive_retired(struct queue_pair *qp, struct ibv_wc *wc)
{
	uint32_t sequence = tag_sequence(wc->wr_id);

	wc->wr_id = receive_log_at(&qp->receives, sequence)->wr_id;
	receive_log_retire(&qp->receives, sequence);
}

static inline void shared_receive_retired(struct queue_pair *qp, struct ibv_wc *wc)
{
	wc->wr_id = shared_log_give_back(&qp->srq->log, tag_sequence(wc->wr_id));
}

/* The header lies in the receive, which is in the log as long as it is not retired. */
static __attribute__((noinline)) bool header_looked_at(struct queue_pair *qp, struct ibv_wc *wc)
{
	receive_counted(qp, wc);
	datagram_header_received(qp, wc);
	if (qp->srq)
		shared_receive_retired(qp, wc);
	else
		receive_retired(qp, wc);
	datagram_show_pkey(qp, wc);
	return true;
}

static inline __attribute__((always_inline)) bool retired_looked_at(
        struct queue_pair *qp, struct ibv_wc *wc)
{
	receive_counted(qp, wc);
	if (qp->datagrams) {
		datagram_received(qp, wc);
	} else {
		connection_received(qp, wc);
		window_was_invalidated_by_peer(qp, wc);
	}
	return true;
}

static __attribute__((noinline)) bool receive_looked_at(struct queue_pair *qp, struct ibv_wc *wc)
{
	receive_retired(qp, wc);
	return retired_looked_at(qp, wc);
}

static __attribute__((noinline)) bool shared_receive_looked_at(
        struct queue_pair *qp, struct ibv_wc *wc)
{
	shared_receive_retired(qp, wc);
	return retired_looked_at(qp, wc);
}

static inline bool looks_at_receives(const struct queue_pair *qp)
{
	return __atomic_load_n(&qp->looks_at_receives, __ATOMIC_RELAXED);
}

static __attribute__((noinline)) bool shared_receive_completed(
        struct queue_pair *qp, struct ibv_wc *wc)
{
	if (tag_incarnation(wc->wr_id) != qp->srq->log.incarnation)
		return false;
	if (looks_at_receives(qp))
		return qp->has_headers ? header_looked_at(qp, wc)
		                       : shared_receive_looked_at(qp, wc);
	receive_counted(qp, wc);
	shared_receive_retired(qp, wc);
	connection_received(qp, wc);
	return true;
}

static bool receive_completed(struct queue_pair *qp, struct ibv_wc *wc)
{
	if (qp->srq)
		return shared_receive_completed(qp, wc);
	if (tag_incarnation(wc->wr_id) != qp->receives.incarnation)
		return false;
	if (looks_at_receives(qp))
		return qp->has_headers ? header_looked_at(qp, wc) : receive_looked_at(qp, wc);
	receive_counted(qp, wc);
	receive_retired(qp, wc);
	connection_received(qp, wc);
	return true;
}

static bool send_completed(struct queue_pair *qp, struct ibv_wc *wc)
{
	uint32_t sequence = tag_sequence(wc->wr_id);
	struct send_slot *slot = send_log_at(&qp->sends, sequence);

	if (__builtin_expect(tag_incarnation(wc->wr_id) != qp->sends.incarnation, 0))
		return window_work_completed(qp, wc);
	wc->wr_id = slot->wr_id;
	wc->qp_num = queue_pair_number(qp);
	send_log_retire(&qp->sends, sequence);
	return slot->flags & IBV_SEND_SIGNALED;
}

bool completion_pass(struct completion_queue *cq, struct queue_pair *qp, struct ibv_wc *wc)
{
	if (__builtin_expect(!qp || qp->is_target, 0))
		return xrc_is_receive(cq, wc) && xrc_receive_pass(cq, qp, wc);
	if (__builtin_expect(wc->status != IBV_WC_SUCCESS, 0))
		return completion_failed(qp, wc);
	return tag_is_receive(wc->wr_id) ? receive_completed(qp, wc) : send_completed(qp, wc);
}

/* What the application did not ask for is left out; if that is all there is, look again. */
static int poll_device(struct completion_queue *cq, int count, struct ibv_wc *wc)
{
	int got, kept = 0;

	do {
		got = cq->real->context->ops.poll_cq(cq->real, count, wc);
		for (int i = 0; i < got; i++) {
			if (!completion_pass(cq, completion_owner(cq, &wc[i]), &wc[i]))
				continue;
			if (kept != i)
				wc[kept] = wc[i];
			kept++;
		}
	} while (got > 0 && !kept);
	return got < 0 ? got : kept;
}

/*
 * Nothing comes while the device is away, and what brings it back wants the CPUs: who polls all the
 * time sleeps a little each few polls.
 */
static __attribute__((noinline, cold)) void nap_now_and_then(void)
{
	enum { POLLS = 16 };
	static __thread unsigned polled;

	if (++polled % POLLS == 0)
		nap();
}

static __attribute__((noinline)) int leave_with_strangers(
        struct completion_queue *cq, enum gate_pass pass, int got, struct ibv_wc *wc)
{
	unsigned strangers = datagrams_of_strangers(cq, got, wc);

	gate_leave(&cq->gate, pass);
	if (strangers)
		datagrams_introduce(cq, got, wc);
	return got;
}

/* Outside the gate it is waited for who has sent what is in hand. */
static inline int poll_end(
        struct completion_queue *cq, enum gate_pass pass, int got, struct ibv_wc *wc)
{
	if (__builtin_expect(cq->strangers, 0))
		return leave_with_strangers(cq, pass, got, wc);
	gate_leave(&cq->gate, pass);
	return got;
}

/* And for a device that is away. */
static int poll_end_of_detour(
        struct completion_queue *cq, enum gate_pass pass, int got, struct ibv_wc *wc)
{
	bool is_away = !got && !cq->real;

	got = poll_end(cq, pass, got, wc);
	if (is_away)
		nap_now_and_then();
	return got;
}

static __attribute__((noinline)) int poll_by_detour(
        struct completion_queue *cq, enum gate_pass pass, int count, struct ibv_wc *wc)
{
	return poll_end_of_detour(cq, pass, completion_queue_poll_detour(cq, count, wc), wc);
}

int data_path_poll_cq(struct ibv_cq *shown, int count, struct ibv_wc *wc)
{
	struct completion_queue *cq = container_of(shown, struct completion_queue, shown);
	enum gate_pass pass = gate_enter(&cq->gate);

	if (__builtin_expect(cq->detour, 0))
		return poll_by_detour(cq, pass, count, wc);
	return poll_end(cq, pass, poll_device(cq, count, wc), wc);
}

int data_path_poll_stamped(
        struct completion_queue *cq, struct ibv_wc *wc, struct completion_stamp *stamp)
{
	enum gate_pass pass = gate_enter(&cq->gate);

	return poll_end_of_detour(cq, pass, completion_queue_poll_stamped(cq, wc, stamp), wc);
}

/* Nobody can wait for what it brings. */
static int req_notify_without_channel(struct completion_queue *cq, int solicited_only)
{
	int err = cq->real->context->ops.req_notify_cq(cq->real, solicited_only);

	return err && lost_device_is_behind(cq->context, err) ? 0 : err;
}

int data_path_req_notify_cq(struct ibv_cq *shown, int solicited_only)
{
	struct completion_queue *cq = container_of(shown, struct completion_queue, shown);
	enum gate_pass pass = gate_enter(&cq->gate);
	int err = 0;

	if (cq->channel)
		err = completion_arm_request(cq, solicited_only);
	else if (cq->real)
		err = req_notify_without_channel(cq, solicited_only);
	gate_leave(&cq->gate, pass);
	return err;
}
