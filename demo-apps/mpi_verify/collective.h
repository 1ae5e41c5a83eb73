/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * The blocking and the nonblocking form of one collective, on each communicator: how both are run
 * is said here once, for those that move blocks and for those that reduce.
 */
#ifndef MPI_VERIFY_COLLECTIVE_H
#define MPI_VERIFY_COLLECTIVE_H

#include "demo-apps/mpi_verify/job.h"

/* Blocks of one side of a collective, one for each rank that it sends to or gets from, or one for
 * all. */
struct side {
	unsigned blocks;
	int *count, *at;
	unsigned char *bytes;
};

struct collective {
	const struct group *group;
	bool is_nonblocking;
	MPI_Request request;
	uint64_t number;
	int root;
	size_t length; /* of a block, or elements of a vector */
	struct side sent, received;
	int *parts; /* of a result that is scattered */
};

struct collective_kind {
	enum check blocking, nonblocking;
	void (*prepare)(struct job *job, struct collective *collective);
	void (*start)(struct job *job, struct collective *collective);
	void (*check)(struct job *job, struct collective *collective);
};

/* Run the form that job->check names of the kind that it belongs to, on every communicator. */
void collective_run(struct job *job, const struct collective_kind *kinds, unsigned count);

/* Make @blocks blocks of these lengths; @gap bytes between them stay as they are. */
void side_create(struct side *side, unsigned blocks, const size_t *length, size_t gap);
void side_destroy(struct side *side);
/* Is what lies between the blocks and behind them as it was? */
bool side_gaps_live(const struct side *side, size_t gap);

#endif
