/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Results of FETCH_ADD on one counter to which nobody else adds: each says "I took [old, old +
 * addend)", and together these must tile what was added. An add that ran twice leaves a piece that
 * nobody took; a result given twice takes a piece again. Results may come in any order. Pure.
 */
#ifndef RC_VERIFY_ADD_LEDGER_H
#define RC_VERIFY_ADD_LEDGER_H

#include <stdint.h>

#include "demo-apps/verify/findings.h"

enum {
	ADD_LEDGER_PIECES = 65536, /* runs between missing ones: more than can be in flight */
};

struct add_piece {
	uint64_t first, end;
};

struct add_ledger {
	uint64_t tiled; /* everything below was taken once */
	uint64_t total; /* sum of what was taken */
	unsigned pieces;
	struct add_piece piece[ADD_LEDGER_PIECES]; /* ahead of tiled, in order, not touching */
};

void add_ledger_took(
        struct add_ledger *ledger, uint64_t old, uint64_t addend, struct findings *findings);
/* No result is outstanding. What ran after the last result only the counter's owner can see. */
void add_ledger_finish(const struct add_ledger *ledger, struct findings *findings);

#endif
