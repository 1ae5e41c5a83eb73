/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Whose a LID is, under which somebody tells of queue pairs of his own. Where the SM has said which
 * LIDs a VM has, it has no other; where it has not, none that it has given to another. The name of
 * a GID is whose who announces it. Pure; part of the relay and of its thread.
 */
#ifndef TETHER_LID_CLAIMS_H
#define TETHER_LID_CLAIMS_H

#include "notifier/relay/children.h"
#include "notifier/relay/gid_book.h"

struct lid_owners {
	const struct vm_places *places;
	const struct gid_book *names;
};

/* @lid (0: none, which is nobody's) is not of @vm, which @child has; NULL: of none of its VMs. */
bool lid_is_foreign(
        const struct lid_owners *owners, const struct child *child, const char *vm, uint32_t lid);
/* And of another VM alone. One that nobody has any more a process may go on telling of: its context
 * shows the first it had, or it is at a port of which the SM was not asked. */
bool lid_is_anothers(
        const struct lid_owners *owners, const struct child *child, const char *vm, uint32_t lid);

#endif
