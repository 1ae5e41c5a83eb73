/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "preload/window_work.h"

#include <errno.h>

#include "notifier/base/cleanup.h"
#include "preload/completions.h"
#include "preload/control.h"
#include "preload/data_path.h"
#include "preload/drain.h"
#include "preload/memory_windows.h"
#include "preload/queue_pair.h"
#include "preload/window_binding.h"

/* ---- into the log ---- */

int window_work_fill_bind(struct queue_pair *qp, struct send_slot *slot, struct ibv_mw *shown,
        uint32_t rkey, const struct ibv_mw_bind_info *info)
{
	union send_operands *operands = send_log_operands(&qp->sends, slot);
	struct memory_window *mw = memory_window_of(shown);

	if (!mw || qp->datagrams || (info->mr && !memory_region_of(info->mr)) ||
	        (info->length && !info->mr))
		return -EINVAL;
	send_log_set_local(slot, IBV_WR_BIND_MW);
	operands->bind.mw = shown;
	operands->bind.mr = info->mr;
	slot->rkey = rkey;
	slot->sge = (struct ibv_sge){.lkey = info->mw_access_flags};
	slot->sge.addr = info->addr;
	slot->remote_addr = info->length;
	return 0;
}

void window_work_fill_invalidate(struct send_slot *slot, uint32_t rkey)
{
	send_log_set_local(slot, IBV_WR_LOCAL_INV);
	slot->rkey = rkey;
}

bool window_work_is(const struct ibv_send_wr *wr)
{
	return opcode_is_local(wr->opcode);
}

static int fill(struct queue_pair *qp, const struct ibv_send_wr *wr)
{
	struct send_slot *slot = send_log_begin(&qp->sends, 0);

	if (!slot)
		return -ENOMEM;
	slot->wr_id = wr->wr_id;
	slot->flags = (uint8_t)wr->send_flags | qp->sends.flags_always;
	if (wr->opcode == IBV_WR_LOCAL_INV) {
		window_work_fill_invalidate(slot, wr->invalidate_rkey);
		return qp->datagrams ? -EINVAL : 0;
	}
	if (!wr->bind_mw.mw || wr->bind_mw.mw->type != IBV_MW_TYPE_2)
		return -EINVAL;
	return window_work_fill_bind(
	        qp, slot, wr->bind_mw.mw, wr->bind_mw.rkey, &wr->bind_mw.bind_info);
}

/* ---- to the device ---- */

static struct memory_region *region_of(const union send_operands *operands)
{
	return operands->bind.mr ? container_of(operands->bind.mr, struct memory_region, shown)
	                         : NULL;
}

static struct window_binding binding_of(
        struct queue_pair *qp, const struct send_slot *slot, const union send_operands *operands)
{
	struct memory_window *mw = container_of(operands->bind.mw, struct memory_window, shown);

	return (struct window_binding){
	        .mr = region_of(operands),
	        .addr = slot->sge.addr,
	        .length = slot->remote_addr,
	        .access = slot->sge.lkey,
	        .rkey = slot->rkey,
	        .qp = mw->shown.type == IBV_MW_TYPE_2 ? qp : NULL,
	};
}

static int give_bind(struct queue_pair *qp, const struct send_slot *slot, uint64_t tag)
{
	const union send_operands *operands = send_log_operands(&qp->sends, slot);
	const unsigned flags = slot->flags | IBV_SEND_SIGNALED;
	struct window_binding binding;

	if (!operands->bind.mw)
		return EINVAL;
	binding = binding_of(qp, slot, operands);
	return window_binding_post(qp->real,
	        container_of(operands->bind.mw, struct memory_window, shown), &binding, tag, flags);
}

static int give_invalidate(struct queue_pair *qp, const struct send_slot *slot, uint64_t tag)
{
	struct ibv_send_wr *bad,
	        wr = {
	                .wr_id = tag,
	                .opcode = IBV_WR_LOCAL_INV,
	                .send_flags = slot->flags | IBV_SEND_SIGNALED,
	                .invalidate_rkey = window_local_key_to_real(qp->context, slot->rkey),
	        };

	return qp->real->context->ops.post_send(qp->real, &wr, &bad);
}

