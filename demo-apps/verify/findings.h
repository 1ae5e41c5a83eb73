/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * What a run found wrong. One per process, written by its one thread; every checker adds to it.
 */
#ifndef VERIFY_FINDINGS_H
#define VERIFY_FINDINGS_H

#include <stdbool.h>
#include <stdint.h>

struct findings {
	uint64_t lost;         /* a message, a result or a completion that never came */
	uint64_t duplicated;   /* one that came again */
	uint64_t corrupted;    /* bytes that are not what was sent */
	uint64_t out_of_order; /* came after a later one */
	uint64_t errors;       /* error completions, failed calls, changed numbers, stalls */
};

static inline bool findings_none(const struct findings *findings)
{
	return !findings->lost && !findings->duplicated && !findings->corrupted &&
	       !findings->out_of_order && !findings->errors;
}

#endif
