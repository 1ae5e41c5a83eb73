/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * What the root has to tell its owner waits here, and is told from the loop, in its order: never
 * from inside a call of the owner's. Belongs to the root and its thread.
 */
#ifndef TETHER_OWNER_NOTICES_H
#define TETHER_OWNER_NOTICES_H

#include "sm-side/root/root.h"

struct owner_notices;

/* NULL: no memory. */
struct owner_notices *owner_notices_create(
        struct event_base *base, const struct root_callbacks *callbacks, void *owner);
/* What has not been told is not told any more. */
void owner_notices_destroy(struct owner_notices *notices);

/* A copy of @answer. */
void owner_notices_answer(struct owner_notices *notices, const Tether__Answer *answer);
void owner_notices_agent_answer(struct owner_notices *notices, const Tether__Answer *answer);
/* @open: as of host_up. */
void owner_notices_up(
        struct owner_notices *notices, const char *host, const uint64_t *open, size_t count);

#endif
