/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Is every number of a stream of messages there once, and in order? Numbers count from 0. Pure; one
 * per stream.
 */
#ifndef MPI_VERIFY_ARRIVALS_H
#define MPI_VERIFY_ARRIVALS_H

#include "demo-apps/mpi_verify/findings.h"

enum {
	ARRIVALS_HOLES = 16, /* remembered; a number from a forgotten one counts as repeated */
};

struct arrivals {
	uint64_t next;
	unsigned holes;
	uint64_t hole[ARRIVALS_HOLES]; /* numbers that have not come, though a later one has */
};

/* A number above the expected one leaves holes, which count as lost until they come late. */
void arrivals_add(struct arrivals *arrivals, uint64_t number, struct findings *findings);

#endif
