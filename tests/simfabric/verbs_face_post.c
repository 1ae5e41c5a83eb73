/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* ibv_post_send and ibv_post_recv. */
#include "simfabric/verbs_face.h"

static struct face_qp *face_qp(struct ibv_qp *qp)
{
	return (struct face_qp *)(void *)qp;
}

/* Those before the first bad one are posted. */
static int post_list(struct face_qp *qp, struct ibv_send_wr *wr, struct ibv_send_wr **bad_wr)
{
	struct queue_pair *engine = &qp->hca.engine;
	int err = queue_pair_post_send(engine, 0);
	uint32_t count = 0;

	for (; wr && !err; wr = err ? wr : wr->next) {
		err = send_queue_prepare(&engine->requester.queue, count, wr);
		count += !err;
	}
	if (err)
		*bad_wr = wr;
	if (count) {
		queue_pair_post_send(engine, count);
		hca_transmit(&qp->hca);
	}
	return -err;
}

int face_post_send(struct ibv_qp *public, struct ibv_send_wr *wr, struct ibv_send_wr **bad_wr)
{
	struct face_qp *qp = face_qp(public);
	int err;

	pthread_mutex_lock(&qp->sending);
	err = face_lock(public->context);
	if (!err) {
		err = post_list(qp, wr, bad_wr);
		hca_unlock();
	} else {
		*bad_wr = wr;
	}
	pthread_mutex_unlock(&qp->sending);
	return err;
}

int face_post_recv(struct ibv_qp *public, struct ibv_recv_wr *wr, struct ibv_recv_wr **bad_wr)
{
	int err = face_lock(public->context);

	if (err) {
		*bad_wr = wr;
		return err;
	}
	for (; wr && !err; wr = err ? wr : wr->next)
		err = -queue_pair_post_receive(&face_qp(public)->hca.engine, wr);
	hca_unlock();
	if (err)
		*bad_wr = wr;
	return err;
}
