/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "demo-apps/mpi_verify/window.h"

#include <stdlib.h>

enum { SLOT_ROOM = WINDOW_SLOT + 64 };

MPI_Aint window_slot(const struct job *job, int origin)
{
	return (MPI_Aint)origin * SLOT_ROOM;
}

MPI_Aint window_source(const struct job *job)
{
	return window_slot(job, job->ranks);
}

MPI_Aint window_sums(const struct job *job)
{
	return window_source(job) + SLOT_ROOM;
}

MPI_Aint window_lanes(const struct job *job)
{
	return window_sums(job) + (MPI_Aint)(WINDOW_SUMS * sizeof(uint64_t));
}

MPI_Aint window_counter(const struct job *job)
{
	return window_lanes(job) + (MPI_Aint)(WINDOW_LANES * sizeof(uint64_t));
}

struct window *window_of_round(struct job *job)
{
	/* Whole pages: MPICH 4.0.2 mistakes the place of shared segments that are not. */
	MPI_Aint length = (window_counter(job) + 4096) / 4096 * 4096;
	struct window *window = job->window;

	if (!window) {
		window = job->window = calloc(1, sizeof(*window));
		if (!window)
			abort();
		CALL(job, MPI_Alloc_mem(length, MPI_INFO_NULL, &window->base[0]));
		CALL(job, MPI_Win_create(window->base[0], length, 1, MPI_INFO_NULL, job->comm,
		                  &window->win[0]));
		CALL(job, MPI_Win_allocate(length, 1, MPI_INFO_NULL, job->comm, &window->base[1],
		                  &window->win[1]));
		for (unsigned i = 0; i < 2; i++)
			CALL(job, MPI_Win_set_errhandler(window->win[i], MPI_ERRORS_RETURN));
	}
	window->current = job->round % 2;
	return window;
}

void window_destroy(struct window *window)
{
	if (!window)
		return;
	MPI_Win_free(&window->win[0]);
	MPI_Win_free(&window->win[1]);
	MPI_Free_mem(window->base[0]);
	free(window);
}
