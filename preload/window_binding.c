/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "preload/window_binding.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "notifier/base/cleanup.h"
#include "notifier/base/log.h"
#include "notifier/base/monotonic.h"
#include "preload/memory_windows.h"
#include "preload/nap.h"
#include "preload/queue_pair.h"
#include "preload/settings.h"
#include "preload/window_work.h"

/* AT_ONCE: in one piece of a step. */
enum { OWN_DEPTH = 4, OWN_MS = 1000, AT_ONCE = 256 };

/* Providers want an address of no length with its region, or neither. */
static struct ibv_mw_bind_info info_of(const struct window_binding *binding)
{
	return (struct ibv_mw_bind_info){
	        .mr = binding->mr ? binding->mr->real : NULL,
	        .addr = binding->mr ? binding->addr : 0,
	        .length = binding->length,
	        .mw_access_flags = binding->access,
	};
}

/* The provider counts on from what the last key of the window was. */
static int post_type_1(struct ibv_qp *real, struct memory_window *mw,
        const struct window_binding *binding, uint64_t tag, unsigned flags)
{
	uint32_t rkey = window_key_to_real(mw, binding->rkey);
	struct ibv_mw_bind bind = {
	        .wr_id = tag, .send_flags = flags, .bind_info = info_of(binding)};

	mw->real->rkey = (rkey & ~(uint32_t)WINDOW_TAG_MASK) | ((rkey - 1) & WINDOW_TAG_MASK);
	return real->context->ops.bind_mw(real, mw->real, &bind);
}

static int post_type_2(struct ibv_qp *real, struct memory_window *mw,
        const struct window_binding *binding, uint64_t tag, unsigned flags)
{
	struct ibv_send_wr *bad,
	        wr = {
	                .wr_id = tag,
	                .opcode = IBV_WR_BIND_MW,
	                .send_flags = flags,
	                .bind_mw = {mw->real, window_key_to_real(mw, binding->rkey),
	                        info_of(binding)},
	        };
	const uint32_t known = mw->real->rkey;
	int err = real->context->ops.post_send(real, &wr, &bad);

	if (err)
		return err;
	mw->renewed_by_post = mw->real->rkey != known;
	mw->real->rkey = wr.bind_mw.rkey;
	return 0;
}

int window_binding_post(struct ibv_qp *real, struct memory_window *mw,
        const struct window_binding *binding, uint64_t tag, unsigned flags)
{
	if (!mw->real)
		return EINVAL;
	return mw->shown.type == IBV_MW_TYPE_1 ? post_type_1(real, mw, binding, tag, flags)
	                                       : post_type_2(real, mw, binding, tag, flags);
}

/* ---- a queue pair of our own, connected to itself ---- */

struct own_queue_pair {
	struct ibv_cq *cq;
	struct ibv_qp *qp;
	struct ibv_ah_attr self;
};

static void own_close(struct own_queue_pair *own)
{
	if (own->qp)
		below.ibv_destroy_qp(own->qp);
	if (own->cq)
		below.ibv_destroy_cq(own->cq);
	own->qp = NULL;
	own->cq = NULL;
}

/* The first that stands in the table. */
static bool find_own_gid(
        const struct context *context, const struct ibv_port_attr *port, struct ibv_ah_attr *self)
{
	for (int i = 0; i < port->gid_tbl_len; i++) {
		if (below.ibv_query_gid(context->real, self->port_num, i, &self->grh.dgid) ||
		        !self->grh.dgid.global.interface_id)
			continue;
		self->grh.sgid_index = (uint8_t)i;
		return true;
	}
	return false;
}

static int own_address(const struct context *context, struct ibv_ah_attr *self)
{
	struct ibv_port_attr port;

	for (unsigned i = 0; i < context->attr.orig_attr.phys_port_cnt; i++) {
		uint8_t number = (uint8_t)(i + 1);

		if (___ibv_query_port(context->real, number, &port) ||
		        port.state != IBV_PORT_ACTIVE)
			continue;
		*self = (struct ibv_ah_attr){
		        .dlid = port.lid, .port_num = number, .is_global = !port.lid};
		self->grh.hop_limit = 1;
		if (!self->is_global || find_own_gid(context, &port, self))
			return 0;
	}
	return -ENODEV;
}

