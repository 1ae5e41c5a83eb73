/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Sums that many ranks have contributed to: an operand that is missing, or there twice, is told
 * from damage. Pure.
 */
#ifndef MPI_VERIFY_SUMS_H
#define MPI_VERIFY_SUMS_H

#include <stddef.h>

#include "demo-apps/mpi_verify/content.h"
#include "demo-apps/mpi_verify/findings.h"

/* The sum over the first @contributors ranks; id->sender is ignored. */
uint64_t sum_expected(const struct content_id *id, unsigned contributors, uint64_t index);

/* @got against it. FINDING_COUNT: right. */
enum finding sum_check(
        uint64_t got, const struct content_id *id, unsigned contributors, uint64_t index);

/* Tickets first..first + count - 1 must have been drawn once each; sorts @ticket. */
void tickets_check(uint64_t *ticket, size_t count, uint64_t first, struct findings *findings);

#endif
