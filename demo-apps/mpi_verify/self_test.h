/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Can each check fail? Every fault that it should find is committed, and it must find that one and
 * no other.
 */
#ifndef MPI_VERIFY_SELF_TEST_H
#define MPI_VERIFY_SELF_TEST_H

#include "demo-apps/mpi_verify/job.h"

/* Returns how many faults were missed or taken for others. */
unsigned self_test(struct job *job);

#endif
