/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * A random program as data: connections between processes, and what is done on them, one small
 * thing after the other, migrations and faults included. Made from a seed, written as text and read
 * again, made smaller by the shrinker, run by the executor, judged by the reference.
 *
 * A link is a connection; its two ends are its queue pairs, 2 * link and 2 * link + 1. A queue pair
 * that is made in place of a destroyed one is an end of another link, so an end lives once. An
 * end's work requests are numbered in the order in which it posts them, from 0.
 *
 * Of XRC one end sends, the even one, and the other is a target: it posts nothing, and its RECVs
 * come from the XRC SRQs of its process, each message's from the one that it names.
 *
 * What an end writes at the other one lies in memory that is its own, so that each execution can
 * be told: work with PLACE_CELL has a cell for itself, which the other side's eye empties when it
 * is full; PLACE_HOT is written again and again.
 */
#ifndef MODEL_PROGRAM_H
#define MODEL_PROGRAM_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <infiniband/verbs.h>

enum {
	PROCESSES = 4,
	PROCESS_CQS = 3,
	XRC_SRQS = 2, /* of each process */
	LINKS_MOST = 8,
	LINKS_AT_ONCE = 4,
	ENDS_MOST = 2 * LINKS_MOST,
	WORK_LEAST = 50, /* of each queue pair that is not replaced */
	HOT_CELLS = 4,
	HOT_BYTES = 64,
	VERSIONED_CELLS = 4,
	COUNTERS = 4, /* of each process */
	MESSAGE_MOST = 1536,
	SHORT_MOST = 128,
	INLINE_MOST = 1024, /* as the simulated HCA */
	SGES_MOST = 4,
};

/* The first two are in VMs that move, each in one of its own. */
enum process { PROCESS_A, PROCESS_B, PROCESS_P, PROCESS_Q };

enum place { PLACE_NONE, PLACE_CELL, PLACE_HOT, PLACE_VERSIONED, PLACE_COUNTER, PLACE_COUNT };
enum wrong { RIGHT, WRONG_LKEY, WRONG_RKEY, WRONG_BOUNDS, WRONG_SHORT, WRONG_COUNT };

struct work {
	uint8_t opcode; /* enum ibv_wr_opcode */
	uint8_t flags;  /* enum ibv_send_flags */
	uint8_t sges;   /* the length spread over so many */
	uint8_t place;  /* enum place: at the other end */
	uint8_t index;  /* of a hot cell, versioned cell or counter */
	uint8_t wrong;  /* enum wrong */
	uint8_t window; /* asks by a memory window of the other end, if it has one */
	uint16_t length;
	uint64_t operand; /* immediate data, what is added, or what is put in place */
};

enum action_kind {
	ACTION_POST,    /* @count requests at end @of, from work[@first] on */
	ACTION_RECEIVE, /* @count RECVs in the receive queue of end @of; @how: receive_how */
	ACTION_POLL,    /* queue @how of process @of, at most @count */
	ACTION_TOUCH,   /* what end @of may READ has another version, cell @how */
	ACTION_FAIL,    /* end @of to ERR */
	ACTION_DESTROY, /* both ends of link @of, end @how first */
	ACTION_CONNECT, /* link @of is made and connected */
	ACTION_RUN,     /* @count small things happen in the world */
	ACTION_MOVE,    /* a migration of the VM of process @of begins */
	ACTION_PIECE,   /* @count pieces of the migrations that are under way */
	ACTION_FAULT, /* to end @of's next message: @how: enum qp_fault_action; @count: fault_count
	               */
	ACTION_KINDS,
};

struct action {
	uint8_t kind, of, how;
	uint16_t count;
	uint32_t first;
};

/* From packet @packet on, @times or, if that is 0, until a migration has voted. */
static inline uint16_t fault_count(unsigned packet, unsigned times)
{
	return (uint16_t)(packet << 8 | times);
}

/* Such RECVs; of a target in XRC SRQ @srq, else 0. */
static inline uint8_t receive_how(enum wrong wrong, unsigned srq)
{
	return (uint8_t)(srq << 4 | wrong);
}

static inline enum wrong receive_wrong(unsigned how)
{
	return how & 0xf;
}

static inline unsigned receive_srq(unsigned how)
{
	return how >> 4;
}

struct program_link {
	uint8_t process[2];
	uint8_t shares[2];   /* the end's RECVs come from its process's SRQ */
	uint8_t cq[2][2];    /* of each end: for sends, for receives */
	uint8_t builders[2]; /* the end posts by ibv_wr_* */
	uint8_t signal_all[2];
	uint8_t mtu; /* enum ibv_mtu */
	uint8_t depth;
	uint8_t reads;     /* READs and atomics at a time */
	uint8_t rnr_retry; /* 7: for ever */
	uint8_t starved;   /* bit of each end: RECVs that are missing at the end are not posted */
	uint8_t is_late;   /* made by ACTION_CONNECT */
	uint8_t xrc;       /* else RC */
};

