/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * A message that never comes leaves MPI waiting for ever. Whoever sees no progress for long enough
 * says where it waits and ends with status 3, so that mpirun ends the rest.
 */
#ifndef MPI_VERIFY_STALL_H
#define MPI_VERIFY_STALL_H

#include <stdint.h>

void stall_watch(int rank, uint32_t seconds);
void stall_where(const char *check);
void stall_progress(void);

#endif
