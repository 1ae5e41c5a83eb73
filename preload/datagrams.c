/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "preload/datagrams.h"

#include <errno.h>
#include <stdlib.h>

#include "notifier/base/log.h"
#include "notifier/base/monotonic.h"
#include "preload/agent_link.h"
#include "preload/completion_queue.h"
#include "preload/completions.h"
#include "preload/control.h"
#include "preload/drain.h"
#include "preload/move_address.h"
#include "preload/queue_pair.h"

unsigned datagrams_stopped;

#define EACH_DATAGRAM_QUEUE_PAIR(context, qp)                                                      \
	EACH_QUEUE_PAIR(context, qp)                                                               \
	if (qp->datagrams)

static const struct address_handle *address_of(const struct queue_pair *qp, uint32_t sequence)
{
	const struct send_slot *slot = send_log_at(&qp->sends, sequence);

	return container_of(
	        send_log_operands(&qp->sends, slot)->ud.ah, struct address_handle, shown);
}

static bool goes_to(const struct address_handle *to, const struct move *move)
{
	return to->numbers && move_has_lid(move, to->to.lid);
}

static bool some_are_unknown;

/* The service thread looks for it; for all that come meanwhile once. */
static void is_to_be_asked(void)
{
	if (!__atomic_exchange_n(&some_are_unknown, true, __ATOMIC_ACQ_REL))
		agent_link_wake();
}

static uint32_t number_at(const struct queue_pair *qp, uint32_t sequence)
{
	return send_log_operands(&qp->sends, send_log_at(&qp->sends, sequence))->ud.remote_qpn;
}

static bool is_unknown(const struct queue_pair *qp, uint32_t sequence)
{
	return datagram_number_is_unknown(
	        address_of(qp, sequence)->numbers, number_at(qp, sequence));
}

uint32_t datagrams_passing(const struct queue_pair *qp, uint32_t sequence, uint32_t count)
{
	uint32_t passing = 0;

	while (passing < count) {
		const struct address_handle *to = address_of(qp, sequence + passing);

		if (to->numbers && __atomic_load_n(&to->numbers->stopped, __ATOMIC_RELAXED))
			break;
		if (is_unknown(qp, sequence + passing)) {
			is_to_be_asked();
			break;
		}
		passing++;
	}
	return passing;
}

/* ---- where somebody is of whom nothing is known ---- */

/* Inside the gate. */
static bool waits_for_unknown(const struct queue_pair *qp, struct remote *whom)
{
	uint32_t first = qp->sends.posted;

	if (qp->held || !qp->real || first == qp->sends.head || !is_unknown(qp, first))
		return false;
	*whom = address_of(qp, first)->to;
	whom->qpn = whom->real_qpn = number_at(qp, first);
	return true;
}

bool datagrams_next_unknown(struct remote *whom)
{
	struct context *context;
	struct queue_pair *qp;
	bool found = false;

	if (!__atomic_exchange_n(&some_are_unknown, false, __ATOMIC_ACQ_REL))
		return false;
	control_exclusive_begin();
	EACH_DATAGRAM_QUEUE_PAIR(context, qp)
	{
		if (found)
			break;
		queue_pair_close_sends(qp);
		found = waits_for_unknown(qp, whom);
		queue_pair_open_sends(qp);
	}
	control_exclusive_end();
	return found;
}

static void go_on(struct queue_pair *qp);

void datagrams_learned(const struct remote *whom, unsigned asked_at)
{
	struct datagram_numbers *numbers = datagram_numbers_of(whom->lid, &whom->gid);
	struct context *context;
	struct queue_pair *qp;

	/* Address handles look it up there. */
	if (is_gid_name(whom->real_lid))
		datagram_numbers_of(whom->real_lid, &whom->real_gid);
	control_exclusive_begin();
	if (numbers && asked_at == datagram_numbers_taken() &&
	        datagram_numbers_learn(numbers, whom->qpn, whom->real_lid, whom->real_qpn))
		log_error("datagrams", "no memory for where lid %u, qp 0x%x is", whom->lid,
		        whom->qpn);
	EACH_DATAGRAM_QUEUE_PAIR(context, qp)
	go_on(qp);
	datagram_numbers_reclaim();
	control_exclusive_end();
}

/* ---- senders that are not known ---- */

static bool is_of_stranger(const struct ibv_wc *wc)
{
	return wc->status == IBV_WC_SUCCESS && wc->opcode & IBV_WC_RECV && wc->src_qp & STRANGER;
}

unsigned datagrams_of_strangers(struct completion_queue *cq, int count, const struct ibv_wc *wc)
{
	unsigned strangers = 0;

	for (int i = 0; i < count; i++)
		strangers += is_of_stranger(&wc[i]);
	cq->strangers -= strangers;
	return strangers;
}

/* As the application knows it; NULL: it has been destroyed meanwhile. */
static struct queue_pair *receiver_of(const struct completion_queue *cq, const struct ibv_wc *wc)
{
	const struct number_table *qps = &cq->qps;

