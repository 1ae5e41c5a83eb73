/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * May this migration begin? Decided by what the agents have said and by what is under way, before
 * anybody is asked anything. Pure; the conductor's thread.
 */
#ifndef TETHER_ADMISSION_H
#define TETHER_ADMISSION_H

#include "sm-side/inventory.h"
#include "sm-side/migration.h"

struct admission {
	const char *reason; /* a name; NULL: it may */
	char text[256];     /* one sentence, with what to do */
};

/*
 * Fill of @intent who, from where and to where: VM, both places, both identities. @under_way: a
 * migration that has not ended, or NULL; migrations run one after the other, since two that share
 * a QP would wait for each other.
 */
struct admission admission_check(const struct inventory *inventory,
        const struct migration *under_way, const char *vm, const char *to,
        struct migration_intent *intent);

/* To move @vm to @to would be to give it a VF where it is: it is there already, without one. */
bool admission_is_reattach(const struct inventory *inventory, const char *vm, const char *to);
/* The same for that. @last: its latest migration, which knows its GUIDs and address, or NULL. Of
 * @intent `fabric` has been filled in. */
struct admission admission_reattach(const struct inventory *inventory,
        const struct migration *under_way, const struct migration *last, const char *vm,
        const char *to, struct migration_intent *intent);

/* What the VM has seen of its VF, to be found again at the destination; NULL: not known. */
const Tether__Attributes *admission_attributes(
        const struct inventory *inventory, const struct migration_intent *intent);

#endif
