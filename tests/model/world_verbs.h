/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * The real verbs of a world, below the library under test: those of libsimfabric-turns.so, which
 * knows of one VM in a process. Here each device is named by its slot, and whoever opens it, or
 * asks of it, is in that slot's VM for the while. Linked in place of preload/real_verbs.c.
 */
#ifndef TEST_MODEL_WORLD_VERBS_H
#define TEST_MODEL_WORLD_VERBS_H

#include "tests/model/turns.h"

const struct turns *world_verbs_load(void);
/* A device is opened and closed, so that the HCA has all the files that it will want. */
void world_verbs_join(void);
/* Whose device has this name now; -1: nobody's. */
int world_verbs_vm_of(const char *device);

#endif
