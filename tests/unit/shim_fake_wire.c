/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* What is executed of the fake HCA's work, when a test says so. */
#include <stdlib.h>
#include <string.h>

#include "notifier/base/cleanup.h"
#include "tests/unit/shim_fake_completions.h"
#include "tests/unit/shim_fake_ethernet.h"
#include "tests/unit/shim_fake_events.h"
#include "tests/unit/shim_fake_hca.h"
#include "tests/unit/shim_fake_memory.h"
#include "tests/unit/shim_fake_queue_pairs.h"
#include "tests/unit/shim_fake_shared_queues.h"
#include "tests/unit/shim_fake_windows.h"

/* In fields of a completion that nobody has filled. */
enum { UNDEFINED = 0x5b5b5b5b };

static bool leads_to(const struct ibv_ah_attr *address, const struct hca *hca)
{
	if (fake.ethernet)
		return fake_ethernet_at(&address->grh.dgid) == hca;
	return address->dlid == hca->lid;
}

static struct fake_qp *responder_of(const struct fake_qp *qp)
{
	struct fake_qp *other;

	TAILQ_FOREACH(other, &fake_qps, link)
	{
		if (other->qp.qp_num == qp->attr.dest_qp_num &&
		        leads_to(&qp->attr.ah_attr, other->hca) &&
		        other->attr.dest_qp_num == qp->qp.qp_num &&
		        other->qp.state >= IBV_QPS_RTR && other->qp.state <= IBV_QPS_SQD)
			return other;
	}
	return NULL;
}

/* Who hears a datagram; NULL: nobody. */
static struct fake_qp *hearer_of(const struct fake_send *send)
{
	struct fake_qp *other;

	TAILQ_FOREACH(other, &fake_qps, link)
	{
		if (other->qp.qp_num == send->wr.wr.ud.remote_qpn &&
		        other->qp.qp_type == IBV_QPT_UD && leads_to(&send->to, other->hca) &&
		        other->attr.qkey == send->wr.wr.ud.remote_qkey &&
		        other->qp.state >= IBV_QPS_RTR && other->qp.state <= IBV_QPS_SQD &&
		        other->receives->tail != other->receives->head)
			return other;
	}
	return NULL;
}

/* Bytes of @send from or to its buffers, one after the other. False: a key does not allow it. */
static bool copy_local(const struct fake_qp *qp, struct fake_send *send, uint8_t *data, bool out)
{
	if (send->wr.send_flags & IBV_SEND_INLINE) {
		memcpy(data, send->payload, send->length);
		return true;
	}
	for (int i = 0; i < send->wr.num_sge; i++) {
		const struct ibv_sge *sge = &send->sges[i];
		uint8_t *at = fake_resolve(qp->hca, sge->lkey, sge->addr, sge->length);

		if (!at)
			return false;
		if (out)
			memcpy(data, at, sge->length);
		else
			memcpy(at, data, sge->length);
		data += sge->length;
	}
	return true;
}

static void receive_complete(
        struct fake_qp *to, const struct fake_receive *receive, const struct fake_send *send)
{
	struct ibv_wc wc = {.wr_id = receive->wr_id,
	        .opcode = IBV_WC_RECV,
	        .byte_len = send->length,
	        .imm_data = send->wr.imm_data,
	        .qp_num = to->qp.qp_num,
	        .src_qp = UNDEFINED,
	        .wc_flags = send->wr.opcode == IBV_WR_SEND_WITH_INV ? IBV_WC_WITH_INV : 0};

	fake_push_late(
	        to->qp.recv_cq, &wc, send->wr.send_flags & IBV_SEND_SOLICITED, fake.hold_receives);
}

static bool takes_receive(const struct fake_send *send)
{
	return send->wr.opcode == IBV_WR_SEND || send->wr.opcode == IBV_WR_SEND_WITH_IMM ||
	       send->wr.opcode == IBV_WR_SEND_WITH_INV ||
	       send->wr.opcode == IBV_WR_RDMA_WRITE_WITH_IMM;
}

/* An XRC target receives into what the sender names. False: it may not. */
static bool aim(struct fake_qp *to, const struct fake_send *send)
{
	struct fake_srq *srq;

	TAILQ_FOREACH(srq, &fake_srqs, link)
	{
		if (srq->xrcd != to->xrcd || srq->number != send->wr.qp_type.xrc.remote_srqn)
			continue;
		to->receives = &srq->queue;
		to->qp.srq = &srq->srq;
		to->qp.recv_cq = srq->cq;
		return true;
	}
	return false;
}

static void take_receive(struct fake_qp *to)
{
	if (to->has_taken)
		return;
	to->taken = to->receives->slots[to->receives->tail++ % FAKE_QUEUE];
	to->has_taken = true;
	if (to->qp.srq)
		fake_check_limit((struct fake_srq *)to->qp.srq);
}

