/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "demo-apps/rc_verify/add_ledger.h"

#include <stdbool.h>

static bool overlaps(const struct add_ledger *ledger, uint64_t first, uint64_t end)
{
	if (first < ledger->tiled)
		return true;
	for (unsigned i = 0; i < ledger->pieces; i++)
		if (first < ledger->piece[i].end && ledger->piece[i].first < end)
			return true;
	return false;
}

static void tile(struct add_ledger *ledger)
{
	for (unsigned i = 0; i < ledger->pieces;) {
		if (ledger->piece[i].first != ledger->tiled) {
			i++;
			continue;
		}
		ledger->tiled = ledger->piece[i].end;
		ledger->piece[i] = ledger->piece[--ledger->pieces];
		i = 0;
	}
}

void add_ledger_took(
        struct add_ledger *ledger, uint64_t old, uint64_t addend, struct findings *findings)
{
	ledger->total += addend;
	if (overlaps(ledger, old, old + addend)) {
		findings->duplicated++;
		return;
	}
	if (old == ledger->tiled && !ledger->pieces) {
		ledger->tiled += addend;
		return;
	}
	if (ledger->pieces == ADD_LEDGER_PIECES) {
		/* A piece that long ahead of a missing one: the missing one ran without a result.
		 */
		findings->duplicated++;
		ledger->pieces = 0;
		ledger->tiled = old;
	}
	ledger->piece[ledger->pieces++] = (struct add_piece){old, old + addend};
	tile(ledger);
}

void add_ledger_finish(const struct add_ledger *ledger, struct findings *findings)
{
	if (ledger->pieces)
		findings->duplicated++;
}
