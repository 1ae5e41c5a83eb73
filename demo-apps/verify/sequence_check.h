/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Is every number of a stream there once, and in order? Numbers count from 0. Pure; one per stream
 * and owned by it.
 */
#ifndef VERIFY_SEQUENCE_CHECK_H
#define VERIFY_SEQUENCE_CHECK_H

#include <stdint.h>

#include "demo-apps/verify/findings.h"

enum {
	SEQUENCE_HOLES = 16, /* remembered; a number from a forgotten hole counts as a repeat */
};

struct sequence_hole {
	uint64_t first, end; /* [first, end) has not come */
};

struct sequence_check {
	uint64_t next;
	unsigned holes;
	struct sequence_hole hole[SEQUENCE_HOLES];
};

/* A number above the expected one leaves a hole, which counts as lost until it comes late. */
void sequence_check_arrived(
        struct sequence_check *check, uint64_t number, struct findings *findings);
/* Whoever looks knows that nothing below @end will come in order any more. */
void sequence_check_missing(struct sequence_check *check, uint64_t end, struct findings *findings);
/* The sender says how many it sent: what is missing at the end is lost. */
void sequence_check_finish(struct sequence_check *check, uint64_t total, struct findings *findings);

#endif
