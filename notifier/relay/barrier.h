/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Barriers: from PREPARE to the end of a migration, connections to the VM's address and connections
 * that the VM makes are held: so no pair has one end that knows of the move and one that does not.
 * A list of them, headed by a pointer that is NULL at first. Pure; part of a registration and of
 * its thread.
 */
#ifndef TETHER_BARRIER_H
#define TETHER_BARRIER_H

#include <stdbool.h>
#include <stdint.h>

#include "notifier/relay/interest.h"

struct barrier;

/* The barrier of @migration at @address, new or again. Interests up to number @last_id went up
 * before it. -ENOMEM */
int barrier_set(struct barrier **barriers, uint64_t migration, const char *vm,
        const struct address *address, uint32_t last_id, uint64_t until_ms);
void barrier_extend(struct barrier *barriers, uint64_t migration, uint64_t until_ms);
/* False: there was none. */
bool barrier_lift(struct barrier **barriers, uint64_t migration);
void barriers_clear(struct barrier **barriers);

/* What somebody of @vm (NULL: of none) wants of @address. */
bool barriers_hold(const struct barrier *barriers, const char *vm, const struct address *address);
/* Interest number @id in @address went up before the barrier of @migration, which concerns it. */
bool barrier_came_after(const struct barrier *barriers, uint64_t migration, uint32_t id,
        const struct address *address);

/* When the first ends by itself; UINT64_MAX: none. */
uint64_t barriers_next(const struct barrier *barriers);
/* One that should have ended by now. */
bool barriers_overdue(const struct barrier *barriers, uint64_t now_ms, uint64_t *migration);

#endif
