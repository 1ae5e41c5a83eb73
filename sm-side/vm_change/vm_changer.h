/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Drives VMs that get a VF or give it up: performs what their state machine puts out (journal,
 * host, SM, timers) and feeds back what happens. Belongs to the conductor, whose root, journal and
 * admission it shares, and to its thread.
 */
#ifndef TETHER_VM_CHANGER_H
#define TETHER_VM_CHANGER_H

#include "sm-side/vm_change/vm_admission.h"

struct conductor;
struct vm_changer;

/* @sm_socket: NULL: there is no SM. @changes is the caller's and must outlive it. NULL: no memory.
 */
struct vm_changer *vm_changer_create(
        struct conductor *conductor, struct vm_changes *changes, const char *sm_socket);
/* What is under way stays in the journal. */
void vm_changer_destroy(struct vm_changer *changer);

struct vm_changes *vm_changer_changes(const struct vm_changer *changer);

/* ---- asked from outside ---- */

struct admission vm_changer_begin_create(
        struct vm_changer *changer, const struct vm_wish *wish, uint64_t *id);
struct admission vm_changer_begin_destroy(struct vm_changer *changer, const char *vm, uint64_t *id);
/* Nothing begins any more; what has changed nothing yet is refused. */
void vm_changer_close(struct vm_changer *changer);
/* Whoever waits for his host does so in the journal as well. */
bool vm_changer_is_at_work(const struct vm_changer *changer);

/* ---- the conductor's events ---- */

/* Go on with what was under way before a restart. Not 0: the journal takes nothing, ask again. */
int vm_changer_recover(struct vm_changer *changer);
/* Is it the answer to an order of ours? Then it has been taken. */
bool vm_changer_answered(struct vm_changer *changer, const Tether__Answer *answer);
void vm_changer_host_up(struct vm_changer *changer, const char *host);
/* Ends that the journal did not take when they came. */
int vm_changer_record_ends(struct vm_changer *changer);

/* One of ours is under the SM's lease. */
bool vm_changer_is_under_lease(const struct vm_changer *changer);
/* One of ours waits for it, or for its end. */
bool vm_changer_waits_for_lease(const struct vm_changer *changer);
/* Who has the lease may have changed. */
void vm_changer_lease_look(struct vm_changer *changer);

#endif
