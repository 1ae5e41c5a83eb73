/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "simfabric/address_handle.h"
#include "simfabric/local_work.h"
#include "simfabric/work_queue.h"

static uint32_t power_of_two(uint32_t n)
{
	uint32_t size = 1;

	while (size < n)
		size *= 2;
	return size;
}

static uint32_t max_u32(uint32_t a, uint32_t b)
{
	return a > b ? a : b;
}

int send_queue_init(struct send_queue *queue, enum ibv_qp_type type, uint32_t max_wr,
        uint32_t max_sge, uint32_t max_inline)
{
	uint32_t tail = max_u32(max_u32(max_sge, 1) * sizeof(struct ibv_sge), max_inline);

	memset(queue, 0, sizeof(*queue));
	queue->stride = (uint32_t)(offsetof(struct send_work, sge) + tail + 63) & ~63u;
	queue->size = power_of_two(max_wr);
	queue->max_wr = max_wr;
	queue->max_sge = max_sge;
	queue->max_inline = max_inline;
	queue->type = type;
	queue->slots = aligned_alloc(64, (size_t)queue->stride * queue->size);
	return queue->slots ? 0 : -ENOMEM;
}

void send_queue_clear(struct send_queue *queue)
{
	queue->freed = queue->oldest = queue->cursor = queue->posted = 0;
}

void send_queue_fini(struct send_queue *queue)
{
	free(queue->slots);
	queue->slots = NULL;
}

uint32_t send_queue_room(const struct send_queue *queue)
{
	return queue->max_wr - (queue->posted - queue->freed);
}

struct send_work *send_queue_slot(struct send_queue *queue, uint32_t ahead)
{
	struct send_work *work = send_queue_at(queue, queue->posted + ahead);

	memset(work, 0, offsetof(struct send_work, sge));
	return work;
}

/* READs and atomics bring data, so there is none to put inline. */
static bool takes_inline(const struct send_work *work)
{
	return work->opcode != IBV_WR_RDMA_READ && work->opcode != IBV_WR_ATOMIC_CMP_AND_SWP &&
	       work->opcode != IBV_WR_ATOMIC_FETCH_AND_ADD;
}

int send_work_add_inline(
        const struct send_queue *queue, struct send_work *work, const void *data, size_t bytes)
{
	if (!takes_inline(work) || bytes > queue->max_inline - work->length)
		return -EINVAL;
	if (bytes)
		memcpy(work->inline_data + work->length, data, bytes);
	work->length += bytes;
	work->flags |= IBV_SEND_INLINE;
	return 0;
}

int send_work_set_buffers(const struct send_queue *queue, struct send_work *work,
        const struct ibv_sge *sge, size_t count)
{
	if (count > queue->max_sge)
		return -EINVAL;
	work->length = 0;
	for (size_t i = 0; i < count; i++) {
		work->sge[i] = sge[i];
		work->length += sge[i].length;
	}
	work->sge_count = (uint8_t)count;
	return 0;
}

static int copy_inline(
        const struct send_queue *queue, struct send_work *work, const struct ibv_send_wr *wr)
{
	int err = 0;

	for (int i = 0; i < wr->num_sge && !err; i++)
		err = send_work_add_inline(queue, work,
		        (const void *)(uintptr_t)wr->sg_list[i].addr, wr->sg_list[i].length);
	return err;
}

/* IBA table 36: what only RC can do needs an answer, or a connection. */
static bool type_has(enum ibv_qp_type type, enum ibv_wr_opcode opcode)
{
	bool wants_answer = opcode == IBV_WR_RDMA_READ || opcode == IBV_WR_ATOMIC_CMP_AND_SWP ||
	                    opcode == IBV_WR_ATOMIC_FETCH_AND_ADD || opcode == IBV_WR_SEND_WITH_INV;

	if (type == IBV_QPT_UD)
		return opcode == IBV_WR_SEND || opcode == IBV_WR_SEND_WITH_IMM;
	return type != IBV_QPT_UC || !wants_answer;
}

static void copy_address(struct send_work *work, const struct ibv_send_wr *wr)
{
	work->datagram.path = *address_of(wr->wr.ud.ah);
	work->datagram.qpn = wr->wr.ud.remote_qpn;
	work->datagram.qkey = wr->wr.ud.remote_qkey;
}