static int own_modify(const struct own_queue_pair *own, enum ibv_qp_state state, int mask)
{
	struct ibv_qp_attr attr = {
	        .qp_state = state,
	        .port_num = own->self.port_num,
	        .path_mtu = IBV_MTU_256,
	        .dest_qp_num = own->qp->qp_num,
	        .ah_attr = own->self,
	        .max_dest_rd_atomic = 1,
	        .max_rd_atomic = 1,
	        .min_rnr_timer = 12,
	        .timeout = 14,
	        .retry_cnt = 1,
	        .rnr_retry = 1,
	};

	return -below.ibv_modify_qp(own->qp, &attr, IBV_QP_STATE | mask);
}

/* From RESET. */
static int own_connect(const struct own_queue_pair *own)
{
	int err = own_modify(
	        own, IBV_QPS_INIT, IBV_QP_PKEY_INDEX | IBV_QP_PORT | IBV_QP_ACCESS_FLAGS);

	if (!err)
		err = own_modify(own, IBV_QPS_RTR,
		        IBV_QP_AV | IBV_QP_PATH_MTU | IBV_QP_DEST_QPN | IBV_QP_RQ_PSN |
		                IBV_QP_MAX_DEST_RD_ATOMIC | IBV_QP_MIN_RNR_TIMER);
	if (!err)
		err = own_modify(own, IBV_QPS_RTS,
		        IBV_QP_SQ_PSN | IBV_QP_TIMEOUT | IBV_QP_RETRY_CNT | IBV_QP_RNR_RETRY |
		                IBV_QP_MAX_QP_RD_ATOMIC);
	return err;
}

static int own_open(struct own_queue_pair *own, const struct context *context, struct ibv_pd *pd)
{
	struct ibv_qp_init_attr init = {
	        .cap = {.max_send_wr = OWN_DEPTH,
	                .max_recv_wr = 1,
	                .max_send_sge = 1,
	                .max_recv_sge = 1},
	        .qp_type = IBV_QPT_RC,
	};
	int err;

	*own = (struct own_queue_pair){0};
	err = own_address(context, &own->self);
	if (err)
		return err;
	own->cq = below.ibv_create_cq(context->real, 2 * OWN_DEPTH, NULL, NULL, 0);
	init.send_cq = init.recv_cq = own->cq;
	if (own->cq)
		own->qp = below.ibv_create_qp(pd, &init);
	err = own->qp ? own_connect(own) : below_error();
	if (err)
		own_close(own);
	return err;
}

/* -ETIMEDOUT: there is none; else its status. */
static int own_await(const struct own_queue_pair *own)
{
	const uint64_t end_ms = monotonic_ms() + OWN_MS;
	unsigned looks = 0;
	struct ibv_wc wc;
	int got;

	do {
		nap_after_looks(looks++);
		got = own->cq->context->ops.poll_cq(own->cq, 1, &wc);
		if (got > 0)
			return (int)wc.status;
	} while (!got && monotonic_ms() < end_ms);
	return -ETIMEDOUT;
}

/* ---- type 1 ---- */

/* All that it names may be mapped no longer. */
static bool is_covered(const struct window_binding *binding)
{
	const struct memory_region *mr = binding->mr;
	uint64_t start = mr->kind == REGION_IOVA ? mr->iova : (uintptr_t)mr->shown.addr;
	uint64_t at = binding->addr - start + (uintptr_t)mr->shown.addr;
	uint64_t real = (uintptr_t)mr->real->addr;

	if (mr->access & IBV_ACCESS_ON_DEMAND)
		return true;
	return at >= real && binding->length <= mr->real->length &&
	       at - real <= mr->real->length - binding->length;
}

/*
 * The key that was to be ended by a bind is still the last one that the device has done. Of type 2
 * peers know by now how tags translate.
 */
static void stays_unbound(struct memory_window *mw, const char *why)
{
	uint32_t tag = mw->real->rkey - mw->tag_shift;

	mw->lapsed = false;
	mw->bound.mr = NULL;
	if (mw->shown.type == IBV_MW_TYPE_1)
		mw->tag_shift = (uint8_t)(mw->real->rkey - mw->rkey);
	else
		mw->rkey = (mw->rkey & ~(uint32_t)WINDOW_TAG_MASK) | (tag & WINDOW_TAG_MASK);
	log_warn("window", "number 0x%06x is not bound again: %s", mw->number, why);
}