/* What the world is set to for this program. */
struct program_world {
	uint64_t seed; /* of the order in which things happen, and of faults */
	uint8_t rxe;   /* else as mlx5 */
	uint8_t dead_rq_psn;
	uint8_t drop, duplicate, delay; /* per cent of packets */
	uint8_t hold;                   /* per cent of RECV completions that come late */
	uint16_t stop_ms; /* so long STOP waits for what is under way; 0: as long as it does */
	uint8_t apart;    /* each XRC SRQ of a process completes in a queue of its own */
};

struct program {
	uint64_t seed;
	struct program_world world;
	struct program_link links[LINKS_MOST];
	unsigned link_count;
	struct action *actions;
	unsigned action_count, action_room;
	struct work *work;
	unsigned work_count, work_room;
};

struct program *program_make(uint64_t seed);
struct program *program_new(void);
struct program *program_copy(const struct program *program);
void program_free(struct program *program);

void program_add(struct program *program, struct action action);
/* @work is copied behind what there is; its index. */
unsigned program_add_work(struct program *program, const struct work *work);

/* NULL: what is wrong stands in @error. */
struct program *program_read(FILE *file, char *error, size_t error_size);
void program_write(const struct program *program, FILE *file);

/* Its actions name only what exists then: a link that is there, connected once, and so on. */
bool program_is_sound(const struct program *program);
/*
 * So that it can be run: a queue gives back what is unsignalled only with a completion behind it,
 * so there is one in each half of a queue, and the last work of each end asks for one.
 */
void program_signal_enough(struct program *program);
unsigned program_count(const struct program *program, enum action_kind kind);

static inline unsigned end_other(unsigned end)
{
	return end ^ 1;
}

static inline const struct program_link *end_link(const struct program *program, unsigned end)
{
	return &program->links[end / 2];
}

static inline unsigned end_process(const struct program *program, unsigned end)
{
	return end_link(program, end)->process[end & 1];
}

static inline bool end_shares(const struct program *program, unsigned end)
{
	return end_link(program, end)->shares[end & 1];
}

static inline bool end_is_target(const struct program *program, unsigned end)
{
	return end_link(program, end)->xrc && end & 1;
}

static inline bool end_posts(const struct program *program, unsigned end)
{
	return !end_is_target(program, end);
}

static inline bool end_receives(const struct program *program, unsigned end)
{
	return !end_link(program, end)->xrc || end & 1;
}

/* RECVs of others, too, may lie where its own do. */
static inline bool end_takes_from_srq(const struct program *program, unsigned end)
{
	return end_shares(program, end) || end_is_target(program, end);
}

/* From so many receive queues it takes. */
static inline unsigned end_srqs(const struct program *program, unsigned end)
{
	return end_is_target(program, end) ? XRC_SRQS : 1;
}

/* The XRC SRQ that a message of @end names; 0 where there is none to name. */
static inline unsigned work_srq(
        const struct program *program, unsigned end, const struct work *work)
{
	return end_link(program, end)->xrc ? (unsigned)(work->operand >> 63) : 0;
}

/* Work that asks for a completion, by itself or by its queue. */
static inline bool work_is_signaled(
        const struct program *program, unsigned end, const struct work *work)
{
	return work->flags & IBV_SEND_SIGNALED || end_link(program, end)->signal_all[end & 1];
}

static inline bool work_takes_receive(const struct work *work)
{
	return work->opcode == IBV_WR_SEND || work->opcode == IBV_WR_SEND_WITH_IMM ||
	       work->opcode == IBV_WR_SEND_WITH_INV || work->opcode == IBV_WR_RDMA_WRITE_WITH_IMM;
}

/* Done here alone, without a packet. */
static inline bool work_is_local(const struct work *work)
{
	return work->opcode == IBV_WR_BIND_MW || work->opcode == IBV_WR_LOCAL_INV;
}

/* One that it binds or ends. */
static inline bool work_names_window(const struct work *work)
{
	return work_is_local(work) || work->opcode == IBV_WR_SEND_WITH_INV;
}

static inline bool work_is_atomic(const struct work *work)
{
	return work->opcode == IBV_WR_ATOMIC_CMP_AND_SWP ||
	       work->opcode == IBV_WR_ATOMIC_FETCH_AND_ADD;
}

static inline bool work_has_answer(const struct work *work)
{
	return work->opcode == IBV_WR_RDMA_READ || work_is_atomic(work);
}

static inline bool work_writes(const struct work *work)
{
	return work->opcode == IBV_WR_RDMA_WRITE || work->opcode == IBV_WR_RDMA_WRITE_WITH_IMM;
}

#endif