/* False: not an operation of this HCA. */
static bool copy_operation(
        const struct send_queue *queue, struct send_work *work, const struct ibv_send_wr *wr)
{
	if (!type_has(queue->type, wr->opcode))
		return false;
	switch (wr->opcode) {
	case IBV_WR_SEND:
	case IBV_WR_SEND_WITH_IMM:
		if (queue->type == IBV_QPT_UD)
			copy_address(work, wr);
		break;
	case IBV_WR_SEND_WITH_INV:
	case IBV_WR_LOCAL_INV:
		break;
	case IBV_WR_BIND_MW:
		/* Those of type 1 have ibv_bind_mw. */
		if (wr->bind_mw.mw->type != IBV_MW_TYPE_2)
			return false;
		local_work_set_bind(work, wr->bind_mw.mw, wr->bind_mw.rkey, &wr->bind_mw.bind_info);
		break;
	case IBV_WR_RDMA_WRITE:
	case IBV_WR_RDMA_WRITE_WITH_IMM:
	case IBV_WR_RDMA_READ:
		work->remote_address = wr->wr.rdma.remote_addr;
		work->rkey = wr->wr.rdma.rkey;
		break;
	case IBV_WR_ATOMIC_CMP_AND_SWP:
	case IBV_WR_ATOMIC_FETCH_AND_ADD:
		work->remote_address = wr->wr.atomic.remote_addr;
		work->rkey = wr->wr.atomic.rkey;
		work->compare_add = wr->wr.atomic.compare_add;
		work->swap = wr->wr.atomic.swap;
		break;
	default:
		return false;
	}
	work->imm_data = wr->imm_data;
	work->remote_srqn = wr->qp_type.xrc.remote_srqn;
	work->opcode = (uint8_t)wr->opcode;
	work->flags = wr->send_flags;
	work->wr_id = wr->wr_id;
	return true;
}

int send_queue_prepare(struct send_queue *queue, uint32_t ahead, const struct ibv_send_wr *wr)
{
	struct send_work *work;

	if (send_queue_room(queue) <= ahead)
		return -ENOMEM;
	work = send_queue_slot(queue, ahead);
	if (!copy_operation(queue, work, wr) || wr->num_sge < 0)
		return -EINVAL;
	if (work_is_local(work))
		return 0;
	if (wr->send_flags & IBV_SEND_INLINE)
		return copy_inline(queue, work, wr);
	return send_work_set_buffers(queue, work, wr->sg_list, (size_t)wr->num_sge);
}

static uint32_t receive_stride(uint32_t max_sge)
{
	return (uint32_t)(offsetof(struct receive_work, sge) +
	                  max_u32(max_sge, 1) * sizeof(struct ibv_sge));
}

int receive_queue_init(struct receive_queue *queue, uint32_t max_wr, uint32_t max_sge)
{
	memset(queue, 0, sizeof(*queue));
	queue->stride = receive_stride(max_sge);
	queue->size = power_of_two(max_wr);
	queue->max_wr = max_wr;
	queue->max_sge = max_sge;
	queue->slots = malloc((size_t)queue->stride * queue->size);
	return queue->slots ? 0 : -ENOMEM;
}

static struct receive_work *receive_at(const struct receive_queue *queue, uint32_t counter)
{
	return (struct receive_work *)(void *)(queue->slots +
	                                       (size_t)(counter & (queue->size - 1)) *
	                                               queue->stride);
}

int receive_queue_resize(struct receive_queue *queue, uint32_t max_wr)
{
	struct receive_queue larger;
	int err;

	if (queue->posted - queue->freed > max_wr)
		return -EINVAL;
	err = receive_queue_init(&larger, max_wr, queue->max_sge);
	if (err)
		return err;
	larger.freed = queue->freed;
	larger.taken = queue->taken;
	larger.posted = queue->posted;
	for (uint32_t i = queue->taken; i != queue->posted; i++)
		memcpy(receive_at(&larger, i), receive_at(queue, i), queue->stride);
	receive_queue_fini(queue);
	*queue = larger;
	return 0;
}

void receive_queue_clear(struct receive_queue *queue)
{
	queue->freed = queue->taken = queue->posted = 0;
}

void receive_queue_fini(struct receive_queue *queue)
{
	free(queue->slots);
	queue->slots = NULL;
}

int receive_queue_post(struct receive_queue *queue, const struct ibv_recv_wr *wr)
{
	struct receive_work *work;

	if (queue->posted - queue->freed >= queue->max_wr)
		return -ENOMEM;
	if (wr->num_sge < 0 || (uint32_t)wr->num_sge > queue->max_sge)
		return -EINVAL;
	work = receive_at(queue, queue->posted);
	work->wr_id = wr->wr_id;
	work->length = 0;
	work->sge_count = (uint32_t)wr->num_sge;
	for (int i = 0; i < wr->num_sge; i++) {
		work->sge[i] = wr->sg_list[i];
		work->length += wr->sg_list[i].length;
	}
	queue->posted++;
	return 0;
}

bool receive_queue_next_length(const struct receive_queue *queue, uint32_t *length)
{
	if (queue->taken == queue->posted)
		return false;
	*length = receive_at(queue, queue->taken)->length;
	return true;
}

bool receive_queue_take(struct receive_queue *queue, struct receive_work *work)
{
	const struct receive_work *oldest;

	if (queue->taken == queue->posted)
		return false;
	oldest = receive_at(queue, queue->taken++);
	memcpy(work, oldest,
	        offsetof(struct receive_work, sge) + oldest->sge_count * sizeof(struct ibv_sge));
	return true;
}
