/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "demo-apps/rc_verify/add_ledger.h"

#include <stdbool.h>
#include <string.h>

/* The first piece that ends at @first or after it. */
static unsigned place_of(const struct add_ledger *ledger, uint64_t first)
{
	unsigned low = 0, high = ledger->pieces;

	while (low < high) {
		unsigned middle = (low + high) / 2;

		if (ledger->piece[middle].end < first)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static bool is_taken(const struct add_ledger *ledger, uint64_t first, uint64_t end)
{
	unsigned at = place_of(ledger, first);

	if (first < ledger->tiled)
		return true;
	if (at < ledger->pieces && ledger->piece[at].end == first)
		at++;
	return at < ledger->pieces && ledger->piece[at].first < end;
}

static void piece_remove(struct add_ledger *ledger, unsigned at)
{
	ledger->pieces--;
	memmove(&ledger->piece[at], &ledger->piece[at + 1],
	        (ledger->pieces - at) * sizeof(ledger->piece[0]));
}

/* Joined with the neighbours that it touches. */
static void piece_add(struct add_ledger *ledger, uint64_t first, uint64_t end)
{
	unsigned at = place_of(ledger, first);

	if (at < ledger->pieces && ledger->piece[at].end == first) {
		ledger->piece[at].end = end;
	} else {
		memmove(&ledger->piece[at + 1], &ledger->piece[at],
		        (ledger->pieces - at) * sizeof(ledger->piece[0]));
		ledger->piece[at] = (struct add_piece){first, end};
		ledger->pieces++;
	}
	if (at + 1 < ledger->pieces && ledger->piece[at + 1].first == ledger->piece[at].end) {
		ledger->piece[at].end = ledger->piece[at + 1].end;
		piece_remove(ledger, at + 1);
	}
}

void add_ledger_took(
        struct add_ledger *ledger, uint64_t old, uint64_t addend, struct findings *findings)
{
	ledger->total += addend;
	if (is_taken(ledger, old, old + addend) || ledger->pieces == ADD_LEDGER_PIECES) {
		findings->duplicated++;
		return;
	}
	piece_add(ledger, old, old + addend);
	if (ledger->piece[0].first == ledger->tiled) {
		ledger->tiled = ledger->piece[0].end;
		piece_remove(ledger, 0);
	}
}

void add_ledger_finish(const struct add_ledger *ledger, struct findings *findings)
{
	if (ledger->pieces)
		findings->duplicated++;
}
