/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "tests/unit/shim_fake_windows.h"

#include <errno.h>
#include <stdlib.h>

#include "notifier/base/cleanup.h"
#include "tests/unit/shim_fake_completions.h"
#include "tests/unit/shim_fake_events.h"
#include "tests/unit/shim_fake_hca.h"
#include "tests/unit/shim_fake_memory.h"

struct fake_mw {
	struct ibv_mw mw;
	uint32_t key;               /* as of what was executed last */
	struct ibv_mw_bind_info to; /* mr NULL: nothing */
	const struct fake_qp *qp;   /* that has bound it: of type 2 */
	TAILQ_ENTRY(fake_mw) link;
};

static TAILQ_HEAD(, fake_mw) mws = TAILQ_HEAD_INITIALIZER(mws);

void fake_windows_reset(void)
{
	TAILQ_INIT(&mws);
}

/* Another tag each time, too. */
struct ibv_mw *fake_alloc_mw(struct ibv_pd *pd, enum ibv_mw_type type)
{
	struct fake_mw *mw = calloc(1, sizeof(*mw));
	uint32_t number = fake_hca_of(pd->context)->next_number++;

	LOCK_GUARD(&fake_lock);
	mw->key = number << 8 | (number * 37 >> 4 & 0xff);
	mw->mw = (struct ibv_mw){
	        .context = pd->context, .pd = pd, .rkey = mw->key, .handle = number, .type = type};
	TAILQ_INSERT_TAIL(&mws, mw, link);
	fake.live_objects++;
	return &mw->mw;
}

int fake_dealloc_mw(struct ibv_mw *mw)
{
	LOCK_GUARD(&fake_lock);
	TAILQ_REMOVE(&mws, (struct fake_mw *)mw, link);
	return fake_object_free(mw);
}

int fake_bind_mw(struct ibv_qp *qp, struct ibv_mw *mw, struct ibv_mw_bind *bind)
{
	struct ibv_send_wr *bad, wr = {.wr_id = bind->wr_id,
	                                 .opcode = IBV_WR_BIND_MW,
	                                 .send_flags = bind->send_flags,
	                                 .bind_mw = {mw, ibv_inc_rkey(mw->rkey), bind->bind_info}};
	const struct ibv_mw_bind_info *info = &bind->bind_info;
	int err;

	/* As providers do. */
	if (!info->mr && (info->addr || info->length))
		return EINVAL;
	err = fake_post_send(qp, &wr, &bad);
	if (!err)
		mw->rkey = wr.bind_mw.rkey;
	return err;
}

bool fake_refuses(const struct ibv_send_wr *wr)
{
	return wr->opcode == IBV_WR_BIND_MW && wr->bind_mw.bind_info.length > UINT32_C(1) << 31;
}

bool fake_is_local(const struct fake_send *send)
{
	return send->wr.opcode == IBV_WR_BIND_MW || send->wr.opcode == IBV_WR_LOCAL_INV;
}

static bool is_in(const struct ibv_mw_bind_info *info)
{
	uint32_t length = (uint32_t)info->length;

	return info->mr->context &&
	       fake_resolve(fake_hca_of(info->mr->context), info->mr->lkey, info->addr, length);
}

/* Some devices look whether the caller knows the key that the window has. */
static bool bind(const struct fake_qp *qp, const struct fake_send *send)
{
	const struct ibv_mw_bind_info *info = &send->wr.bind_mw.bind_info;
	struct fake_mw *mw = (struct fake_mw *)send->wr.bind_mw.mw;
	bool is_type_2 = mw->mw.type == IBV_MW_TYPE_2;

	if (mw->mw.pd != qp->qp.pd || send->window_key != mw->key ||
	        (mw->key ^ send->wr.bind_mw.rkey) >> 8)
		return false;
	/* Of type 2 the region is looked at, whatever the length. */
	if (is_type_2 && (mw->to.mr || !info->mr->length || !info->length))
		return false;
	if (info->length && (info->mr->pd != qp->qp.pd || !is_in(info)))
		return false;
	mw->key = send->wr.bind_mw.rkey;
	mw->to = *info;
	if (!info->length)
		mw->to.mr = NULL;
	mw->qp = is_type_2 ? qp : NULL;
	return true;
}

static void fail(struct fake_qp *qp)
{
	fake_acknowledge(&qp->qp);
	fake_complete_send(qp, IBV_WC_MW_BIND_ERR);
	fake_last_wqe_reached(qp);
	qp->qp.state = IBV_QPS_ERR;
	fake_flush(qp);
}

void fake_do_local(struct fake_qp *qp)
{
	while (qp->executed != qp->head && qp->qp.state == IBV_QPS_RTS) {
		struct fake_send *send = &qp->sends[qp->executed % FAKE_QUEUE];
		bool is_done;

		if (!fake_is_local(send))
			return;
		is_done = send->wr.opcode == IBV_WR_BIND_MW
		                  ? bind(qp, send)
		                  : fake_window_invalidate(qp, send->wr.invalidate_rkey);
		if (!is_done) {
			fail(qp);
			return;
		}
		if (qp->completed == qp->executed++)
			fake_complete_send(qp, IBV_WC_SUCCESS);
	}
}

uint8_t *fake_window_resolve(const struct fake_qp *qp, uint32_t key, uint64_t addr, uint32_t length)
{
	struct fake_mw *mw;

	TAILQ_FOREACH(mw, &mws, link)
	{
		if (mw->key == key && mw->to.mr && fake_hca_of(mw->mw.context) == qp->hca &&
		        (!mw->qp || mw->qp == qp) && addr >= mw->to.addr &&
		        addr + length <= mw->to.addr + mw->to.length)
			return fake_resolve(qp->hca, mw->to.mr->lkey, addr, length);
	}
	return NULL;
}

bool fake_window_invalidate(const struct fake_qp *qp, uint32_t key)
{
	struct fake_mw *mw;

	TAILQ_FOREACH(mw, &mws, link)
	{
		if (mw->key == key && mw->to.mr && mw->qp == qp) {
			mw->to.mr = NULL;
			return true;
		}
	}
	return false;
}

void fake_windows_forget(const struct ibv_mr *mr, const struct fake_qp *qp)
{
	struct fake_mw *mw;

	TAILQ_FOREACH(mw, &mws, link)
	{
		if ((mr && mw->to.mr == mr) || (qp && mw->qp == qp))
			mw->to.mr = NULL;
	}
}
