/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Datagrams while a VM moves. Each names where it goes, so a queue pair elsewhere is not stopped:
 * while a move has stopped an address, what is sent there, and what is behind it in the same queue,
 * is kept in the log; who sends nothing there does not notice. And what is posted names the
 * destination as it is called now, what is received the sender as the application knows it.
 *
 * Steps are the service thread's, control verbs kept out; the inline functions are the data path's,
 * inside the gate of the queue.
 */
#ifndef TETHER_DATAGRAMS_H
#define TETHER_DATAGRAMS_H

#include "notifier/wire/gid_name.h"
#include "preload/address_route.h"
#include "preload/datagram_headers.h"
#include "preload/datagram_numbers.h"
#include "preload/heard_senders.h"
#include "preload/move.h"
#include "preload/objects.h"
#include "preload/port_tables.h"

/* So many moves have stopped an address. */
extern unsigned datagrams_stopped;

/* Has the send queue to look where each goes? */
static inline bool datagrams_look_closer(const struct queue_pair *qp)
{
	return qp->datagrams &&
	       (__atomic_load_n(&datagrams_stopped, __ATOMIC_RELAXED) ||
	               __atomic_load_n(&datagram_numbers_leading_away, __ATOMIC_RELAXED));
}

/* How many of the @count sends from @sequence on go to nobody who is stopped, or of whom it has to
 * be asked first where it is. */
uint32_t datagrams_passing(const struct queue_pair *qp, uint32_t sequence, uint32_t count);

static inline void datagram_send_to_real(struct ibv_send_wr *wr)
{
	struct address_handle *to = container_of(wr->wr.ud.ah, struct address_handle, shown);
	const struct number_entry *entry = datagram_destination(to->numbers, wr->wr.ud.remote_qpn);

	wr->wr.ud.ah = to->real;
	if (__builtin_expect(!entry && !to->is_astray, 1))
		return;
	if (entry)
		wr->wr.ud.remote_qpn = datagram_entry_qpn(entry);
	if (to->is_astray || datagram_entry_lid(entry))
		address_route_lead(to, entry ? datagram_entry_lid(entry) : 0, wr);
}

/* Before it is handed to the device. */
static inline void datagram_sent(struct queue_pair *qp, struct ibv_send_wr *wr)
{
	const struct address_handle *to = container_of(wr->wr.ud.ah, struct address_handle, shown);

	if (to->numbers)
		datagram_counts_add(
		        &qp->sent, to->own, to->to.lid, wr->wr.ud.remote_qpn, to->attr.is_global);
	datagram_send_to_real(wr);
}

/* It was refused. */
static inline void datagram_not_sent(struct queue_pair *qp, const union send_operands *operands)
{
	const struct address_handle *to =
	        container_of(operands->ud.ah, struct address_handle, shown);
	struct datagram_count *count = NULL;

	if (to->numbers)
		count = datagram_counts_at(
		        &qp->sent, to->own, datagram_other(to->to.lid, operands->ud.remote_qpn));
	if (!count)
		return;
	count->count--;
	count->with_grh -= to->attr.is_global;
}

/*
 * Datagrams to a group are no concern of its members' senders, and have a GRH: a member does not
 * count what has one.
 */
static inline bool datagrams_may_be_of_a_group(const struct queue_pair *qp)
{
	return __atomic_load_n(&qp->group_count, __ATOMIC_RELAXED);
}

static inline void datagram_from(struct queue_pair *qp, struct ibv_wc *wc)
{
	bool has_grh = wc->wc_flags & IBV_WC_GRH;
	const struct number_entry *entry =
	        datagram_sender(datagram_numbers_at(wc->slid), wc->src_qp);

	if (__builtin_expect(entry != NULL, 0)) {
		wc->src_qp = datagram_entry_qpn(entry);
		if (datagram_entry_lid(entry))
			wc->slid = (uint16_t)datagram_entry_lid(entry);
	}
	if (!has_grh || !datagrams_may_be_of_a_group(qp))
		datagram_counts_add(&qp->received, 0, wc->slid, wc->src_qp, has_grh);
}

static inline void datagram_it_is_not(struct ibv_wc *wc)
{
	wc->src_qp &= ~(uint32_t)STRANGER;
}

/* Of a connection nobody names the sender: the field may hold anything. Where it comes from is as
 * the application knows it. */
static inline void connection_received(const struct queue_pair *qp, struct ibv_wc *wc)
{
	datagram_it_is_not(wc);
	if (__builtin_expect(qp->remote.real_lid != qp->remote.lid, 0) &&
	        !is_gid_name(qp->remote.lid))
		wc->slid = (uint16_t)qp->remote.lid;
}

static inline void datagram_show_pkey(const struct queue_pair *qp, struct ibv_wc *wc)
{
	const struct context *context = qp->context;

	if (context->moved)
		wc->pkey_index = port_tables_pkey_to_shown(
		        &context->tables[qp->attr.port_num - 1], wc->pkey_index);
}

/* Where there are LIDs; else datagram_headers.h. */
static inline __attribute__((always_inline)) void datagram_received(
        struct queue_pair *qp, struct ibv_wc *wc)
{
	if (__builtin_expect(sender_is_known(wc->slid), 1)) {
		datagram_from(qp, wc);
	} else {
		wc->src_qp |= STRANGER;
		qp->recv_cq->strangers++;
	}
	datagram_show_pkey(qp, wc);
}

/* Whom the first that is kept for that reason goes to. The service thread, no lock held. */
bool datagrams_next_unknown(struct remote *whom);
/* It is at its real LID and number, if no numbers have been taken since @asked_at: what was kept
 * for that goes out, or it is asked again. The same. */
void datagrams_learned(const struct remote *whom, unsigned asked_at);

/* How many of the @count completions in hand are of strangers; inside the gate. */
unsigned datagrams_of_strangers(struct completion_queue *cq, int count, const struct ibv_wc *wc);
/* Waits, outside the gate, and says who has sent them. */
void datagrams_introduce(struct completion_queue *cq, int count, struct ibv_wc *wc);
/* What is of @qp is taken out of the ring; gates closed. */
void datagrams_purge(const struct queue_pair *qp);

/* STOP: from here on nothing is sent to the VM. Idempotent. -ENOMEM */
int datagrams_hold(struct move *move);
/* What was sent there before is on its way, as far as a completion tells. */
bool datagrams_are_sent(const struct move *move);
/* RECONNECT: the VM's queue pairs are called as @rows say. -ENOMEM, -EBADMSG */
int datagrams_take_numbers(struct move *move, Tether__QpRows *rows);
/* The end, whichever: what was kept goes out. */
void datagrams_let_go(struct move *move);

#endif
