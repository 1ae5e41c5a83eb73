/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Extended completion queues: polled in batches, with a reader for each field that was asked for.
 * A reader that was not asked for is not there, as with adapters' drivers: calling it is a crash.
 */
#include <stdlib.h>
#include <time.h>

#include "simfabric/verbs_face.h"

static struct face_cq *face_cq(struct ibv_cq_ex *cq)
{
	return (struct face_cq *)(void *)cq;
}

static const struct ibv_wc *current(struct ibv_cq_ex *cq)
{
	return &face_cq(cq)->batch.wc;
}

/* ---- batches ---- */

static int advance(struct ibv_cq_ex *public)
{
	struct face_cq *cq = face_cq(public);
	int n = face_poll(cq, 1, &cq->batch.wc, &cq->batch.completed_ns);

	if (n <= 0)
		return n ? EIO : ENOENT;
	public->wr_id = cq->batch.wc.wr_id;
	public->status = cq->batch.wc.status;
	return 0;
}

static void unlock(struct face_cq *cq)
{
	if (cq->batch.is_locked)
		pthread_mutex_unlock(&cq->batch.lock);
}

static int start_poll(struct ibv_cq_ex *public, struct ibv_poll_cq_attr *attr)
{
	struct face_cq *cq = face_cq(public);
	int err;

	if (attr->comp_mask)
		return EINVAL;
	if (cq->batch.is_locked)
		pthread_mutex_lock(&cq->batch.lock);
	err = advance(public);
	if (err)
		unlock(cq);
	return err;
}

static void end_poll(struct ibv_cq_ex *public)
{
	unlock(face_cq(public));
}

/* ---- readers ---- */

static enum ibv_wc_opcode read_opcode(struct ibv_cq_ex *cq)
{
	return current(cq)->opcode;
}

static uint32_t read_vendor_err(struct ibv_cq_ex *cq)
{
	return current(cq)->vendor_err;
}

static uint32_t read_byte_len(struct ibv_cq_ex *cq)
{
	return current(cq)->byte_len;
}

/* The invalidated rkey as well, which shares its place. */
static __be32 read_imm_data(struct ibv_cq_ex *cq)
{
	return current(cq)->imm_data;
}

static uint32_t read_qp_num(struct ibv_cq_ex *cq)
{
	return current(cq)->qp_num;
}

static uint32_t read_src_qp(struct ibv_cq_ex *cq)
{
	return current(cq)->src_qp;
}

static unsigned int read_wc_flags(struct ibv_cq_ex *cq)
{
	return current(cq)->wc_flags;
}

static uint32_t read_slid(struct ibv_cq_ex *cq)
{
	return current(cq)->slid;
}

static uint8_t read_sl(struct ibv_cq_ex *cq)
{
	return current(cq)->sl;
}

static uint8_t read_dlid_path_bits(struct ibv_cq_ex *cq)
{
	return current(cq)->dlid_path_bits;
}

static uint64_t read_completion_ts(struct ibv_cq_ex *cq)
{
	return hca_clock(face_context(cq->context)->hca, face_cq(cq)->batch.completed_ns);
}

static uint64_t read_completion_wallclock_ns(struct ibv_cq_ex *cq)
{
	uint64_t ago_ns = hca_now_ns() - face_cq(cq)->batch.completed_ns;
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec - ago_ns;
}

/* InfiniBand has no VLANs, this HCA no flow steering and no tag matching: nothing was found. */
static uint16_t read_cvlan(struct ibv_cq_ex *cq)
{
	return 0;
}

static uint32_t read_flow_tag(struct ibv_cq_ex *cq)
{
	return 0;
}

static void read_tm_info(struct ibv_cq_ex *cq, struct ibv_wc_tm_info *info)
{
	*info = (struct ibv_wc_tm_info){0};
}