	for (uint32_t i = 0; qps->count && i <= qps->mask; i++) {
		struct queue_pair *qp = (struct queue_pair *)qps->entries[i].value;

		if (qps->entries[i].used && queue_pair_number(qp) == wc->qp_num)
			return qp;
	}
	return NULL;
}

/* Inside the gate. */
static void introduce(struct completion_queue *cq, struct ibv_wc *wc)
{
	struct queue_pair *qp = receiver_of(cq, wc);

	if (wc->src_qp & STRANGER_BY_NAME) {
		datagram_header_introduce(cq, qp, wc);
		return;
	}
	wc->src_qp &= ~(uint32_t)STRANGER;
	if (qp)
		datagram_from(qp, wc);
}

/* Inside the gate. */
static struct remote sender_of(const struct completion_queue *cq, const struct ibv_wc *wc)
{
	if (wc->src_qp & STRANGER_BY_NAME)
		return datagram_header_sender(cq, wc);
	return (struct remote){.lid = wc->slid, .real_lid = wc->slid};
}

/* A name that nobody may have is of nobody whom one could ask for. */
static void await(const struct remote *sender, uint64_t since_ms)
{
	if (is_gid_name(sender->lid) && !datagram_numbers_of(sender->lid, &sender->gid))
		return;
	if (!sender_is_known(sender->lid))
		agent_link_await_sender(sender, since_ms);
}

void datagrams_introduce(struct completion_queue *cq, int count, struct ibv_wc *wc)
{
	uint64_t since_ms = monotonic_ms();
	enum gate_pass pass;

	for (int i = 0; i < count; i++) {
		struct remote sender;

		if (!is_of_stranger(&wc[i]))
			continue;
		pass = gate_enter(&cq->gate);
		sender = sender_of(cq, &wc[i]);
		gate_leave(&cq->gate, pass);
		await(&sender, since_ms);
		pass = gate_enter(&cq->gate);
		introduce(cq, &wc[i]);
		gate_leave(&cq->gate, pass);
	}
}

/* Those in the ring, with what is known of them. */
static void introduce_now(struct completion_queue *cq, uint32_t lid)
{
	uint32_t count = cq->strangers ? completion_ring_count(&cq->ring) : 0;

	for (uint32_t i = 0; i < count; i++) {
		struct ibv_wc *wc = completion_ring_at(&cq->ring, i);

		if (!is_of_stranger(wc) || sender_of(cq, wc).lid != lid)
			continue;
		introduce(cq, wc);
		cq->strangers--;
	}
}

void datagrams_purge(const struct queue_pair *qp)
{
	struct completion_queue *cq = qp->recv_cq;
	uint32_t count = cq->strangers ? completion_ring_count(&cq->ring) : 0;

	for (uint32_t i = 0; i < count; i++) {
		const struct ibv_wc *wc = completion_ring_at(&cq->ring, i);

		if (wc->qp_num != queue_pair_number(qp) || !is_of_stranger(wc))
			continue;
		cq->strangers--;
		if (wc->src_qp & STRANGER_BY_NAME)
			datagram_header_forget(cq, wc);
	}
}

/* ---- STOP ---- */

/* Who was inside and has not looked has left; who comes now looks. */
static void everybody_looks(void)
{
	struct context *context;
	struct queue_pair *qp;

	EACH_DATAGRAM_QUEUE_PAIR(context, qp)
	{
		gate_close(&qp->send_gate);
		gate_open(&qp->send_gate);
	}
}

/* Which GID a name stands for an address handle says that leads there: without a record there is
 * none, and nobody makes one before RESUME. */
static int add_record(struct move *move, uint32_t lid, void *unused)
{
	struct datagram_numbers *numbers =
	        is_gid_name(lid) ? datagram_numbers_named(lid) : datagram_numbers_of(lid, NULL);

	if (!numbers)
		return lid && !is_gid_name(lid) ? -ENOMEM : 0;
	move->kept_for[move->kept_for_count++] = numbers;
	return 0;
}

static void forget_records(struct move *move)
{
	free(move->kept_for);
	move->kept_for = NULL;
	move->kept_for_count = 0;
}

static int find_records(struct move *move)
{
	int err = -ENOMEM;

	move->kept_for = calloc(1 + move->known_lid_count, sizeof(*move->kept_for));
	if (move->kept_for)
		err = move_each_lid(move, add_record, NULL);
	if (err)
		forget_records(move);
	return err;
}

/* At each address under which the VM is known; under Shared Port that keeps what goes to others
 * there, too. */
int datagrams_hold(struct move *move)
{
	int err;

	if (move->keeps_datagrams)
		return 0;
	err = find_records(move);
	if (err)
		return err;
	for (size_t i = 0; i < move->kept_for_count; i++)
		__atomic_fetch_add(&move->kept_for[i]->stopped, 1, __ATOMIC_RELAXED);
	move->keeps_datagrams = true;
	__atomic_fetch_add(&datagrams_stopped, 1, __ATOMIC_RELAXED);
	everybody_looks();
	return 0;
}

/* The newest to the VM has gone when a completion behind it has come; without one to come nobody
 * will say so. */
