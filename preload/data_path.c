/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "preload/data_path.h"

#include <errno.h>

#include "preload/completions.h"
#include "preload/datagrams.h"
#include "preload/lost_devices.h"
#include "preload/memory_windows.h"
#include "preload/window_work.h"
#include "preload/xrc.h"

/* ---- sends ---- */

static bool translates(const struct queue_pair *qp)
{
	return __builtin_expect(qp->context->moved || qp->remote.keys || qp->srq_numbers, 0);
}

/* Local work is not posted here. */
static __attribute__((noinline)) uint32_t *rare_rkey(struct ibv_send_wr *wr)
{
	return wr->opcode == IBV_WR_SEND_WITH_INV ? &wr->invalidate_rkey : &wr->wr.atomic.rkey;
}

static void translate_send(struct queue_pair *qp, struct ibv_send_wr *wr, unsigned nth)
{
	uint32_t *rkey = __builtin_expect(wr->opcode > IBV_WR_RDMA_READ, 0) ? rare_rkey(wr)
	                                                                    : &wr->wr.rdma.rkey;

	if (qp->context->moved && !(wr->send_flags & IBV_SEND_INLINE))
		wr->sg_list = translate_sges(&qp->context->lkeys,
		        &qp->scratch_sges[nth * qp->sends.max_sge], wr->sg_list, wr->num_sge);
	if (qp->srq_numbers)
		wr->qp_type.xrc.remote_srqn =
		        xrc_number_to_real(qp->srq_numbers, wr->qp_type.xrc.remote_srqn);
	if (qp->remote.keys)
		*rkey = remote_keys_translate(qp->remote.keys, *rkey);
}

/* What the device refuses nobody receives. */
static __attribute__((noinline, cold)) void count_back(
        struct queue_pair *qp, uint32_t from, uint32_t to)
{
	for (; from != to; from++)
		datagram_not_sent(qp, send_log_operands(&qp->sends, send_log_at(&qp->sends, from)));
}

/* As queue_pair_give_receives; @count is not 0. */
static int give_sends(struct queue_pair *qp, uint32_t sequence, uint32_t count, uint32_t *posted)
{
	struct ibv_send_wr wrs[POST_CHUNK], *bad;
	int err;

	for (uint32_t i = 0; i < count; i++) {
		send_log_wr(&qp->sends, sequence + i, &wrs[i]);
		if (qp->datagrams)
			datagram_sent(qp, &wrs[i]);
		if (translates(qp))
			translate_send(qp, &wrs[i], i);
		wrs[i].next = i + 1 < count ? &wrs[i + 1] : NULL;
	}
	*posted = count;
	err = qp->real->context->ops.post_send(qp->real, wrs, &bad);
	if (__builtin_expect(err, 0)) {
		*posted = tag_sequence(bad->wr_id) - sequence;
		if (qp->datagrams)
			count_back(qp, sequence + *posted, sequence + count);
	}
	return err;
}

/* In the error state whatever is posted comes back at once. */
static void flush_kept_sends(struct queue_pair *qp)
{
	gate_close(&qp->send_cq->gate);
	completion_queue_harvest(qp->send_cq);
	queue_pair_flush_sends(qp, IBV_WC_WR_FLUSH_ERR);
	gate_open(&qp->send_cq->gate);
}

static void flush_kept_receives(struct queue_pair *qp)
{
	gate_close(&qp->recv_cq->gate);
	completion_queue_harvest(qp->recv_cq);
	queue_pair_flush_receives(qp);
	gate_open(&qp->recv_cq->gate);
}

static __attribute__((noinline)) int keep_sends(
        struct queue_pair *qp, uint32_t count, uint32_t *posted)
{
	*posted = 0;
	if (qp->shown.qp_base.state < IBV_QPS_RTS)
		return EINVAL;
	send_log_commit(&qp->sends, count, false);
	*posted = count;
	if (qp->application_error)
		flush_kept_sends(qp);
	return 0;
}

/* A device that is gone, and is not told of yet, has taken it all the same. */
__attribute__((noinline, cold)) int queue_pair_keep_refused(
        struct queue_pair *qp, uint32_t count, uint32_t *posted, int err)
{
	uint32_t kept;

	if (!lost_device_is_behind(qp->context, err))
		return err;
	err = keep_sends(qp, count - *posted, &kept);
	*posted += kept;
	return err;
}

static int give_filled(struct queue_pair *qp, uint32_t count, uint32_t *posted)
{
	int err = give_sends(qp, qp->sends.head, count, posted);

	send_log_commit(&qp->sends, *posted, true);
	return __builtin_expect(err, 0) ? queue_pair_keep_refused(qp, count, posted, err) : 0;
}