static void fill_readers(struct ibv_cq_ex *cq, uint64_t wc_flags)
{
	cq->start_poll = start_poll;
	cq->next_poll = advance;
	cq->end_poll = end_poll;
	cq->read_opcode = read_opcode;
	cq->read_vendor_err = read_vendor_err;
	cq->read_wc_flags = read_wc_flags;
#define READER(flag, reader)                                                                       \
	if (wc_flags & (flag))                                                                     \
		cq->reader = reader;
	READER(IBV_WC_EX_WITH_BYTE_LEN, read_byte_len)
	READER(IBV_WC_EX_WITH_IMM, read_imm_data)
	READER(IBV_WC_EX_WITH_QP_NUM, read_qp_num)
	READER(IBV_WC_EX_WITH_SRC_QP, read_src_qp)
	READER(IBV_WC_EX_WITH_SLID, read_slid)
	READER(IBV_WC_EX_WITH_SL, read_sl)
	READER(IBV_WC_EX_WITH_DLID_PATH_BITS, read_dlid_path_bits)
	READER(IBV_WC_EX_WITH_COMPLETION_TIMESTAMP, read_completion_ts)
	READER(IBV_WC_EX_WITH_CVLAN, read_cvlan)
	READER(IBV_WC_EX_WITH_FLOW_TAG, read_flow_tag)
	READER(IBV_WC_EX_WITH_TM_INFO, read_tm_info)
	READER(IBV_WC_EX_WITH_COMPLETION_TIMESTAMP_WALLCLOCK, read_completion_wallclock_ns)
#undef READER
}

/* ---- made, and asked for the time ---- */

static int check_init_attr(const struct ibv_cq_init_attr_ex *attr)
{
	const struct face_pd *parent = (const struct face_pd *)(const void *)attr->parent_domain;

	if (attr->comp_mask & ~(uint32_t)(IBV_CQ_INIT_ATTR_MASK_FLAGS | IBV_CQ_INIT_ATTR_MASK_PD))
		return EOPNOTSUPP;
	if ((attr->comp_mask & IBV_CQ_INIT_ATTR_MASK_FLAGS) &&
	        (attr->flags & ~(uint32_t)(IBV_CREATE_CQ_ATTR_SINGLE_THREADED |
	                                   IBV_CREATE_CQ_ATTR_IGNORE_OVERRUN)))
		return EOPNOTSUPP;
	if (attr->wc_flags & ~(uint64_t)IBV_CREATE_CQ_SUP_WC_FLAGS)
		return EOPNOTSUPP;
	/* An ordinary PD is none. */
	if ((attr->comp_mask & IBV_CQ_INIT_ATTR_MASK_PD) && (!parent || parent->root == parent))
		return EINVAL;
	return 0;
}

static void take_attributes(struct face_cq *cq, const struct ibv_cq_init_attr_ex *attr)
{
	uint32_t flags = attr->comp_mask & IBV_CQ_INIT_ATTR_MASK_FLAGS ? attr->flags : 0;

	if (attr->comp_mask & IBV_CQ_INIT_ATTR_MASK_PD)
		cq->parent_domain = (struct face_pd *)(void *)attr->parent_domain;
	cq->batch.is_locked = !(flags & IBV_CREATE_CQ_ATTR_SINGLE_THREADED);
	pthread_mutex_init(&cq->batch.lock, NULL);
	fill_readers(&cq->cq_ex, attr->wc_flags);
}

struct ibv_cq_ex *face_create_cq_ex(struct ibv_context *context, struct ibv_cq_init_attr_ex *attr)
{
	struct face_cq *cq = NULL;
	int err = check_init_attr(attr);

	if (!err)
		err = face_make_cq(context, attr, &cq);
	if (!err) {
		take_attributes(cq, attr);
		err = face_enter_cq(cq);
	}
	if (!err) {
		cq->hca.queue.ignores_overrun = (attr->comp_mask & IBV_CQ_INIT_ATTR_MASK_FLAGS) &&
		                                (attr->flags & IBV_CREATE_CQ_ATTR_IGNORE_OVERRUN);
		return &cq->cq_ex;
	}
	free(cq);
	errno = err;
	return NULL;
}

int face_query_rt_values(struct ibv_context *context, struct ibv_values_ex *values)
{
	int err = face_lock(context);

	if (err)
		return err;
	/* Ticks in the place of nanoseconds, as adapters' drivers give them. */
	if (values->comp_mask & IBV_VALUES_MASK_RAW_CLOCK)
		values->raw_clock = (struct timespec){
		        .tv_nsec = (long)hca_clock(face_context(context)->hca, hca_now_ns())};
	values->comp_mask &= IBV_VALUES_MASK_RAW_CLOCK;
	hca_unlock();
	return 0;
}