int window_work_give(struct queue_pair *qp, uint32_t sequence)
{
	const struct send_slot *slot = send_log_at(&qp->sends, sequence);
	uint64_t tag = TAG_LOCAL_WORK | tag_of_send(qp->sends.incarnation, sequence);

	return slot->opcode == IBV_WR_BIND_MW ? give_bind(qp, slot, tag)
	                                      : give_invalidate(qp, slot, tag);
}

uint32_t window_work_ahead(const struct queue_pair *qp, uint32_t sequence, uint32_t count)
{
	uint32_t ahead = 0;

	while (ahead < count && !opcode_is_local(send_log_at(&qp->sends, sequence + ahead)->opcode))
		ahead++;
	return ahead;
}

static int post_or_keep(struct queue_pair *qp)
{
	uint32_t posted;
	int err;

	if (qp->held || qp->sends.posted != qp->sends.head)
		return queue_pair_post_filled(qp, 1, &posted);
	send_log_number(&qp->sends, 1);
	err = window_work_give(qp, qp->sends.head);
	posted = !err;
	send_log_commit(&qp->sends, posted, true);
	return err ? queue_pair_keep_refused(qp, 1, &posted, err) : 0;
}

/*
 * Of type 2 the application sets the key itself, or relies on a provider that does: then also where
 * the bind is kept.
 */
static void show_key(struct memory_window *mw, uint32_t rkey)
{
	bool *renewed = &context_of(mw->shown.context)->windows.renewed_by_posts;

	if (mw->renewed_by_post)
		__atomic_store_n(renewed, true, __ATOMIC_RELAXED);
	if (mw->shown.type == IBV_MW_TYPE_2 && __atomic_load_n(renewed, __ATOMIC_RELAXED))
		mw->shown.rkey = rkey;
}

/* The one at head, which is filled. */
static int post_one(struct queue_pair *qp)
{
	const struct send_slot *slot = send_log_at(&qp->sends, qp->sends.head);
	const uint32_t rkey = slot->rkey;
	struct memory_window *mw;
	bool had_ended;
	int err;

	if (slot->opcode != IBV_WR_BIND_MW)
		return post_or_keep(qp);
	mw = container_of(
	        send_log_operands(&qp->sends, slot)->bind.mw, struct memory_window, shown);
	had_ended = window_bind_begins(mw, rkey);
	err = post_or_keep(qp);
	if (!err)
		show_key(mw, rkey);
	else if (had_ended)
		window_bind_did_not_begin(mw, rkey);
	return err;
}

int window_work_post(struct queue_pair *qp, const struct ibv_send_wr *wr)
{
	int err = -fill(qp, wr);

	return err ? err : post_one(qp);
}

int window_work_post_filled(struct queue_pair *qp, uint32_t count, uint32_t *posted)
{
	uint32_t ahead = window_work_ahead(qp, qp->sends.head, count);
	int err;

	if (ahead)
		return queue_pair_post_filled(qp, ahead, posted);
	err = post_one(qp);
	*posted = !err;
	return err;
}

void window_work_keep(struct queue_pair *qp, uint32_t count)
{
	send_log_number(&qp->sends, count);
	send_log_commit(&qp->sends, count, false);
}

void window_work_refused(struct queue_pair *qp, enum ibv_wc_status first)
{
	const struct send_log *log = &qp->sends;

	control_enter(qp->context, NEEDS_NOTHING);
	queue_pair_close(qp);
	if (!qp->held && log->posted != log->head) {
		queue_pair_harvest(qp);
		queue_pair_end(qp, log->tail == log->posted ? first : IBV_WC_WR_FLUSH_ERR);
	}
	queue_pair_open(qp);
	control_leave();
}

static int post_bind(struct queue_pair *qp, struct ibv_mw *mw, const struct ibv_mw_bind *bind)
{
	struct send_slot *slot = send_log_begin(&qp->sends, 0);
	uint32_t rkey = ibv_inc_rkey(mw->rkey);
	int err;

	if (!slot)
		return ENOMEM;
	slot->wr_id = bind->wr_id;
	slot->flags = (uint8_t)bind->send_flags | qp->sends.flags_always;
	err = -window_work_fill_bind(qp, slot, mw, rkey, &bind->bind_info);
	if (!err)
		err = post_one(qp);
	if (!err)
		mw->rkey = rkey;
	return err;
}

