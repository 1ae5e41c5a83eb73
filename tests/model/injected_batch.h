/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* Some cases of one course, each on a connection of its own, through one migration. */
#ifndef TEST_MODEL_INJECTED_BATCH_H
#define TEST_MODEL_INJECTED_BATCH_H

#include "tests/model/injected.h"
#include "tests/model/injected_ends.h"

/* All of one course and one adapter. What failed is noted in each. Once in a process: it makes a
 * world. */
void injected_batch(struct injected *cases, unsigned count, uint64_t seed);

#endif
