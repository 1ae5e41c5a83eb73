/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Two queue pairs in one process, joined by a wire that a test controls, on a virtual clock. For
 * unit tests of the engine.
 */
#ifndef UNIT_HCA_PAIR_H
#define UNIT_HCA_PAIR_H

#include "simfabric/qp_faults.h"
#include "simfabric/queue_pair_engine.h"

enum {
	PAIR_WIRE_ROOM = 512,
	PAIR_MEMORY = 1 << 20,
	PAIR_EVENTS = 64,
};

struct pair_packet {
	struct packet *packet;
	uint64_t arrives_ns;
	uint64_t order;
	int to;
};

/* What a test does to a packet: 0 lost, 1 delivered, 2 delivered twice. May set *delay_ns. */
typedef int (*pair_fate)(void *test, int from, const struct packet *packet, uint64_t *delay_ns);

struct pair_end {
	struct queue_pair_host host; /* first: the engine's callbacks find the end by it */
	struct pair *pair;
	int index;
	struct queue_pair qp;
	struct completion_queue send_completions, receive_completions;
	struct receive_queue shared_receives;
	struct memory_region region;
	uint8_t *memory;
	uint64_t due_ns; /* UINT64_MAX: no timer */
	bool is_ready;
	enum ibv_event_type events[PAIR_EVENTS];
	unsigned event_count;
	struct packet scratch;
};

struct pair {
	struct pair_end end[2];
	struct pair_packet wire[PAIR_WIRE_ROOM];
	unsigned on_wire;
	unsigned room;     /* packets that the wire takes; PAIR_WIRE_ROOM or less */
	uint32_t port_mtu; /* of both ports */
	uint64_t now_ns;
	uint64_t order;
	uint64_t sent[2];         /* packets that left each end */
	struct qp_faults *faults; /* NULL: none */
	pair_fate fate;
	void *test;
};

struct pair_options {
	uint32_t first_psn;
	enum ibv_mtu mtu;
	uint8_t timeout, retry_cnt, rnr_retry, min_rnr_timer, reads;
	unsigned access;
	uint32_t qkey;
	bool with_srq;
	enum ibv_qp_type types[2]; /* 0: RC */
};

extern const struct ibv_qp_cap pair_cap;
extern const struct pair_options pair_default;

/* Both ends in RTS, connected with each other. */
struct pair *pair_open(const struct pair_options *options);
void pair_close(struct pair *pair);
/* One end from RESET to RTS. */
int pair_connect(struct pair *pair, int index, const struct pair_options *options);

const void *pair_pd(void);
/* Two LIDs each (an LMC of 1), so that a path bit shows. */
uint16_t pair_lid(int index);
union ibv_gid pair_gid(int index);

/* The faults have been changed: what is held goes on where it may. */
void pair_look_anew(struct pair *pair);

/* What is ready is sent; true: something was. */
bool pair_transmit(struct pair *pair);
/* NULL: nothing is on the wire. */
struct pair_packet *pair_first_to_arrive(struct pair *pair);
void pair_deliver(struct pair *pair, struct pair_packet *first);
/* One step: send what is ready, else the next packet arrives or the next timer runs out. */
bool pair_step(struct pair *pair);
void pair_steps(struct pair *pair, unsigned count);
/* Until nothing moves any more; false: it still does after many steps. */
bool pair_settle(struct pair *pair);

/* A completion frees its slots. False: none is there. */
bool pair_poll(struct completion_queue *queue, uint64_t now_ns, struct ibv_wc *wc);
bool pair_poll_send(struct pair *pair, int index, struct ibv_wc *wc);
bool pair_poll_receive(struct pair *pair, int index, struct ibv_wc *wc);

struct ibv_sge pair_sge(struct pair *pair, int index, uint64_t offset, uint32_t length);
/* A signalled request from (@from, @local) to (@!from, @remote) where the opcode has a target. */
struct ibv_send_wr pair_request(struct pair *pair, int from, enum ibv_wr_opcode opcode,
        struct ibv_sge *sge, uint64_t remote, uint64_t wr_id);
int pair_post(struct pair *pair, int index, const struct ibv_send_wr *wr);
int pair_post_receive(
        struct pair *pair, int index, uint64_t offset, uint32_t length, uint64_t wr_id);

#endif
