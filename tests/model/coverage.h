/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Which work was in which state when a move stopped it: cells of opcode, flag, state, who posted it
 * (the VM that moves or a peer) and where the other end's RECVs come from. Cells that cannot be are
 * named with the reason; `empty` are those that can and were not.
 */
#ifndef MODEL_COVERAGE_H
#define MODEL_COVERAGE_H

#include <stdint.h>
#include <stdio.h>

#include "model/program.h"
#include "model/program_text.h"

/* preload/DESIGN.md, "Evidence"; as enum work_state has them. */
enum stop_state {
	STOP_NOT_SENT,
	STOP_IN_PART,        /* delivered in part */
	STOP_UNACKNOWLEDGED, /* executed, and the requester does not know */
	STOP_ANSWER_LOST,    /* executed, and the answer is not here */
	STOP_RNR,            /* waits for a RECV */
	STOP_UNSEEN,         /* acknowledged, and the RECV's completion is not visible */
	STOP_STATES,
};

enum covered_flag { FLAG_SIGNALED, FLAG_UNSIGNALED, FLAG_INLINE, FLAG_FENCED, FLAG_SOLICITED };

enum covered_queue { FROM_RQ, FROM_SRQ, FROM_XRC, FROM_COUNT };
/* The VM asks, from each queue; then a peer does. */
enum { COVERED_WAYS = 2 * FROM_COUNT };

struct coverage {
	uint64_t counts[OPCODES][FLAGS][STOP_STATES][COVERED_WAYS];
};

void coverage_note(struct coverage *coverage, const struct work *work, bool is_signaled,
        enum stop_state state, bool is_peer, enum covered_queue from);
void coverage_add(struct coverage *to, const struct coverage *coverage);

/* Why there is no such cell; NULL: there is. @opcode: place in work_opcodes. */
const char *coverage_unreachable(unsigned opcode, unsigned flag, enum stop_state state);
/* Nor one by that way. */
bool coverage_is_reachable(unsigned opcode, unsigned flag, enum stop_state state, bool is_peer,
        enum covered_queue from);
unsigned coverage_empty(const struct coverage *coverage);
/* A class is an opcode, a flag, or who asks and where the RECVs come from, whatever the others are:
 * how many were not in a state that some of their cells can be in. */
unsigned coverage_empty_classes(const struct coverage *coverage);
/* The same of an opcode with a flag, whoever asks and wherever the RECVs come from. */
unsigned coverage_empty_kinds(const struct coverage *coverage);
/* Cells that were counted and that are said not to be. */
unsigned coverage_impossible(const struct coverage *coverage);
/* Lines that begin with @prefix. */
void coverage_print(const struct coverage *coverage, const char *prefix, FILE *file);
/* Each cell that coverage_empty counts. */
void coverage_print_empty(const struct coverage *coverage, const char *prefix, FILE *file);

#endif