static int bind_at_once(struct own_queue_pair *own, struct memory_window *mw)
{
	uint32_t before = mw->real->rkey;
	int status = -window_binding_post(own->qp, mw, &mw->bound, 0, IBV_SEND_SIGNALED);

	if (!status)
		status = own_await(own);
	if (status == IBV_WC_SUCCESS)
		mw->lapsed = false;
	else
		mw->real->rkey = before;
	return status;
}

/* By the device, or by its provider when it is posted. */
static bool is_refusal(int status)
{
	return status > 0 || status == -EINVAL || status == -EOPNOTSUPP;
}

/* As long as nothing is refused one serves all windows of a domain. */
static int own_open_for(
        struct own_queue_pair *own, const struct context *context, const struct memory_window *mw)
{
	struct ibv_pd *pd = protection_domain_of(mw->shown.pd)->real;

	if (own->qp && own->qp->pd == pd)
		return 0;
	own_close(own);
	return own_open(own, context, pd);
}

/* One that the device refuses has taken the queue pair with it. */
static int bind_alone(
        struct own_queue_pair *own, const struct context *context, struct memory_window *mw)
{
	int status;

	if (!is_covered(&mw->bound)) {
		stays_unbound(mw, "its memory is mapped no longer");
		return 0;
	}
	status = own_open_for(own, context, mw);
	if (status)
		return status;
	status = bind_at_once(own, mw);
	if (!status)
		return 0;
	own_close(own);
	if (!is_refusal(status))
		return status;
	stays_unbound(mw, "the device refuses it");
	return 0;
}

int window_binding_at_once(struct context *context)
{
	struct own_queue_pair own = {0};
	struct memory_window *mw;
	unsigned done = 0;
	int err = 0;

	TAILQ_FOREACH(mw, &context->windows.list, link)
	{
		if (err || !mw->lapsed || mw->shown.type != IBV_MW_TYPE_1)
			continue;
		err = done++ == AT_ONCE ? -EAGAIN : bind_alone(&own, context, mw);
	}
	own_close(&own);
	return err;
}

/* ---- what RESET does ---- */

struct trial {
	struct own_queue_pair own;
	struct ibv_pd *pd;
	void *page;
	size_t length;
	struct memory_region mr;
	struct memory_window mw;
};

static void trial_end(struct trial *trial)
{
	own_close(&trial->own);
	if (trial->mw.real)
		trial->mw.real->context->ops.dealloc_mw(trial->mw.real);
	if (trial->mr.real)
		below.ibv_dereg_mr(trial->mr.real);
	if (trial->pd)
		below.ibv_dealloc_pd(trial->pd);
	free(trial->page);
}

static bool trial_begin(struct trial *trial, struct context *context)
{
	trial->length = (size_t)sysconf(_SC_PAGESIZE);
	trial->page = aligned_alloc(trial->length, trial->length);
	trial->pd = trial->page ? below.ibv_alloc_pd(context->real) : NULL;
	if (trial->pd)
		trial->mr.real = below.ibv_reg_mr(trial->pd, trial->page, trial->length,
		        IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_MW_BIND);
	if (trial->mr.real)
		trial->mw.real = context->real->ops.alloc_mw(trial->pd, IBV_MW_TYPE_2);
	trial->mw.shown.type = IBV_MW_TYPE_2;
	return trial->mw.real && !own_open(&trial->own, context, trial->pd);
}

static int trial_bind(struct trial *trial)
{
	struct window_binding binding = {
	        .mr = &trial->mr,
	        .addr = (uintptr_t)trial->page,
	        .length = trial->length,
	        .access = IBV_ACCESS_REMOTE_READ,
	        .rkey = ibv_inc_rkey(trial->mw.real->rkey),
	};
	int err = -window_binding_post(trial->own.qp, &trial->mw, &binding, 0, IBV_SEND_SIGNALED);

	return err ? err : own_await(&trial->own);
}

static int trial_invalidate(struct trial *trial)
{
	struct ibv_send_wr *bad, wr = {.opcode = IBV_WR_LOCAL_INV,
	                                 .send_flags = IBV_SEND_SIGNALED,
	                                 .invalidate_rkey = trial->mw.real->rkey};
	int err = -trial->own.qp->context->ops.post_send(trial->own.qp, &wr, &bad);

	return err ? err : own_await(&trial->own);
}

