/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * A queue pair's transport (IBA chapter 9): a requester that turns work requests into packets and
 * answers into completions, and a responder that executes requests. Pure logic: packets, time,
 * memory and numbers come through struct queue_pair_host, so that two of them can be run against
 * each other on a hostile wire.
 *
 * One lock for all: whoever calls holds the HCA's. The host calls queue_pair_transmit for each
 * queue pair that asked (host->ready), queue_pair_receive for each packet and queue_pair_expire
 * when a due time has come. None of them blocks or allocates.
 */
#ifndef SIMFABRIC_QUEUE_PAIR_ENGINE_H
#define SIMFABRIC_QUEUE_PAIR_ENGINE_H

#include <stdbool.h>
#include <stdint.h>
#include <infiniband/verbs.h>

#include "simfabric/completion_queue.h"
#include "simfabric/memory_keys.h"
#include "simfabric/packet.h"
#include "simfabric/work_queue.h"

enum {
	QUEUE_PAIR_MAX_READS = 16,
	QUEUE_PAIR_MAX_MESSAGE = 1 << 30,
	/* Answers that a responder owes: ACKs between reads collapse, the rest are repeats. */
	RESPONSE_QUEUE_SIZE = 64,
	REQUEST_WINDOW = 2048, /* unacknowledged packets, where no large READ is among them */
	ACK_EVERY = 64,        /* packets of a long message */
	TRANSMIT_BURST = 64,   /* packets of one queue pair in one turn */
};

struct queue_pair;
struct xrc_srq;

/* What a queue pair stands on. All calls come under the HCA's lock. */
struct queue_pair_host {
	struct memory_keys *keys;
	uint64_t now_ns; /* set by the owner before each call into the engine */

	/* Behaviours in which adapters differ (data_faults.h). */
	bool err_flushes_receives;
	bool err_gives_back_sent;
	bool raises_last_wqe;

	/*
	 * Room for one packet to the queue pair's peer; NULL: none now, the host calls
	 * queue_pair_transmit again. What will be lost on the way gets room as well. Ended by send
	 * or discard.
	 */
	struct packet *(*reserve)(struct queue_pair *qp, uint16_t dlid, uint32_t dest_qpn);
	void (*send)(struct queue_pair *qp, struct packet *packet);
	void (*discard)(struct queue_pair *qp, struct packet *packet);
	/* The port: how long a datagram may be, which bits of a LID select a path (LMC), a row of
	 * the GID table (false: not there). */
	uint32_t (*mtu)(struct queue_pair *qp);
	uint16_t (*path_bits)(struct queue_pair *qp);
	bool (*gid)(struct queue_pair *qp, uint8_t index, union ibv_gid *gid);
	/* The last packet to the peer is still on the way or its answer not yet made. */
	bool (*is_under_way)(struct queue_pair *qp);

	/* Faults at will; both may be NULL. The request of @psn must not be sent now, and the host
	 * says when it may (ready); @begins: it is the first packet of a message that never was
	 * sent. What is to be received next finds no buffer. */
	bool (*is_held)(struct queue_pair *qp, uint32_t psn, bool begins);
	bool (*refuses_receive)(struct queue_pair *qp);

	/* False: the completion queue is full. */
	bool (*complete)(struct queue_pair *qp, struct completion_queue *queue,
	        const struct completion *completion);
	void (*event)(struct queue_pair *qp, enum ibv_event_type type);
	/* A receive left this shared queue. */
	void (*srq_taken)(struct queue_pair *qp, struct receive_queue *queue);
	/* The queue pair's domain has an SRQ of this number, or NULL. */
	const struct xrc_srq *(*find_srq)(const struct queue_pair *qp, uint32_t number);
	void (*ready)(struct queue_pair *qp);                /* has something to transmit */
	void (*due)(struct queue_pair *qp, uint64_t due_ns); /* call expire then, or later */
};

struct requester {
	struct send_queue queue;
	uint32_t next_psn;  /* of the packet to send next */
	uint32_t new_psn;   /* the first that was never sent */
	uint32_t acked_psn; /* the oldest that is not acknowledged; of a READ, not answered */
	uint32_t reads_out; /* READs and atomics in [oldest, cursor) */
	uint8_t retries_left, rnr_retries_left;
	bool went_back; /* since the last progress; later signs of the same loss count no more */
	bool in_rnr_wait;
	uint64_t timeout_due_ns; /* 0: not running; the end of the wait while in_rnr_wait */
};

