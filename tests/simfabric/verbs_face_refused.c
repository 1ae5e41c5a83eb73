/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Verbs that this HCA does not offer, each refused as its man page says, and the table that tells
 * inline verbs which it does. A slot that stays NULL makes verbs.h answer EOPNOTSUPP by itself.
 */
#include "simfabric/verbs_face.h"

static void *refuse(void)
{
	errno = EOPNOTSUPP;
	return NULL;
}

/* ---- Ethernet ---- */

ENTRY int ibv_resolve_eth_l2_from_gid(
        struct ibv_context *context, struct ibv_ah_attr *attr, uint8_t eth_mac[6], uint16_t *vid)
{
	errno = EOPNOTSUPP;
	return -1;
}

/* ---- what only some adapters have ---- */

ENTRY struct ibv_mr *ibv_reg_dmabuf_mr(
        struct ibv_pd *pd, uint64_t offset, size_t length, uint64_t iova, int fd, int access)
{
	return refuse();
}

ENTRY struct ibv_context *ibv_import_device(int cmd_fd)
{
	return refuse();
}

ENTRY struct ibv_pd *ibv_import_pd(struct ibv_context *context, uint32_t pd_handle)
{
	return refuse();
}

ENTRY void ibv_unimport_pd(struct ibv_pd *pd)
{
}

ENTRY struct ibv_mr *ibv_import_mr(struct ibv_pd *pd, uint32_t mr_handle)
{
	return refuse();
}

ENTRY void ibv_unimport_mr(struct ibv_mr *mr)
{
}

ENTRY struct ibv_dm *ibv_import_dm(struct ibv_context *context, uint32_t dm_handle)
{
	return refuse();
}

ENTRY void ibv_unimport_dm(struct ibv_dm *dm)
{
}

ENTRY int ibv_query_ece(struct ibv_qp *qp, struct ibv_ece *ece)
{
	return EOPNOTSUPP;
}

ENTRY int ibv_set_ece(struct ibv_qp *qp, struct ibv_ece *ece)
{
	return EOPNOTSUPP;
}

/* ---- fork: this HCA writes through the process's own page tables, so there is nothing to do ----
 */

ENTRY int ibv_fork_init(void)
{
	return 0;
}

ENTRY enum ibv_fork_status ibv_is_fork_initialized(void)
{
	return IBV_FORK_UNNEEDED;
}

/* ---- tables ---- */

void face_fill_operations(struct verbs_context *verbs)
{
	struct ibv_context_ops *ops = &verbs->context.ops;

	ops->poll_cq = face_poll_cq;
	ops->req_notify_cq = face_req_notify_cq;
	ops->post_send = face_post_send;
	ops->post_recv = face_post_recv;
	ops->post_srq_recv = face_post_srq_recv;
	ops->alloc_mw = face_alloc_mw;
	ops->bind_mw = face_bind_mw;
	ops->dealloc_mw = face_dealloc_mw;

	verbs->query_port = face_query_port;
	verbs->query_device_ex = face_query_device_ex;
	verbs->create_qp_ex = face_create_qp_ex;
	verbs->create_srq_ex = face_create_srq_ex;
	verbs->create_cq_ex = face_create_cq_ex;
	verbs->modify_cq = face_modify_cq;
	verbs->query_rt_values = face_query_rt_values;
	verbs->get_srq_num = face_get_srq_num;
	verbs->open_xrcd = face_open_xrcd;
	verbs->close_xrcd = face_close_xrcd;
	verbs->open_qp = face_open_qp;
	verbs->alloc_td = face_alloc_td;
	verbs->dealloc_td = face_dealloc_td;
	verbs->alloc_parent_domain = face_alloc_parent_domain;
}