static bool execute_send(struct fake_qp *to, struct fake_send *send, const uint8_t *data)
{
	struct fake_receive receive;

	if (send->wr.opcode == IBV_WR_SEND_WITH_INV &&
	        !fake_window_invalidate(to, send->wr.invalidate_rkey))
		return false;
	take_receive(to);
	receive = to->taken;
	to->has_taken = false;
	if (send->length) {
		uint8_t *at = fake_resolve(
		        to->hca, receive.sges[0].lkey, receive.sges[0].addr, send->length);

		if (!at)
			return false;
		memcpy(at, data, send->length);
	}
	receive_complete(to, &receive, send);
	return true;
}

/* Of a region or a window. */
static uint8_t *open_to_peers(
        const struct fake_qp *to, uint32_t rkey, uint64_t addr, uint32_t length)
{
	uint8_t *at = fake_resolve(to->hca, rkey, addr, length);

	return at ? at : fake_window_resolve(to, rkey, addr, length);
}

static bool execute_atomic(struct fake_qp *to, struct fake_send *send, uint8_t *data)
{
	uint64_t *at = (uint64_t *)(void *)open_to_peers(
	        to, send->wr.wr.atomic.rkey, send->wr.wr.atomic.remote_addr, 8);
	uint64_t was;

	if (!at)
		return false;
	was = *at;
	if (send->wr.opcode == IBV_WR_ATOMIC_FETCH_AND_ADD)
		*at += send->wr.wr.atomic.compare_add;
	else if (was == send->wr.wr.atomic.compare_add)
		*at = send->wr.wr.atomic.swap;
	memcpy(data, &was, sizeof(was));
	return true;
}

/* At the responder; what a READ or an atomic brings is in @data. */
static bool execute_at(struct fake_qp *to, struct fake_send *send, uint8_t *data)
{
	uint8_t *at;

	switch (send->wr.opcode) {
	case IBV_WR_SEND:
	case IBV_WR_SEND_WITH_IMM:
	case IBV_WR_SEND_WITH_INV:
		return execute_send(to, send, data);
	case IBV_WR_ATOMIC_FETCH_AND_ADD:
	case IBV_WR_ATOMIC_CMP_AND_SWP:
		return execute_atomic(to, send, data);
	default:
		break;
	}
	at = open_to_peers(to, send->wr.wr.rdma.rkey, send->wr.wr.rdma.remote_addr, send->length);
	if (!at)
		return false;
	if (send->wr.opcode == IBV_WR_RDMA_READ) {
		memcpy(data, at, send->length);
		return true;
	}
	memcpy(at, data, send->length);
	if (send->wr.opcode == IBV_WR_RDMA_WRITE_WITH_IMM) {
		take_receive(to);
		receive_complete(to, &to->taken, send);
		to->has_taken = false;
	}
	return true;
}

static bool has_answer(const struct fake_send *send)
{
	return send->wr.opcode == IBV_WR_RDMA_READ ||
	       send->wr.opcode == IBV_WR_ATOMIC_FETCH_AND_ADD ||
	       send->wr.opcode == IBV_WR_ATOMIC_CMP_AND_SWP;
}

static void fail(struct fake_qp *qp, enum ibv_wc_status status)
{
	fake_complete_send(qp, status);
	fake_last_wqe_reached(qp);
	qp->qp.state = IBV_QPS_ERR;
	fake_flush(qp);
}

void fake_acknowledge(const struct ibv_qp *shown)
{
	struct fake_qp *qp = (struct fake_qp *)shown;

	while (qp->completed != qp->executed)
		fake_complete_send(qp, IBV_WC_SUCCESS);
}

/* Into its buffers, one after the other. False: a key does not allow it, or they are too short. */
static bool scatter(const struct fake_qp *to, const struct fake_receive *receive,
        const uint8_t *data, uint32_t length)
{
	for (int i = 0; i < receive->num_sge && length; i++) {
		const struct ibv_sge *sge = &receive->sges[i];
		uint32_t part = sge->length < length ? sge->length : length;
		uint8_t *at = fake_resolve(to->hca, sge->lkey, sge->addr, part);

		if (!at)
			return false;
		memcpy(at, data, part);
		data += part;
		length -= part;
	}
	return !length;
}

/* Behind the 40 bytes of a global route header, which is zeros where there was none. */
static void hear(struct fake_qp *to, const struct fake_qp *from, struct fake_send *send)
{
	struct fake_receive *receive = &to->receives->slots[to->receives->tail++ % FAKE_QUEUE];
	struct ibv_wc wc = {.wr_id = receive->wr_id,
	        .opcode = IBV_WC_RECV,
	        .byte_len = send->length + sizeof(struct ibv_grh),
	        .imm_data = send->wr.imm_data,
	        .qp_num = to->qp.qp_num,
	        .src_qp = from->qp.qp_num,
	        .slid = from->hca->lid,
	        .wc_flags = send->to.is_global ? IBV_WC_GRH : 0};
	CLEANUP_FREE uint8_t *data = calloc(1, wc.byte_len);

	if (fake.ethernet) {
		fake_ethernet_header(from->hca, &send->to, send->length, data);
		wc.wc_flags |= IBV_WC_GRH;
		wc.slid = (uint16_t)UNDEFINED;
	}
	copy_local(from, send, data + sizeof(struct ibv_grh), true);
	if (scatter(to, receive, data, wc.byte_len))
		fake_push_late(to->qp.recv_cq, &wc, send->wr.send_flags & IBV_SEND_SOLICITED,
		        fake.hold_receives);
}

