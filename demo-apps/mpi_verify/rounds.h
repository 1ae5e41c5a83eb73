/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Rounds of all chosen checks, until rank 0 says that it is enough.
 */
#ifndef MPI_VERIFY_ROUNDS_H
#define MPI_VERIFY_ROUNDS_H

#include "demo-apps/mpi_verify/job.h"

/* Run one check once. */
void round_of(struct job *job, enum check check);
void rounds_run(struct job *job);
/* Messages that nobody has asked for are there twice. */
void rounds_look_for_strays(struct job *job);

#endif
