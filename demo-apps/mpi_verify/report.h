/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * What all ranks have found, put together and printed by rank 0.
 */
#ifndef MPI_VERIFY_REPORT_H
#define MPI_VERIFY_REPORT_H

#include "demo-apps/mpi_verify/job.h"

/* Sum of the findings of all ranks, on every rank. */
void report_sum(struct job *job, struct findings sum[CHECK_COUNT]);
/* Prints on rank 0. Returns how much was found by all ranks. */
uint64_t report_print(struct job *job, double seconds);

#endif
