/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Queue pairs of the fake HCA: their states, what is posted to them, and how it is given back. What
 * becomes of it otherwise: shim_fake_wire.c.
 */
#ifndef TEST_SHIM_FAKE_QUEUE_PAIRS_H
#define TEST_SHIM_FAKE_QUEUE_PAIRS_H

#include <infiniband/verbs.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "tests/unit/shim_fake_devices.h"

enum { FAKE_QUEUE = 256, FAKE_MAX_SGE = 4, FAKE_MAX_INLINE = 64 };

struct fake_send {
	struct ibv_send_wr wr;
	struct ibv_sge sges[FAKE_MAX_SGE];
	uint8_t payload[FAKE_MAX_INLINE];
	uint32_t length, packets;
	struct ibv_ah_attr to; /* of a datagram: the handle may be gone before it is sent */
	bool executed;
	uint32_t window_key; /* that the poster knew */
};

struct fake_receive {
	uint64_t wr_id;
	struct ibv_sge sges[FAKE_MAX_SGE];
	int num_sge;
};

struct fake_receive_queue {
	struct fake_receive slots[FAKE_QUEUE];
	unsigned head, tail;
};

struct fake_qp {
	struct ibv_qp qp;
	struct ibv_qp_attr attr;
	struct hca *hca;
	struct fake_send sends[FAKE_QUEUE];
	unsigned head, executed, completed; /* completed <= executed <= head */
	unsigned partial;                   /* packets of sends[executed] that were accepted */
	struct fake_receive_queue own, *receives;
	struct fake_receive taken; /* for the message of which a part is there */
	bool has_taken;
	uint32_t expected_psn;
	uint32_t sent_psn; /* the next; of what needs no acknowledgement */
	uint32_t given_psn;
	uint16_t pkey_index;
	bool sig_all;
	bool established;      /* a message has come before RTS */
	struct ibv_xrcd *xrcd; /* of an XRC target */
	TAILQ_ENTRY(fake_qp) link;
};

TAILQ_HEAD(fake_qps, fake_qp);
extern struct fake_qps fake_qps;

static inline bool fake_is_unreliable(const struct fake_qp *qp)
{
	return qp->qp.qp_type == IBV_QPT_UC || qp->qp.qp_type == IBV_QPT_UD;
}

int fake_queue_receive(struct fake_receive_queue *queue, const struct ibv_recv_wr *wr);
/* The completion of the oldest that has none. */
void fake_complete_send(struct fake_qp *qp, enum ibv_wc_status status);
/* Of all that is left, receives too. */
void fake_flush(struct fake_qp *qp);
/* Those that are in its own queue. */
void fake_flush_receives(struct fake_qp *qp);
/* Its event, where it ends with a shared receive queue. */
void fake_last_wqe_reached(struct fake_qp *qp);

struct ibv_qp *fake_create_qp(struct ibv_pd *pd, struct ibv_qp_init_attr *attr);
struct ibv_qp *fake_create_qp_ex(struct ibv_context *context, struct ibv_qp_init_attr_ex *attr);
int fake_modify_qp(struct ibv_qp *shown, struct ibv_qp_attr *attr, int mask);
int fake_query_qp(
        struct ibv_qp *shown, struct ibv_qp_attr *attr, int mask, struct ibv_qp_init_attr *init);
int fake_destroy_qp(struct ibv_qp *shown);
int fake_post_send(struct ibv_qp *shown, struct ibv_send_wr *wr, struct ibv_send_wr **bad);
int fake_post_recv(struct ibv_qp *shown, struct ibv_recv_wr *wr, struct ibv_recv_wr **bad);
struct ibv_ah *fake_create_ah(struct ibv_pd *pd, struct ibv_ah_attr *attr);
int fake_destroy_ah(struct ibv_ah *ah);

#endif
