/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * The lengths that are sent: 0, 1, and one below, on and above each power of two up to the longest.
 * A round has all the short ones and a share of the long ones; SIZES_CYCLE rounds in a row have
 * all.
 */
#ifndef MPI_VERIFY_SIZES_H
#define MPI_VERIFY_SIZES_H

#include <stddef.h>
#include <stdint.h>

enum {
	SIZES_CYCLE = 7,
	SIZES_MAX = 80,
	SIZES_SHORT = 32 << 10,
	SIZES_LONGEST = 4 << 20,
};

struct sizes {
	unsigned count;
	size_t length[SIZES_MAX]; /* rising */
};

/* All that are not above @most + 1. */
void sizes_all(struct sizes *sizes, size_t most);
/* Those of round @round. */
void sizes_of_round(struct sizes *sizes, size_t most, uint64_t round);
/* One of those not above @most, with the short ones as likely as the long ones. */
size_t sizes_draw(uint64_t *random, size_t most);

#endif
