/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* Multicast groups of a queue pair. */
#include "simfabric/hca_multicast.h"
#include "simfabric/verbs_face.h"

static int change(int (*how)(struct hca_queue_pair *, const union ibv_gid *, uint16_t),
        struct ibv_qp *public, const union ibv_gid *gid, uint16_t lid)
{
	int err = face_lock(public->context);

	if (err)
		return err;
	err = -how(&((struct face_qp *)(void *)public)->hca, gid, lid);
	hca_unlock();
	return err;
}

ENTRY int ibv_attach_mcast(struct ibv_qp *qp, const union ibv_gid *gid, uint16_t lid)
{
	return change(hca_attach_group, qp, gid, lid);
}

ENTRY int ibv_detach_mcast(struct ibv_qp *qp, const union ibv_gid *gid, uint16_t lid)
{
	return change(hca_detach_group, qp, gid, lid);
}