/* What is executed is not posted again; so many are that come before the next of that. */
static uint32_t next_kept(struct send_log *log)
{
	uint32_t count = 0;

	while (log->posted != log->head && send_log_at(log, log->posted)->fate == FATE_EXECUTED)
		send_log_reposted(log, log->posted + 1);
	while (count < POST_CHUNK && log->posted + count != log->head &&
	        send_log_at(log, log->posted + count)->fate == FATE_OPEN)
		count++;
	return count;
}

int queue_pair_give_kept(struct queue_pair *qp)
{
	struct send_log *log = &qp->sends;
	uint32_t count, posted;
	int err = 0;

	while (!err && (count = next_kept(log))) {
		if (datagrams_look_closer(qp))
			count = datagrams_passing(qp, log->posted, count);
		if (!count)
			break;
		count = window_work_ahead(qp, log->posted, count);
		if (count) {
			err = give_sends(qp, log->posted, count, &posted);
		} else {
			err = window_work_give(qp, log->posted);
			posted = !err;
		}
		send_log_reposted(log, log->posted + posted);
	}
	return err;
}

/*
 * A queue completes in order, so what is behind work that is kept is kept, too. What the device
 * refuses of it stays: the application has been told that it was accepted.
 */
static __attribute__((noinline)) int post_behind_kept(
        struct queue_pair *qp, uint32_t count, uint32_t *posted)
{
	int err = keep_sends(qp, count, posted);

	if (!err)
		queue_pair_give_kept(qp);
	return err;
}

static __attribute__((noinline)) int post_by_address(
        struct queue_pair *qp, uint32_t count, uint32_t *posted)
{
	uint32_t passing = datagrams_passing(qp, qp->sends.head, count), kept;
	int err = 0;

	*posted = 0;
	if (passing)
		err = give_filled(qp, passing, posted);
	if (err || passing == count)
		return err;
	err = keep_sends(qp, count - passing, &kept);
	*posted += kept;
	return err;
}

int queue_pair_post_filled(struct queue_pair *qp, uint32_t count, uint32_t *posted)
{
	send_log_number(&qp->sends, count);
	if (__builtin_expect(qp->held, 0))
		return keep_sends(qp, count, posted);
	if (__builtin_expect(qp->sends.posted != qp->sends.head, 0))
		return post_behind_kept(qp, count, posted);
	if (__builtin_expect(datagrams_look_closer(qp), 0))
		return post_by_address(qp, count, posted);
	return give_filled(qp, count, posted);
}

/* What is no work for send_log_fill, which has said @err. */
static __attribute__((noinline, cold)) int post_unfilled(
        struct queue_pair *qp, const struct ibv_send_wr *wr, int err)
{
	return err == EINVAL && window_work_is(wr) ? window_work_post(qp, wr) : err;
}

static int post_sends(struct queue_pair *qp, struct ibv_send_wr *wr, struct ibv_send_wr **bad_wr)
{
	int err = 0;

	while (wr && !err) {
		struct ibv_send_wr *chunk[POST_CHUNK];
		uint32_t filled = 0, posted = 0;
		int fill_err = 0;

		for (; wr && filled < POST_CHUNK; wr = wr->next) {
			fill_err = send_log_fill(&qp->sends, filled, wr);
			if (fill_err)
				break;
			chunk[filled++] = wr;
		}
		if (filled)
			err = queue_pair_post_filled(qp, filled, &posted);
		if (!err && fill_err) {
			err = post_unfilled(qp, wr, -fill_err);
			if (!err)
				wr = wr->next;
		}
		if (err)
			*bad_wr = posted < filled ? chunk[posted] : wr;
	}
	return err;
}

int data_path_post_send(struct ibv_qp *shown, struct ibv_send_wr *wr, struct ibv_send_wr **bad_wr)
{
	struct queue_pair *qp = container_of(shown, struct queue_pair, shown.qp_base);
	enum gate_pass build_pass = GATE_NESTED, pass;
	int err;

	/* Not into slots that another thread is building in. */
	if (qp->has_ex)
		build_pass = gate_enter(&qp->build_gate);
	pass = gate_enter(&qp->send_gate);
	err = post_sends(qp, wr, bad_wr);
	gate_leave(&qp->send_gate, pass);
	gate_leave(&qp->build_gate, build_pass);
	return err;
}

/* ---- receives ---- */

int queue_pair_give_receives(
        struct queue_pair *qp, uint32_t sequence, uint32_t count, uint32_t *posted)
{
	struct ibv_recv_wr wrs[POST_CHUNK], *bad;
	int err;

	for (uint32_t i = 0; i < count; i++) {
		receive_log_wr(&qp->receives, sequence + i, &wrs[i]);
		if (qp->context->moved)
			wrs[i].sg_list = translate_sges(&qp->context->lkeys,
			        &qp->scratch_receive_sges[i * qp->receives.max_sge], wrs[i].sg_list,
			        wrs[i].num_sge);
		wrs[i].next = i + 1 < count ? &wrs[i + 1] : NULL;
	}
	err = qp->real->context->ops.post_recv(qp->real, wrs, &bad);
	*posted = err ? tag_sequence(bad->wr_id) - sequence : count;
	return err;
}

