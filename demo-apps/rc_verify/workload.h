/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * What a QP does next: a reproducible mix of everything that RC can do. Pure; one per QP.
 */
#ifndef RC_VERIFY_WORKLOAD_H
#define RC_VERIFY_WORKLOAD_H

#include <stdbool.h>
#include <stdint.h>

/* KIND(name, weight): the mix, in per mille. PROGRESS is a READ of how far the receiver is. */
#define WORK_KINDS(KIND)                                                                           \
	KIND(send, 280)                                                                            \
	KIND(send_imm, 80)                                                                         \
	KIND(write, 330)                                                                           \
	KIND(write_imm, 80)                                                                        \
	KIND(read, 80)                                                                             \
	KIND(fetch_add, 90)                                                                        \
	KIND(cmp_swap, 50)                                                                         \
	KIND(progress, 10)

enum work_kind {
#define KIND(name, weight) WORK_##name,
	WORK_KINDS(KIND)
#undef KIND
	        WORK_KIND_COUNT
};

extern const char *const work_kind_name[WORK_KIND_COUNT];

enum { WORK_SGES = 4 };

struct work {
	enum work_kind kind;
	uint32_t length;  /* bytes */
	uint32_t offset;  /* READ: where in the pattern */
	uint64_t operand; /* FETCH_ADD: the addend; CMP_SWAP: what is compared */
	uint8_t sges;     /* 1..WORK_SGES */
	bool is_signalled, is_inline, is_fenced;
};

struct workload_limits {
	uint32_t length_max, inline_max, sges_max;
	uint32_t pattern_length;
	uint32_t signal_every; /* on average; 1: always */
	bool has_atomics;
};

struct workload {
	uint64_t seed;
	struct workload_limits limits;
};

void workload_next(struct workload *workload, struct work *work);
/* The READ that asks for the receiver's progress. */
void workload_progress(struct work *work);
static inline bool work_takes_a_receive(enum work_kind kind)
{
	return kind == WORK_send || kind == WORK_send_imm || kind == WORK_write_imm;
}

#endif
