/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * The bytes of everything that is sent: a pure function of who sends what to whom, its number, its
 * length and the offset. Nobody has to remember what was sent to know what must arrive.
 */
#ifndef MPI_VERIFY_CONTENT_H
#define MPI_VERIFY_CONTENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct content_id {
	uint64_t seed;
	uint32_t space; /* the check, and the communicator that it uses */
	uint32_t sender, receiver, tag;
	uint64_t number;
};

enum {
	CONTENT_DISTINCT = 8, /* bytes from which on two contents are told apart */
	CONTENT_REACH = 32,   /* numbers before and after the expected one that are recognised */
};

void content_fill(void *at, size_t length, const struct content_id *id);
bool content_matches(const void *at, size_t length, const struct content_id *id);

/*
 * Which number of the stream do these bytes bear? The expected one (id->number) is tried first,
 * then those nearest to it. False: none of them, so the bytes are damaged.
 */
bool content_identify(const void *at, size_t length, const struct content_id *id, uint64_t *number);

/* A number that stands for (id, index): operands of sums. */
uint64_t content_value(const struct content_id *id, uint64_t index);

/* A cheap generator for choices (splitmix64). */
uint64_t random_next(uint64_t *state);

#endif
