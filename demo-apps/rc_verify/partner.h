/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * What the other side says while this one works: that it stops or has failed, what it has sent in
 * all, its verdict.
 */
#ifndef RC_VERIFY_PARTNER_H
#define RC_VERIFY_PARTNER_H

#include <stdbool.h>
#include <stdint.h>

struct run;

struct partner_words {
	bool stop, failed;
	bool sums; /* the last line of its totals */
	bool checked;
	uint64_t adds, swaps;
	uint64_t *messages, *writes; /* per lane */
};

int partner_words_init(struct partner_words *words, uint32_t lanes);
void partner_words_finish(struct partner_words *words);
/* Take what has been said; waits up to @timeout_ms for the first word. Ends the run when the other
 * side has failed or is gone. */
void partner_hear(struct run *run, struct partner_words *words, int timeout_ms);
/* What this side has sent in all. */
void partner_tell_totals(struct run *run);

#endif
