/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Send queues and receive queues (a QP's own or shared): rings of copied work requests. Private
 * memory of the process, under the HCA's lock.
 *
 * Counters run freely; a slot is counter % size. As with an adapter a slot is free again when the
 * completion that covers it has been polled, not when the work is done.
 */
#ifndef SIMFABRIC_WORK_QUEUE_H
#define SIMFABRIC_WORK_QUEUE_H

#include <stdbool.h>
#include <stdint.h>
#include <infiniband/verbs.h>

#include "simfabric/memory_windows.h"

enum {
	QUEUE_MAX_SGE = 16,
};

struct send_work {
	uint64_t wr_id;
	union {
		struct {
			uint64_t remote_address;
			uint64_t compare_add, swap;
		};
		struct {
			struct ibv_ah_attr path;
			uint32_t qpn, qkey;
		} datagram;
		struct window_bind bind;
	};
	uint64_t length; /* of the message */
	uint32_t rkey;
	uint32_t remote_srqn; /* with XRC */
	uint32_t first_psn;   /* these two once it is started */
	uint32_t packets;
	union {
		__be32 imm_data;
		uint32_t invalidate_rkey;
	};
	uint32_t flags; /* enum ibv_send_flags, SIGNALED resolved with sq_sig_all */
	uint8_t opcode; /* enum ibv_wr_opcode */
	uint8_t failed; /* enum ibv_wc_status found while sending; reported in its turn */
	bool started;
	uint8_t sge_count; /* 0 with SEND_INLINE */
	union {
		struct ibv_sge sge[QUEUE_MAX_SGE]; /* as many as the queue was made for */
		uint8_t inline_data[1];
	};
};

struct send_queue {
	uint8_t *slots;
	uint32_t stride;
	uint32_t size;   /* a power of two */
	uint32_t max_wr; /* what the application may use */
	uint32_t max_sge, max_inline;
	enum ibv_qp_type type; /* says which operations there are */
	uint32_t freed;        /* everything before is polled: the slots may be used again */
	uint32_t oldest;       /* the oldest that is not completed */
	uint32_t cursor;       /* the one that is being sent */
	uint32_t posted;
};

struct receive_work {
	uint64_t wr_id;
	uint32_t length; /* of all its buffers */
	uint32_t sge_count;
	struct ibv_sge sge[QUEUE_MAX_SGE];
};

struct receive_queue {
	uint8_t *slots;
	uint32_t stride;
	uint32_t size;
	uint32_t max_wr, max_sge;
	uint32_t freed;
	uint32_t taken; /* the next one that a message will take */
	uint32_t posted;
};

int send_queue_init(struct send_queue *queue, enum ibv_qp_type type, uint32_t max_wr,
        uint32_t max_sge, uint32_t max_inline);
void send_queue_clear(struct send_queue *queue);
void send_queue_fini(struct send_queue *queue);

static inline struct send_work *send_queue_at(const struct send_queue *queue, uint32_t counter)
{
	return (struct send_work *)(void *)(queue->slots +
	                                    (size_t)(counter & (queue->size - 1)) * queue->stride);
}

/* How many more may be posted. */
uint32_t send_queue_room(const struct send_queue *queue);
/*
 * Copy @wr into the slot @ahead of the next one, not yet visible to the engine, which is told by
 * queue_pair_post_send. -ENOMEM: full. -EINVAL: too many buffers, too much inline data, an opcode
 * that this HCA lacks.
 */
int send_queue_prepare(struct send_queue *queue, uint32_t ahead, const struct ibv_send_wr *wr);
/* For ibv_wr_*: that slot, emptied, and what may be put into it. The caller knows that there is
 * room. */
struct send_work *send_queue_slot(struct send_queue *queue, uint32_t ahead);
int send_work_set_buffers(const struct send_queue *queue, struct send_work *work,
        const struct ibv_sge *sge, size_t count);
int send_work_add_inline(
        const struct send_queue *queue, struct send_work *work, const void *data, size_t bytes);

int receive_queue_init(struct receive_queue *queue, uint32_t max_wr, uint32_t max_sge);
/* Room for @max_wr, which must hold what is posted: -EINVAL if not. */
int receive_queue_resize(struct receive_queue *queue, uint32_t max_wr);
void receive_queue_clear(struct receive_queue *queue);
void receive_queue_fini(struct receive_queue *queue);
int receive_queue_post(struct receive_queue *queue, const struct ibv_recv_wr *wr);
/* How much the oldest holds; false: none. */
bool receive_queue_next_length(const struct receive_queue *queue, uint32_t *length);
/* Move the oldest into *@work; false: none. */
bool receive_queue_take(struct receive_queue *queue, struct receive_work *work);

#endif
