/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * After a restart: where is the VM of a migration that was under way? Pure; the conductor's thread.
 */
#ifndef TETHER_WHEREABOUTS_H
#define TETHER_WHEREABOUTS_H

#include "sm-side/root/inventory.h"
#include "sm-side/migration/migration.h"

/* The agents that have to be heard first are connected: before the commit the source's, after it
 * both. */
bool whereabouts_are_known(const struct inventory *inventory, const struct migration *migration);
/* Does the journal's state leave a question that the SM answers? */
bool whereabouts_need_sm(const struct migration *migration);
/* @carried: the fabric carries the VM to where the journal has it. */
enum migration_fact whereabouts_fact(
        const struct inventory *inventory, const struct migration *migration, bool carried);
/* Which VFs the destination may have in the VM, as bits: those that it says, or all where it is not
 * heard or an order to attach may still be under way. */
unsigned whereabouts_may_be_there(
        const struct inventory *inventory, const struct migration *migration);

#endif