static bool are_sent(const struct queue_pair *qp, const struct move *move)
{
	const struct send_log *log = &qp->sends;
	bool completes = false;

	for (uint32_t i = log->posted; i != log->tail; i--) {
		completes |= send_log_at(log, i - 1)->flags & IBV_SEND_SIGNALED;
		if (completes && goes_to(address_of(qp, i - 1), move))
			return false;
	}
	return true;
}

static void harvest(struct queue_pair *qp)
{
	queue_pair_close_completions(qp);
	queue_pair_harvest(qp);
	queue_pair_open_completions(qp);
}

bool datagrams_are_sent(const struct move *move)
{
	struct context *context;
	struct queue_pair *qp;
	bool sent = true;

	EACH_DATAGRAM_QUEUE_PAIR(context, qp)
	{
		if (qp->migration.move == move || qp->application_error)
			continue;
		harvest(qp);
		queue_pair_close_sends(qp);
		sent &= are_sent(qp, move);
		queue_pair_open_sends(qp);
	}
	return sent;
}

/* ---- RECONNECT ---- */

/*
 * What has been received is of senders that had their earlier numbers: into the application's terms
 * with it first. After the vote and an abort nothing has changed.
 */
static int introduce_those_of(struct move *move, uint32_t lid, void *unused)
{
	struct context *context;
	struct queue_pair *qp;

	EACH_DATAGRAM_QUEUE_PAIR(context, qp)
	{
		queue_pair_close_completions(qp);
		queue_pair_harvest(qp);
		introduce_now(qp->recv_cq, lid);
		queue_pair_open_completions(qp);
	}
	return 0;
}

/* A name that stands in no row is nobody's any more; where it has no record either nobody cares. */
static struct datagram_numbers *record_of(const struct move *move, uint32_t lid)
{
	union ibv_gid gid;

	if (!is_gid_name(lid))
		return datagram_numbers_of(lid, NULL);
	return gid_rows_find(move->event->gids, lid, gid.raw) ? datagram_numbers_of(lid, &gid)
	                                                      : datagram_numbers_named(lid);
}

static int take_numbers_at(struct move *move, uint32_t lid, void *rows)
{
	struct datagram_numbers *numbers = record_of(move, lid);
	int err;

	if (!numbers)
		return lid && !is_gid_name(lid) ? -ENOMEM : 0;
	err = datagram_numbers_take(numbers, rows, move->event->gids);
	if (is_gid_name(lid))
		datagram_numbers_turn(numbers);
	agent_link_took_numbers(lid, &numbers->gid);
	return err;
}

/* Names at which senders of the VM were heard, and where it is no more. */
static bool has_left(const struct datagram_numbers *numbers, const struct move *move)
{
	const struct datagram_tables *tables = datagram_tables_of(numbers);
	const struct number_table *senders = tables ? &tables->to_virtual : NULL;

	if (!senders || move_has_lid(move, numbers->lid))
		return false;
	for (uint32_t i = 0; senders->count && i <= senders->mask; i++) {
		if (senders->entries[i].used &&
		        move_has_lid(move, datagram_entry_lid(&senders->entries[i])))
			return true;
	}
	return false;
}

static void introduce_where_it_was(struct datagram_numbers *numbers, void *move)
{
	if (has_left(numbers, move))
		introduce_those_of(move, numbers->lid, NULL);
}

static void forget_where_it_was(struct datagram_numbers *numbers, void *move)
{
	if (!has_left(numbers, move))
		return;
	sender_set_unknown(numbers);
	agent_link_sender_has_left(numbers->lid, &numbers->gid);
	datagram_numbers_forget(numbers);
}

int datagrams_take_numbers(struct move *move, Tether__QpRows *rows)
{
	int err;

	if (move->state == MOVE_VOTED)
		return 0;
	datagram_numbers_each_named(introduce_where_it_was, move);
	err = move_each_lid_in(move, rows, introduce_those_of, NULL);
	datagram_numbers_each_named(forget_where_it_was, move);
	if (!err)
		err = move_each_lid_in(move, rows, take_numbers_at, rows);
	address_routes_follow();
	datagram_numbers_reclaim();
	return err;
}

/* ---- the end ---- */

/* Also what somebody is about to keep who has looked before: so inside the gates. */
static void go_on(struct queue_pair *qp)
{
	queue_pair_close(qp);
	if (!qp->held && qp->real && qp->sends.posted != qp->sends.head) {
		if (qp->application_error)
			queue_pair_end(qp, IBV_WC_WR_FLUSH_ERR);
		else
			queue_pair_post_kept(qp);
	}
	queue_pair_open(qp);
}

void datagrams_let_go(struct move *move)
{
	struct context *context;
	struct queue_pair *qp;

	if (!move->keeps_datagrams)
		return;
	for (size_t i = 0; i < move->kept_for_count; i++)
		__atomic_fetch_sub(&move->kept_for[i]->stopped, 1, __ATOMIC_RELAXED);
	forget_records(move);
	move->keeps_datagrams = false;
	EACH_DATAGRAM_QUEUE_PAIR(context, qp)
	go_on(qp);
	/* Nobody has to look any more: nothing is kept. */
	__atomic_fetch_sub(&datagrams_stopped, 1, __ATOMIC_RELAXED);
}
