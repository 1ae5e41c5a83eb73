/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * The longest times without a completion, as the program saw them. Pure; one per process.
 */
#ifndef VERIFY_PAUSES_H
#define VERIFY_PAUSES_H

#include <stdint.h>

enum { PAUSES_KEPT = 512 };

struct pause {
	uint64_t start_us, length_us;
};

struct pauses {
	uint64_t last_us; /* of the newest completion; 0: none yet */
	unsigned count;
	struct pause kept[PAUSES_KEPT]; /* the longest, unordered */
};

void pauses_completion(struct pauses *pauses, uint64_t now_us);
/* 0: there was none. */
uint64_t pauses_longest_us(const struct pauses *pauses);
/* In order of their start, at most @most of the longest. Returns how many. */
unsigned pauses_longest(struct pauses *pauses, struct pause *out, unsigned most);

#endif
