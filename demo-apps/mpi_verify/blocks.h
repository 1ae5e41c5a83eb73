/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Blocks that collectives and one-sided operations carry: each has a content of its own that both
 * ends know.
 */
#ifndef MPI_VERIFY_BLOCKS_H
#define MPI_VERIFY_BLOCKS_H

#include "demo-apps/mpi_verify/job.h"

/* What it means that a block of an earlier or a later number is there instead. */
struct block_meaning {
	enum finding earlier, later;
};
extern const struct block_meaning block_of_collective, block_of_memory;

/* @senders: how many could have been in the sender's place. */
void block_fill(struct job *job, const struct block_meaning *meaning, void *at, size_t length,
        const struct content_id *id, unsigned senders);
void block_check(struct job *job, const struct block_meaning *meaning, const void *at,
        size_t length, const struct content_id *id, unsigned senders);

#endif