int window_work_bind(struct ibv_qp *shown, struct ibv_mw *mw, struct ibv_mw_bind *bind)
{
	struct queue_pair *qp = queue_pair_of(shown);
	enum gate_pass build_pass = GATE_NESTED, pass;
	int err;

	/* Type 1 knows no offsets (IBA 10.6.7.2.1). */
	if (!qp || bind->bind_info.mw_access_flags & IBV_ACCESS_ZERO_BASED)
		return EINVAL;
	if (qp->has_ex)
		build_pass = gate_enter(&qp->build_gate);
	pass = gate_enter(&qp->send_gate);
	err = post_bind(qp, mw, bind);
	gate_leave(&qp->send_gate, pass);
	gate_leave(&qp->build_gate, build_pass);
	return err;
}

/* ---- and back ---- */

/* Once: what it has done to a window may be undone before it leaves the log. */
static void note_done(struct queue_pair *qp, struct send_slot *slot)
{
	union send_operands *operands = send_log_operands(&qp->sends, slot);
	struct window_binding binding;

	if (slot->opcode == IBV_WR_LOCAL_INV) {
		window_was_invalidated(qp->context, slot->rkey);
		slot->rkey = 0;
	} else if (operands->bind.mw) {
		binding = binding_of(qp, slot, operands);
		window_was_bound(
		        container_of(operands->bind.mw, struct memory_window, shown), &binding);
		operands->bind.mw = NULL;
	}
}

bool window_work_completed(struct queue_pair *qp, struct ibv_wc *wc)
{
	uint32_t sequence = tag_sequence(wc->wr_id);
	struct send_slot *slot = send_log_at(&qp->sends, sequence);

	if (tag_incarnation_beside_marks(wc->wr_id) != qp->sends.incarnation)
		return false;
	if (wc->wr_id & TAG_REBINDING) {
		window_binding_completed(qp, sequence);
		return false;
	}
	note_done(qp, slot);
	wc->wr_id = slot->wr_id;
	wc->qp_num = queue_pair_number(qp);
	send_log_retire(&qp->sends, sequence);
	return slot->flags & IBV_SEND_SIGNALED;
}

void window_work_settled(struct queue_pair *qp)
{
	struct send_log *log = &qp->sends;

	for (uint32_t i = log->tail; i != log->posted; i++) {
		struct send_slot *slot = send_log_at(log, i);

		if (opcode_is_local(slot->opcode) && slot->fate == FATE_EXECUTED)
			note_done(qp, slot);
	}
}

/* Of type 1 each bind says itself what was before it. */
static void has_key_of_last_bind(struct memory_window *mw)
{
	if (mw->real && mw->shown.type == IBV_MW_TYPE_2)
		mw->real->rkey = window_key_to_real(mw, mw->rkey);
}

void window_work_was_given_back(struct queue_pair *qp)
{
	const struct send_log *log = &qp->sends;

	LOCK_GUARD(&qp->context->windows.lock);
	for (uint32_t i = log->tail; i != log->posted; i++) {
		const struct send_slot *slot = send_log_at(log, i);
		const union send_operands *operands = send_log_operands(log, slot);

		if (slot->opcode == IBV_WR_BIND_MW && operands->bind.mw)
			has_key_of_last_bind(
			        container_of(operands->bind.mw, struct memory_window, shown));
	}
}

bool window_work_is_exposed(const struct queue_pair *qp, bool stays)
{
	const struct send_log *log = &qp->sends;
	bool exposed = false;

	if (!stays && qp->context->windows.reset != RESET_KEEPS_WINDOWS)
		return false;
	for (uint32_t i = log->tail; i != log->posted; i++) {
		const struct send_slot *slot = send_log_at(log, i);

		exposed |= slot->fate == FATE_OPEN && opcode_is_local(slot->opcode);
	}
	return exposed;
}
