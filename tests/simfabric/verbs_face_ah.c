/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* Address handles. */
#include <stdlib.h>

#include "simfabric/address_handle.h"
#include "simfabric/hca_ethernet.h"
#include "simfabric/hca_port.h"
#include "simfabric/verbs_face.h"

/* Under the lock. */
static bool port_has(const struct hca *hca, const struct ibv_ah_attr *attr)
{
	union ibv_gid gid;

	return !attr->is_global || hca_gid(hca, attr->grh.sgid_index, &gid);
}

/* In place, under the lock. */
static bool is_taken(const struct hca *hca, struct ibv_ah_attr *attr)
{
	return (!hca->is_ethernet || hca_ethernet_resolve(hca, attr)) && address_is_valid(attr) &&
	       port_has(hca, attr);
}

ENTRY struct ibv_ah *ibv_create_ah(struct ibv_pd *pd, struct ibv_ah_attr *attr)
{
	static uint32_t handles;
	struct address_handle *handle = calloc(1, sizeof(*handle));
	int err = handle ? face_lock(pd->context) : ENOMEM;

	if (!err) {
		handle->attr = *attr;
		if (!is_taken(face_context(pd->context)->hca, &handle->attr))
			err = EINVAL;
		else
			((struct face_pd *)(void *)pd)->users++;
		hca_unlock();
	}
	if (err) {
		free(handle);
		errno = err;
		return NULL;
	}
	handle->ah.context = pd->context;
	handle->ah.pd = pd;
	handle->ah.handle = __atomic_add_fetch(&handles, 1, __ATOMIC_RELAXED);
	return &handle->ah;
}

ENTRY int ibv_destroy_ah(struct ibv_ah *ah)
{
	if (face_lock_anyhow(ah->context)) {
		((struct face_pd *)(void *)ah->pd)->users--;
		hca_unlock();
	}
	free(ah);
	return 0;
}

ENTRY int ibv_init_ah_from_wc(struct ibv_context *context, uint8_t port_num, struct ibv_wc *wc,
        struct ibv_grh *grh, struct ibv_ah_attr *attr)
{
	union ibv_gid dgid;
	int index;

	address_of_sender(attr, port_num, wc, grh);
	if (!attr->is_global)
		return 0;
	errno = face_lock(context);
	if (errno)
		return -1;
	dgid = grh_dgid(grh);
	index = hca_gid_index(face_context(context)->hca, &dgid);
	hca_unlock();
	if (index < 0) {
		errno = EINVAL;
		return -1;
	}
	attr->grh.sgid_index = (uint8_t)index;
	return 0;
}

ENTRY struct ibv_ah *ibv_create_ah_from_wc(
        struct ibv_pd *pd, struct ibv_wc *wc, struct ibv_grh *grh, uint8_t port_num)
{
	struct ibv_ah_attr attr;

	if (ibv_init_ah_from_wc(pd->context, port_num, wc, grh, &attr))
		return NULL;
	return ibv_create_ah(pd, &attr);
}
