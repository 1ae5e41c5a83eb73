/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Who talks to whom in a round: everybody to the rank so many places on, another distance each
 * round.
 */
#ifndef MPI_VERIFY_RING_H
#define MPI_VERIFY_RING_H

#include "demo-apps/mpi_verify/job.h"

struct ring {
	int to, from;
};

static inline struct ring ring_of_round(const struct job *job)
{
	int distance = 1 + (int)(job->round % (uint64_t)(job->ranks - 1));

	return (struct ring){(job->rank + distance) % job->ranks,
	        (job->rank + job->ranks - distance) % job->ranks};
}

#endif