/* Negative: it did not come to an answer. */
static int try_reset(struct trial *trial, enum reset_of_windows *answer)
{
	int status = trial_bind(trial);

	if (!status)
		status = own_modify(&trial->own, IBV_QPS_ERR, 0);
	if (!status)
		status = own_modify(&trial->own, IBV_QPS_RESET, 0);
	if (!status)
		status = own_connect(&trial->own);
	if (status)
		return status < 0 ? status : -EIO;
	status = trial_invalidate(trial);
	if (status >= 0)
		*answer = status == IBV_WC_SUCCESS ? RESET_KEEPS_WINDOWS : RESET_ENDS_WINDOWS;
	return status < 0 ? status : 0;
}

int window_binding_learn(struct context *context)
{
	struct trial trial = {0};
	int err;

	if (!context->windows.any_of_type_2 || context->windows.reset != RESET_IS_UNKNOWN)
		return 0;
	/* What cannot be made, the application could not make now, either. */
	err = trial_begin(&trial, context) ? try_reset(&trial, &context->windows.reset) : -ENOMEM;
	trial_end(&trial);
	if (err)
		log_warn("window", "%s: what RESET does to windows is not known: error %d",
		        context->device->shown.name, -err);
	return err;
}

/* ---- type 2 ---- */

void window_binding_lapses(struct queue_pair *qp)
{
	struct window_set *windows = &qp->context->windows;
	struct memory_window *mw;

	if (windows->reset == RESET_KEEPS_WINDOWS || !settings()->rebinding)
		return;
	LOCK_GUARD(&windows->lock);
	TAILQ_FOREACH(mw, &windows->list, link)
	{
		if (mw->bound.mr && mw->bound.qp == qp)
			mw->lapsed = true;
	}
}

/* So many as its queue has room for; what is left then comes when these are done. */
static int bind_some(struct queue_pair *qp)
{
	struct queue_pair_migration *m = &qp->migration;
	struct window_set *windows = &qp->context->windows;
	struct memory_window *mw;
	int err = 0;

	LOCK_GUARD(&windows->lock);
	TAILQ_FOREACH(mw, &windows->list, link)
	{
		uint64_t tag = TAG_LOCAL_WORK | TAG_REBINDING |
		               tag_of_send(qp->sends.incarnation, mw->number);

		if (err || !mw->lapsed || mw->bound.qp != qp || m->rebinding == qp->sends.depth)
			continue;
		if (!is_covered(&mw->bound)) {
			stays_unbound(mw, "its memory is mapped no longer");
			continue;
		}
		err = -window_binding_post(qp->real, mw, &mw->bound, tag, IBV_SEND_SIGNALED);
		m->rebinding += !err;
	}
	return err;
}

static bool has_lapsed(struct queue_pair *qp)
{
	struct window_set *windows = &qp->context->windows;
	const struct memory_window *mw;
	bool lapsed = false;

	LOCK_GUARD(&windows->lock);
	TAILQ_FOREACH(mw, &windows->list, link)
	lapsed |= mw->lapsed && mw->bound.qp == qp;
	return lapsed;
}

enum window_progress window_binding_go_on(struct queue_pair *qp)
{
	struct queue_pair_migration *m = &qp->migration;
	int err = 0;

	if (m->rebinding_failed)
		return WINDOWS_FAILED;
	if (m->rebinding)
		return WINDOWS_BEING_BOUND;
	if (!has_lapsed(qp))
		return WINDOWS_BOUND;
	if (!m->sends_already)
		err = queue_pair_to_rts(qp);
	if (!err) {
		m->sends_already = true;
		err = bind_some(qp);
	}
	if (err)
		return WINDOWS_FAILED;
	return m->rebinding ? WINDOWS_BEING_BOUND : WINDOWS_BOUND;
}

void window_binding_completed(struct queue_pair *qp, uint32_t number)
{
	struct window_set *windows = &qp->context->windows;
	const struct number_entry *entry;

	LOCK_GUARD(&windows->lock);
	entry = number_table_find(&windows->numbers, number);
	if (entry && entry->value)
		((struct memory_window *)entry->value)->lapsed = false;
	qp->migration.rebinding--;
}

void window_binding_failed(struct queue_pair *qp)
{
	qp->migration.rebinding_failed = true;
}