enum response_kind { RESPONSE_ACK, RESPONSE_READ, RESPONSE_ATOMIC };

struct response {
	uint8_t kind;
	uint8_t syndrome;
	bool is_repeat;
	uint32_t psn; /* of the first packet */
	uint32_t msn;
	uint32_t rkey;
	uint64_t address, length, sent; /* of a READ */
	const void *pd;
	uint64_t original; /* of an atomic */
};

/* A READ or atomic that the requester may ask for again. */
struct saved_request {
	bool valid;
	bool is_atomic;
	uint32_t psn;
	uint32_t packets;
	uint64_t original;
};

struct responder {
	struct receive_queue own_queue;
	/* The queue pair's own or those of its SRQ; with XRC of the SRQ that a packet names. */
	struct receive_queue *queue;
	struct completion_queue *completions;
	const void *pd;
	uint32_t srqn; /* of this message */
	uint32_t expected_psn;
	uint32_t msn;
	uint16_t message; /* IS_SEND or IS_WRITE inside a message of several packets, else 0 */
	bool has_receive;
	bool nak_sent;      /* nothing more until the expected packet comes */
	bool lacks_receive; /* its answer was RNR */
	bool skips;         /* UC: nothing more until the next message begins */
	bool heard;         /* a packet has come: COMM_EST is raised */
	uint64_t received;  /* bytes of this message */
	struct receive_work receive;
	struct {
		uint64_t address, length;
		uint32_t rkey;
	} write;
	struct saved_request saved[QUEUE_PAIR_MAX_READS];
	uint32_t saved_next;
	struct response responses[RESPONSE_QUEUE_SIZE];
	uint32_t response_head, response_tail;
};

struct queue_pair {
	struct queue_pair_host *host;
	const void *pd;
	struct completion_queue *send_completions, *receive_completions;
	uint32_t qpn;
	enum ibv_qp_type type;
	uint8_t transport; /* enum packet_transport */
	const void *xrc_domain;
	bool sq_sig_all;
	bool uses_srq;
	bool drained_event_asked;
	enum ibv_qp_state state;
	struct ibv_qp_attr attr; /* as modified; state, PSNs and cap are the live ones elsewhere */
	uint32_t mtu;
	uint64_t timeout_ns; /* 0: for ever */
	struct window_owner windows;
	struct requester requester;
	struct responder responder;
	/* The host's own. */
	bool is_ready;
	struct queue_pair *next_ready;
	uint64_t due_ns;
};

struct queue_pair_config {
	struct queue_pair_host *host;
	const void *pd;
	struct completion_queue *send_completions, *receive_completions;
	struct receive_queue *shared_receives; /* NULL: its own */
	const void *xrc_domain;                /* of an XRC target */
	struct ibv_qp_cap cap;
	uint32_t qpn;
	enum ibv_qp_type type;
	bool sq_sig_all;
};

int queue_pair_init(struct queue_pair *qp, const struct queue_pair_config *config);
void queue_pair_fini(struct queue_pair *qp);

/* As ibv_modify_qp, the masks of qp_states.h included. 0 or -EINVAL, and then nothing changed. */
int queue_pair_modify(struct queue_pair *qp, const struct ibv_qp_attr *attr, int mask);
/* As ibv_query_qp, PSNs live: sq_psn of the next new request, rq_psn of the next expected. */
void queue_pair_query(const struct queue_pair *qp, struct ibv_qp_attr *attr);

/*
 * Post @work requests that send_queue_prepare has put behind the posted ones. Once posted they are
 * carried out by queue_pair_transmit. -EINVAL: not in this state.
 */
int queue_pair_post_send(struct queue_pair *qp, uint32_t count);
/* -EINVAL: not in this state or too many buffers; -ENOMEM: full. */
int queue_pair_post_receive(struct queue_pair *qp, const struct ibv_recv_wr *wr);

void queue_pair_receive(struct queue_pair *qp, const struct packet *packet);
/* True: there is more to send, but the wire had no room or the burst is over. */
bool queue_pair_transmit(struct queue_pair *qp);
void queue_pair_expire(struct queue_pair *qp);

/* To ERR: everything unfinished is flushed. Nothing is done twice. */
void queue_pair_fail(struct queue_pair *qp);

#endif