/* Whoever acknowledges nothing does not know whether anybody has taken it. */
static bool send_unreliably(struct fake_qp *qp, struct fake_qp *to, bool completed)
{
	struct fake_send *send = &qp->sends[qp->executed % FAKE_QUEUE];
	bool heard = true;

	if (qp->qp.qp_type == IBV_QPT_UD) {
		to = hearer_of(send);
		if (to)
			hear(to, qp, send);
	} else if (to) {
		heard = !takes_receive(send) || to->receives->tail != to->receives->head;
		to->expected_psn = (to->expected_psn + send->packets) & 0xffffff;
		if (heard) {
			uint8_t *data = calloc(1, send->length + 8u);

			copy_local(qp, send, data, true);
			execute_at(to, send, data);
			free(data);
		}
	}
	qp->executed++;
	qp->sent_psn = (qp->sent_psn + send->packets) & 0xffffff;
	if (completed)
		fake_acknowledge(&qp->qp);
	return true;
}

static void communication_is_established(struct fake_qp *to)
{
	if (to->qp.state == IBV_QPS_RTR && !to->established)
		fake_async_event(to->qp.context, (struct ibv_async_event){.element.qp = &to->qp,
		                                         .event_type = IBV_EVENT_COMM_EST});
	to->established = true;
}

/* False: it cannot go on. */
static bool execute_one(struct fake_qp *qp, struct fake_qp *to, bool acknowledged)
{
	struct fake_send *send = &qp->sends[qp->executed % FAKE_QUEUE];
	uint8_t *data;
	bool done;

	if (fake_is_unreliable(qp))
		return send_unreliably(qp, to, acknowledged);
	if (!to)
		return false;
	if (to->xrcd && !aim(to, send)) {
		fail(qp, IBV_WC_REM_INV_REQ_ERR);
		return false;
	}
	if (takes_receive(send) && !to->has_taken && to->receives->tail == to->receives->head)
		return false;
	data = calloc(1, send->length + 8u);
	if (!has_answer(send))
		copy_local(qp, send, data, true);
	done = execute_at(to, send, data);
	if (done) {
		communication_is_established(to);
		to->expected_psn = (to->expected_psn + send->packets - qp->partial) & 0xffffff;
		qp->partial = 0;
		qp->executed++;
		if (acknowledged && has_answer(send))
			copy_local(qp, send, data, false);
		if (acknowledged)
			fake_acknowledge(&qp->qp);
	} else {
		fail(qp, IBV_WC_REM_ACCESS_ERR);
	}
	free(data);
	return done;
}

unsigned fake_execute(const struct ibv_qp *shown, unsigned messages, bool acknowledged)
{
	struct fake_qp *qp = (struct fake_qp *)shown, *to = responder_of(qp);
	unsigned done = 0;

	LOCK_GUARD(&fake_lock);
	fake_do_local(qp);
	while ((to || fake_is_unreliable(qp)) && done < messages && qp->executed != qp->head &&
	        execute_one(qp, to, acknowledged)) {
		done++;
		fake_do_local(qp);
	}
	return done;
}

static struct fake_qp *any_qp(unsigned *seed)
{
	struct fake_qp *qp;
	unsigned count = 0;

	TAILQ_FOREACH(qp, &fake_qps, link)
	count++;
	if (!count)
		return NULL;
	count = (unsigned)rand_r(seed) % count;
	TAILQ_FOREACH(qp, &fake_qps, link)
	{
		if (!count--)
			break;
	}
	return qp;
}

/* What a READ or an atomic brings is there with its acknowledgement only. */
static void go_on_a_little(struct fake_qp *qp, unsigned *seed)
{
	for (int more = rand_r(seed) % 2; more >= 0 && qp->executed != qp->head; more--)
		fake_execute(&qp->qp, 1,
		        has_answer(&qp->sends[qp->executed % FAKE_QUEUE]) || rand_r(seed) % 2);
}

void fake_stir(unsigned *seed)
{
	struct fake_qp *qp;

	LOCK_GUARD(&fake_lock);
	qp = any_qp(seed);
	if (!qp || qp->qp.state != IBV_QPS_RTS)
		return;
	if (rand_r(seed) % 4)
		go_on_a_little(qp, seed);
	else
		fake_acknowledge(&qp->qp);
}

void fake_aim(const struct ibv_qp *shown, const struct ibv_qp_attr *attr)
{
	((struct fake_qp *)shown)->attr = *attr;
}

void fake_execute_part(const struct ibv_qp *shown, unsigned packets)
{
	struct fake_qp *qp = (struct fake_qp *)shown, *to = responder_of(qp);

	if (to->xrcd)
		aim(to, &qp->sends[qp->executed % FAKE_QUEUE]);
	to->expected_psn = (to->expected_psn + packets) & 0xffffff;
	qp->partial += packets;
	/* Of its own queue all others are flushed with it, of a shared one it alone. */
	if (to->qp.srq && takes_receive(&qp->sends[qp->executed % FAKE_QUEUE]))
		take_receive(to);
}
