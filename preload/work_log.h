/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * What was posted and is not completed, with all that is needed to post it again: the send log and
 * the receive log of a queue pair, and the log of a shared receive queue. Each belongs to its
 * queue.
 *
 * A log counts work requests in sequence; a slot is sequence modulo size. The poster (inside the
 * queue's gate) fills slots from `head` on, hands the device work requests made from these slots,
 * and only then moves `head`: what could not be posted was never logged. The poller (inside the
 * gate of the completion queue) moves `tail`. Work requests carry a tag in place of the
 * application's wr_id, so that a completion names its slot, and the incarnation of the queue pair
 * for which it was posted: RESET starts another.
 *
 * Send logs also know which packets carry what: PSNs run on from the first of the incarnation,
 * max(1, ceil(length / MTU)) a work request (IBA 9.7.2; a READ takes those of its responses).
 */
#ifndef TETHER_WORK_LOG_H
#define TETHER_WORK_LOG_H

#include <infiniband/verbs.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

enum { PSN_MASK = 0xffffff };

/* How far @a is behind @b, modulo 2^24: negative if @a is ahead. */
static inline int32_t psn_distance(uint32_t a, uint32_t b)
{
	return (int32_t)((b - a) << 8) >> 8;
}

/* What settlement has decided about work that had no completion. */
enum fate {
	FATE_OPEN,     /* with the device, or to be given to it */
	FATE_EXECUTED, /* done at the responder: completes in its turn, is not posted again */
};

struct send_slot {
	uint64_t wr_id __attribute__((aligned(64))); /* the application's */
	uint64_t remote_addr;
	struct ibv_sge sge; /* if it has only one */
	uint32_t rkey;
	uint32_t imm_data; /* or the rkey to invalidate, as it came */
	uint32_t length;
	uint32_t psn;      /* of its first packet in this incarnation */
	uint32_t receives; /* of this incarnation, up to and with this one, that take a RECV; modulo
	                      2^32 */
	uint8_t opcode;    /* enum ibv_wr_opcode */
	uint8_t flags; /* enum ibv_send_flags as asked, SIGNALED also where sq_sig_all says so */
	uint8_t num_sge;
	uint8_t fate;         /* enum fate */
	uint32_t remote_srqn; /* of XRC, as the application knows it */
};

/* What few work requests have. */
union send_operands {
	struct {
		uint64_t compare_add, swap;
	} atomic;
	struct {
		struct ibv_ah *ah;
		uint32_t remote_qpn, remote_qkey;
	} ud;
	struct {
		struct ibv_mw *mw; /* NULL: it is gone, or what this did to it is noted */
		struct ibv_mr *mr;
	} bind; /* to a range that stands in the slot's sge, with its rights as the lkey */
};

struct send_log {
	struct send_slot *slots;
	union send_operands *operands;
	struct ibv_sge *lists; /* max_sge a slot: of work requests with more than one */
	uint8_t *payloads;     /* max_inline a slot */
	uint32_t mask;         /* size - 1 */
	uint32_t depth;        /* so many at a time, as the application was promised */
	uint32_t max_sge, max_inline;
	uint32_t mtu;         /* bytes */
	uint8_t flags_always; /* SIGNALED for sq_sig_all */
	bool datagrams;       /* each names its address, in its operands */
	/* Signalled whatever the application asks. */
	bool signal_reads, signal_atomics;
	uint32_t head;        /* the next to be logged; the poster's */
	uint32_t posted;      /* everything before was handed to the device; the poster's */
	uint32_t first_psn;   /* of the incarnation; changes as it does */
	uint32_t next_psn;    /* of what is posted next; the poster's */
	uint32_t receives;    /* of the last one logged; the poster's */
	uint32_t incarnation; /* changes while both gates are closed */
	uint32_t executed;    /* slots with FATE_EXECUTED; inside the poller's gate */
	bool has_failed;      /* an error was told of some of it; the poller's */
	/* Of this incarnation, with the device before it was told to have failed; the poller's. */
	uint32_t failed, failed_end;
	uint32_t tail __attribute__((aligned(64))); /* the oldest open one; the poller's */
	uint32_t receives_done; /* `receives` of the last one completed; the poller's */
};

struct receive_slot {
	uint64_t wr_id;
	uint32_t num_sge;
};

struct receive_log {
	struct receive_slot *slots;
	struct ibv_sge *lists;
	uint32_t mask, depth, max_sge;
	uint32_t head, posted, incarnation;
	uint32_t tail __attribute__((aligned(64)));
};

/* Buffers of a shared queue complete in any order. */
struct shared_log {
	pthread_mutex_t lock; /* pollers of several completion queues give slots back */
	struct shared_slot {
		uint64_t wr_id;
		uint64_t order; /* of posting */
		uint32_t num_sge;
		uint8_t state; /* enum shared_state */
	} * slots;
	struct ibv_sge *lists;
	uint32_t *free;
	uint32_t depth, max_sge, free_count;
	uint32_t incarnation;
	uint64_t next_order;
};
enum shared_state {
	SHARED_FREE,
	SHARED_POSTED,
	SHARED_RETURNED, /* the device gave it back unused; to be posted again */
};

/* ---- tags ---- */

/* Of sends, two bits stand before the incarnation: window_work.h. */
enum { TAG_INCARNATIONS = 0x1fffffff, TAG_MARKED_INCARNATIONS = 0x7fffffff };

static inline uint64_t tag_of_send(uint32_t incarnation, uint32_t sequence)
{
	return (uint64_t)incarnation << 32 | sequence;
}

static inline uint64_t tag_of_receive(uint32_t incarnation, uint32_t sequence)
{
	return UINT64_C(1) << 63 | (uint64_t)incarnation << 32 | sequence;
}

static inline bool tag_is_receive(uint64_t tag)
{
	return tag >> 63;
}

/* No incarnation at all, if it is marked. */
static inline uint32_t tag_incarnation(uint64_t tag)
{
	return (tag >> 32) & TAG_MARKED_INCARNATIONS;
}

/* Of a send, marked or not. */
static inline uint32_t tag_incarnation_beside_marks(uint64_t tag)
{
	return (tag >> 32) & TAG_INCARNATIONS;
}

static inline uint32_t tag_sequence(uint64_t tag)
{
	return (uint32_t)tag;
}

static inline uint32_t incarnation_after(uint32_t incarnation)
{
	return (incarnation + 1) & TAG_INCARNATIONS;
}

/* ---- send log ---- */

int send_log_init(struct send_log *log, const struct ibv_qp_cap *cap);
void send_log_fini(struct send_log *log);

static inline struct send_slot *send_log_at(const struct send_log *log, uint32_t sequence)
{
	return &log->slots[sequence & log->mask];
}

/* Any thread: what is being logged just now may be missing. */
static inline uint32_t send_log_open(const struct send_log *log)
{
	const uint32_t tail = __atomic_load_n(&log->tail, __ATOMIC_ACQUIRE);

	return __atomic_load_n(&log->head, __ATOMIC_ACQUIRE) - tail;
}

/* Does work of this kind take a RECV at the responder? */
static inline bool opcode_takes_receive(unsigned opcode)
{
	const unsigned all = 1u << IBV_WR_SEND | 1u << IBV_WR_SEND_WITH_IMM |
	                     1u << IBV_WR_SEND_WITH_INV | 1u << IBV_WR_RDMA_WRITE_WITH_IMM;

	return (1u << opcode & all) != 0;
}

static inline bool opcode_is_atomic(unsigned opcode)
{
	return opcode == IBV_WR_ATOMIC_CMP_AND_SWP || opcode == IBV_WR_ATOMIC_FETCH_AND_ADD;
}

/* Done here, without a packet. Its completion is always asked for. */
static inline bool opcode_is_local(unsigned opcode)
{
	return opcode == IBV_WR_LOCAL_INV || opcode == IBV_WR_BIND_MW;
}

/*
 * The length that stands in the slot of local work, which has no packets: rounded up to whole ones
 * it begins at 0 again, so that nobody has to ask what kind of work it is.
 */
enum { LENGTH_OF_LOCAL_WORK = 0xffffffff };

static inline bool opcode_has_answer(unsigned opcode)
{
	return opcode == IBV_WR_RDMA_READ || opcode_is_atomic(opcode);
}

/* Its completion is asked for by this library. */
static inline bool send_log_signals(const struct send_log *log, unsigned opcode)
{
	return opcode_is_atomic(opcode) ? log->signal_atomics
	                                : log->signal_reads && opcode_has_answer(opcode);
}

/* Packets that @slot takes of the sequence numbers: none for LENGTH_OF_LOCAL_WORK. */
static inline uint32_t send_slot_packets(const struct send_log *log, const struct send_slot *slot)
{
	return slot->length > log->mtu && !opcode_is_atomic(slot->opcode) && !log->datagrams
	               ? (slot->length + log->mtu - 1) / log->mtu
	               : 1;
}

/* Of what comes behind it. */
static inline uint32_t send_slot_end_psn(const struct send_log *log, const struct send_slot *slot)
{
	return (slot->psn + send_slot_packets(log, slot)) & PSN_MASK;
}

/*
 * Put @wr into the slot @ahead of head. -ENOMEM: the queue is full. -EINVAL: too many buffers, too
 * much inline data, an opcode that this library does not log.
 */
int send_log_fill(struct send_log *log, uint32_t ahead, const struct ibv_send_wr *wr);

/*
 * The same in steps, for ibv_wr_*: an empty slot, then what goes into it. NULL: full.
 */
static inline struct send_slot *send_log_begin(struct send_log *log, uint32_t ahead)
{
	struct send_slot *slot;

	if (send_log_open(log) + ahead >= log->depth)
		return NULL;
	slot = send_log_at(log, log->head + ahead);
	slot->num_sge = 0;
	slot->length = 0;
	slot->fate = FATE_OPEN;
	return slot;
}

int send_log_set_sges(
        struct send_log *log, struct send_slot *slot, const struct ibv_sge *sges, uint32_t count);
int send_log_set_inline(struct send_log *log, struct send_slot *slot,
        const struct ibv_data_buf *buffers, size_t count);
union send_operands *send_log_operands(const struct send_log *log, const struct send_slot *slot);

/* An empty slot becomes local work, of which only window_work.c makes work requests. */
void send_log_set_local(struct send_slot *slot, unsigned opcode);

/*
 * Count the RECVs that the first @count slots ahead of head will take, before the device has them:
 * a poller may see them complete before they are committed.
 */
void send_log_number(struct send_log *log, uint32_t count);
/* The first @count slots ahead of head are work now; the device has it if @posted. */
void send_log_commit(struct send_log *log, uint32_t count, bool posted);
/* Everything before @sequence is with the device now, or needs not be. */
void send_log_reposted(struct send_log *log, uint32_t sequence);

/* A work request as it is posted: with a tag, and buffers in the log. */
void send_log_wr(const struct send_log *log, uint32_t sequence, struct ibv_send_wr *wr);

/* Everything up to @sequence has completed. */
static inline void send_log_retire(struct send_log *log, uint32_t sequence)
{
	log->receives_done = send_log_at(log, sequence)->receives;
	__atomic_store_n(&log->tail, sequence + 1, __ATOMIC_RELEASE);
}

/* Both gates closed: completions of what was posted until now are stale from here on. */
static inline void send_log_seal(struct send_log *log)
{
	log->incarnation = incarnation_after(log->incarnation);
}

/* An error is told of what stands from @first on to before @end. */
static inline void send_log_note_failed(struct send_log *log, uint32_t first, uint32_t end)
{
	log->has_failed = true;
	if (first == end)
		return;
	if (log->failed == log->failed_end)
		log->failed = first;
	else if (log->failed_end != first)
		return; /* what stands between was never posted */
	log->failed_end = end;
}

/* The same where that of @sequence is an error: it has taken no RECV for certain. */
static inline void send_log_retire_failed(struct send_log *log, uint32_t sequence)
{
	send_log_note_failed(log, sequence, sequence + 1);
	__atomic_store_n(&log->tail, sequence + 1, __ATOMIC_RELEASE);
}

/* Nothing was posted in this incarnation; its numbers begin here. */
static inline void send_log_number_from(struct send_log *log, uint32_t psn)
{
	log->first_psn = log->next_psn = psn & PSN_MASK;
}

/* Both gates closed: a new incarnation begins with @psn; what is open is to be posted again. */
void send_log_restart(struct send_log *log, uint32_t psn);
/* Both gates closed: forget everything, as RESET does. */
void send_log_clear(struct send_log *log);
/* The same where an error was told of all that is open: what it may have taken stays known, and
 * numbers go on. */
void send_log_forget_failed(struct send_log *log);

/* ---- receive logs ---- */

int receive_log_init(struct receive_log *log, uint32_t depth, uint32_t max_sge);
void receive_log_fini(struct receive_log *log);
int receive_log_fill(struct receive_log *log, uint32_t ahead, const struct ibv_recv_wr *wr);
void receive_log_commit(struct receive_log *log, uint32_t count, bool posted);
void receive_log_wr(const struct receive_log *log, uint32_t sequence, struct ibv_recv_wr *wr);
void receive_log_restart(struct receive_log *log);
void receive_log_clear(struct receive_log *log);

/* There was an incarnation before this one. */
static inline bool receive_log_has_past(const struct receive_log *log)
{
	return log->incarnation != 1;
}

static inline struct receive_slot *receive_log_at(const struct receive_log *log, uint32_t sequence)
{
	return &log->slots[sequence & log->mask];
}

static inline void receive_log_retire(struct receive_log *log, uint32_t sequence)
{
	__atomic_store_n(&log->tail, sequence + 1, __ATOMIC_RELEASE);
}

int shared_log_init(struct shared_log *log, uint32_t depth, uint32_t max_sge);
void shared_log_fini(struct shared_log *log);
/* -ENOMEM: full; -EINVAL. The slot is the poster's until shared_log_give_back or a completion. */
int shared_log_take(struct shared_log *log, const struct ibv_recv_wr *wr, uint32_t *index);
void shared_log_wr(const struct shared_log *log, uint32_t index, struct ibv_recv_wr *wr);
/* Free the slot; its wr_id. */
uint64_t shared_log_give_back(struct shared_log *log, uint32_t index);
/* The device has given the buffer back unused. */
void shared_log_returned(struct shared_log *log, uint32_t index);
/*
 * Indices of what is to be posted again, in the order of the first posting: all that is open, or
 * only what was returned. @indices has room for depth. Their state becomes posted.
 */
uint32_t shared_log_repost(struct shared_log *log, bool all, uint32_t *indices);

#endif
