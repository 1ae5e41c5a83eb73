/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * The memory that each rank exposes: in an MPI window over memory of its own and in one that MPI
 * allocated, used in turn. Both are laid out alike.
 */
#ifndef MPI_VERIFY_WINDOW_H
#define MPI_VERIFY_WINDOW_H

#include "demo-apps/mpi_verify/job.h"

enum {
	WINDOW_SLOT = 256 << 10, /* the longest block that is put or got */
	WINDOW_SUMS = 4096,
	WINDOW_LANES = 256,
};

struct window {
	MPI_Win win[2];
	unsigned char *base[2];
	unsigned current;
};

/* The window of this round; made at the first call, which all ranks must do. */
struct window *window_of_round(struct job *job);
void window_destroy(struct window *window);

static inline MPI_Win window_win(const struct window *window)
{
	return window->win[window->current];
}

/* Where things lie, as an offset in every rank's window. */
MPI_Aint window_slot(const struct job *job, int origin); /* what @origin puts */
MPI_Aint window_source(const struct job *job);           /* what others get */
MPI_Aint window_sums(const struct job *job);
MPI_Aint window_lanes(const struct job *job);
MPI_Aint window_counter(const struct job *job);

static inline void *window_at(const struct window *window, MPI_Aint offset)
{
	return window->base[window->current] + offset;
}

#endif
