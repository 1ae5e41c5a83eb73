/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * May this migration begin? Decided by what the agents have said and by what is under way, before
 * anybody is asked anything. Pure; the conductor's thread.
 */
#ifndef TETHER_ADMISSION_H
#define TETHER_ADMISSION_H

#include "sm-side/root/inventory.h"
#include "sm-side/migration/migration.h"

struct vm_changes;

struct admission {
	const char *reason; /* a name; NULL: it may */
	char text[256];     /* one sentence, with what to do */
};

/* The migrations that have not ended; of them so many may be at a time. NULL for this: none are. */
struct under_way {
	const struct migration **migrations;
	size_t count, most;
	const struct vm_changes *changes; /* VMs that get or give up a VF; NULL: none */
};

__attribute__((format(printf, 2, 3))) struct admission admission_refuse(
        const char *reason, const char *format, ...);
/* Is that host known, and its agent connected? */
struct admission admission_host(const struct inventory *inventory, const char *host);

/*
 * Fill of @intent who, from where and to where: VM, both places, both identities, of each VF. Slots
 * of migrations under way are theirs. One that shares a connection with the VM, as far as that is
 * known, has to end first: the two would wait for each other.
 */
struct admission admission_check(const struct inventory *inventory,
        const struct under_way *under_way, const char *vm, const char *to,
        struct migration_intent *intent);

/* Nobody moves the VM, creates or destroys it. */
struct admission admission_vm_is_free(const struct under_way *under_way, const char *vm);
/* May the VM move besides what moves already? Who shares connections with that waits for its turn
 * (@may_wait); not who would be given a VF at once, nor an evacuation, which has others to move
 * meanwhile. */
struct admission admission_beside_others(
        const struct under_way *under_way, const char *vm, bool may_wait);
/* Whose migration has the slot; NULL: nobody's. */
const struct migration *admission_slot_holder(
        const struct under_way *under_way, const char *host, const char *slot);
/* By one that moves, comes or goes. */
bool admission_slot_is_held(const struct under_way *under_way, const char *host, const char *slot);

/* Could a VM move there from @left? NULL: it is not known from where. */
bool admission_slot_fits(const Tether__Slot *slot, const Tether__Slot *left);
/* The next slot of @host behind @after (NULL: the first) that no VM and no migration has; NULL:
 * none. */
const Tether__Slot *admission_free_slot(const struct inventory *inventory,
        const struct under_way *under_way, const char *host, const Tether__Slot *after);

/* To move @vm to @to would be to give it a VF where it is: it is there already, without one. */
bool admission_is_reattach(const struct inventory *inventory, const char *vm, const char *to);
/* The same for that. @last: its latest migration, which knows its GUIDs and address, or NULL. Of
 * @intent `fabric` has been filled in. */
struct admission admission_reattach(const struct inventory *inventory,
        const struct under_way *under_way, const struct migration *last, const char *vm,
        const char *to, struct migration_intent *intent);

/*
 * The migration under way, other than that of @intent, that has asked processes and shares a
 * connection with its VM: a process of the VM takes part in it, or a process of its VM is among
 * @names, which take part in that of @intent. NULL: none.
 */
const struct migration *admission_sharing(const struct under_way *under_way,
        const struct migration_intent *intent, char *const *names, size_t count);

/* Which one a VM gives up that has several is not said. */
struct admission admission_has_one_vf(
        const struct inventory *inventory, const char *host, const char *vm, const char *slot);

/* It has, or may have, asked processes to take part, and they may be stopped by it. */
bool admission_has_asked(const struct migration *migration);

/* What the VM has seen of its VF, to be found again at the destination; NULL: not known. */
const Tether__Attributes *admission_attributes(
        const struct inventory *inventory, const struct migration_intent *intent, unsigned vf);

#endif
