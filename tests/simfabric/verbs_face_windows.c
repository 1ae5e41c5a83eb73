/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* Memory windows. */
#include <stdlib.h>

#include "simfabric/local_work.h"
#include "simfabric/verbs_face.h"

static void mw_leave_hca(struct face_object *object)
{
	struct face_mw *mw =
	        (struct face_mw *)(void *)((char *)object - offsetof(struct face_mw, object));

	memory_window_remove(face_context(mw->mw.context)->hca->host.keys, &mw->window);
	((struct face_pd *)(void *)mw->mw.pd)->users--;
}

/* Under the lock. */
static int mw_enter_hca(struct face_mw *mw)
{
	struct face_context *context = face_context(mw->mw.context);
	struct face_pd *pd = (struct face_pd *)(void *)mw->mw.pd;
	int err = memory_window_add(
	        context->hca->host.keys, &mw->window, pd->root, mw->mw.type == IBV_MW_TYPE_2);

	if (err)
		return -err;
	mw->mw.rkey = mw->window.region.key;
	mw->mw.handle = mw->mw.rkey >> 8;
	pd->users++;
	face_object_add(context, &mw->object, mw_leave_hca);
	return 0;
}

struct ibv_mw *face_alloc_mw(struct ibv_pd *pd, enum ibv_mw_type type)
{
	struct face_mw *mw = NULL;
	int err = type == IBV_MW_TYPE_1 || type == IBV_MW_TYPE_2 ? 0 : EINVAL;

	if (!err && !(mw = calloc(1, sizeof(*mw))))
		err = ENOMEM;
	if (!err)
		err = face_lock(pd->context);
	if (!err) {
		mw->mw = (struct ibv_mw){.context = pd->context, .pd = pd, .type = type};
		err = mw_enter_hca(mw);
		hca_unlock();
	}
	if (!err)
		return &mw->mw;
	free(mw);
	errno = err;
	return NULL;
}

int face_dealloc_mw(struct ibv_mw *public)
{
	struct face_mw *mw = (struct face_mw *)(void *)public;

	if (face_lock_anyhow(public->context)) {
		face_object_remove(&mw->object);
		mw_leave_hca(&mw->object);
		hca_unlock();
	}
	free(mw);
	return 0;
}

/* Under the lock. */
static int post_bind(struct face_qp *qp, struct ibv_mw *mw, const struct ibv_mw_bind *bind)
{
	struct queue_pair *engine = &qp->hca.engine;
	uint32_t rkey = ibv_inc_rkey(mw->rkey);
	struct send_work *work;
	int err = queue_pair_post_send(engine, 0);

	if (!err && !send_queue_room(&engine->requester.queue))
		err = -ENOMEM;
	if (err)
		return -err;
	work = send_queue_slot(&engine->requester.queue, 0);
	work->wr_id = bind->wr_id;
	work->flags = bind->send_flags;
	local_work_set_bind(work, mw, rkey, &bind->bind_info);
	mw->rkey = rkey;
	queue_pair_post_send(engine, 1);
	hca_transmit(&qp->hca);
	return 0;
}

/* A type 1 window; that there is a PD for both, and what to bind to, verbs.h has made sure. */
int face_bind_mw(struct ibv_qp *public, struct ibv_mw *mw, struct ibv_mw_bind *bind)
{
	struct face_qp *qp = (struct face_qp *)(void *)public;
	int err;

	if (public->qp_type != IBV_QPT_RC && public->qp_type != IBV_QPT_UC &&
	        public->qp_type != IBV_QPT_XRC_SEND)
		return EINVAL;
	/* Type 1 knows no offsets (IBA 10.6.7.2.1); mlx5 says so when it is posted. */
	if (bind->bind_info.mw_access_flags & IBV_ACCESS_ZERO_BASED)
		return EINVAL;
	pthread_mutex_lock(&qp->sending);
	err = face_lock(public->context);
	if (!err) {
		err = post_bind(qp, mw, bind);
		hca_unlock();
	}
	pthread_mutex_unlock(&qp->sending);
	return err;
}