int queue_pair_give_kept_receives(struct queue_pair *qp)
{
	struct receive_log *log = &qp->receives;
	int err = 0;

	while (log->posted != log->head && !err) {
		uint32_t count = log->head - log->posted, posted;

		if (count > POST_CHUNK)
			count = POST_CHUNK;
		err = queue_pair_give_receives(qp, log->posted, count, &posted);
		log->posted += posted;
	}
	return err;
}

/* A queue receives in order, too. What is refused stays, and is asked about already. */
static __attribute__((noinline, cold)) int receive_behind_kept(
        struct queue_pair *qp, uint32_t count, uint32_t *posted)
{
	receive_log_commit(&qp->receives, count, false);
	*posted = count;
	queue_pair_give_kept_receives(qp);
	return 0;
}

static int post_filled_receives(struct queue_pair *qp, uint32_t count, uint32_t *posted)
{
	int err = 0;

	if (__builtin_expect(qp->receives_held, 0)) {
		receive_log_commit(&qp->receives, count, false);
		*posted = count;
		if (qp->application_error)
			flush_kept_receives(qp);
		return 0;
	}
	if (__builtin_expect(qp->receives.posted != qp->receives.head, 0))
		return receive_behind_kept(qp, count, posted);
	err = queue_pair_give_receives(qp, qp->receives.head, count, posted);
	receive_log_commit(&qp->receives, *posted, true);
	if (__builtin_expect(err, 0) && lost_device_is_behind(qp->context, err)) {
		receive_log_commit(&qp->receives, count - *posted, false);
		*posted = count;
		err = 0;
	}
	return err;
}

static int post_receives(struct queue_pair *qp, struct ibv_recv_wr *wr, struct ibv_recv_wr **bad_wr)
{
	int err = 0;

	while (wr && !err) {
		struct ibv_recv_wr *chunk[POST_CHUNK];
		uint32_t filled = 0, posted = 0;
		int fill_err = 0;

		for (; wr && filled < POST_CHUNK; wr = wr->next) {
			fill_err = receive_log_fill(&qp->receives, filled, wr);
			if (fill_err)
				break;
			chunk[filled++] = wr;
		}
		if (filled)
			err = post_filled_receives(qp, filled, &posted);
		if (!err)
			err = -fill_err;
		if (err)
			*bad_wr = posted < filled ? chunk[posted] : wr;
	}
	return err;
}

static int data_path_post_recv(
        struct ibv_qp *shown, struct ibv_recv_wr *wr, struct ibv_recv_wr **bad_wr)
{
	struct queue_pair *qp = container_of(shown, struct queue_pair, shown.qp_base);
	enum gate_pass pass = gate_enter(&qp->receive_gate);
	int err = post_receives(qp, wr, bad_wr);

	gate_leave(&qp->receive_gate, pass);
	return err;
}

int shared_queue_give(
        struct shared_receive_queue *srq, const uint32_t *indices, uint32_t count, uint32_t *posted)
{
	struct ibv_recv_wr *bad;

	for (*posted = 0; *posted < count; ++*posted) {
		struct ibv_recv_wr wr;
		int err;

		shared_log_wr(&srq->log, indices[*posted], &wr);
		if (srq->context->moved)
			wr.sg_list = translate_sges(
			        &srq->context->lkeys, srq->scratch_sges, wr.sg_list, wr.num_sge);
		err = srq->real->context->ops.post_srq_recv(srq->real, &wr, &bad);
		if (err)
			return err;
	}
	return 0;
}

static int post_shared(struct shared_receive_queue *srq, const struct ibv_recv_wr *wr)
{
	uint32_t index, posted;
	int err = -shared_log_take(&srq->log, wr, &index);

	if (err)
		return err;
	if (srq->held) {
		shared_log_returned(&srq->log, index);
		return 0;
	}
	err = shared_queue_give(srq, &index, 1, &posted);
	if (err && lost_device_is_behind(srq->context, err)) {
		shared_log_returned(&srq->log, index);
		return 0;
	}
	if (err)
		shared_log_give_back(&srq->log, index);
	return err;
}

static int data_path_post_srq_recv(
        struct ibv_srq *shown, struct ibv_recv_wr *wr, struct ibv_recv_wr **bad_wr)
{
	struct shared_receive_queue *srq = container_of(shown, struct shared_receive_queue, shown);
	enum gate_pass pass = gate_enter(&srq->gate);
	int err = 0;

	for (; wr && !err; wr = wr->next) {
		err = post_shared(srq, wr);
		if (err)
			*bad_wr = wr;
	}
	gate_leave(&srq->gate, pass);
	return err;
}

const struct ibv_context_ops data_path_ops = {
#define CONTEXT_OP(class, slot, function, remark, test) .slot = function,
#include "preload/inline_operations.def"
};
