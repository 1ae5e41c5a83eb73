/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Which cells there are, a class of work in a state, and why some cannot be; how many cases each
 * has had. Pure.
 */
#ifndef TEST_MODEL_INJECTED_TABLE_H
#define TEST_MODEL_INJECTED_TABLE_H

#include <infiniband/verbs.h>
#include <stdbool.h>
#include <stdint.h>

#include "simfabric/work_state.h"

enum { OPCODES = 8, STATES = WORK_DONE };

/* What is said of a work request beside what it does. */
enum manner {
	MANNER_SIGNALLED,
	MANNER_UNSIGNALLED,
	MANNER_INLINE,
	MANNER_FENCED,
	MANNER_SOLICITED,
	MANNER_COUNT,
};

/* What answers it. */
enum target { TARGET_RQ, TARGET_SRQ, TARGET_XRC, TARGET_COUNT };

struct cell {
	unsigned opcode; /* an index of opcodes */
	enum manner manner;
	enum target target;
	enum work_state state;
};

extern const enum ibv_wr_opcode opcodes[OPCODES];
extern const char *const opcode_names[OPCODES], *const manner_names[MANNER_COUNT],
                                                        *const target_names[TARGET_COUNT];

/* Why no work request of this class is ever in this state; NULL: it can be. */
const char *cell_is_unreachable(const struct cell *cell);

/* Every cell, reachable or not; false behind the last. */
bool cell_next(struct cell *cell);

struct case_counts {
	uint32_t cells[OPCODES][MANNER_COUNT][TARGET_COUNT][STATES];
};

static inline uint32_t *cell_count(struct case_counts *counts, const struct cell *cell)
{
	return &counts->cells[cell->opcode][cell->manner][cell->target][cell->state];
}

/* The table by opcode, manner and target apart, then each cell, and for what is not reachable the
 * reasons. */
void case_counts_print(struct case_counts *counts);
/* Reachable cells with fewer than @wanted; the same of classes, which are an opcode, a manner or a
 * target, whatever the other two are. */
unsigned case_counts_short(struct case_counts *counts, uint32_t wanted);
unsigned case_counts_short_classes(struct case_counts *counts, uint32_t wanted);

#endif
