/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * After a road that could not be gone to its end: slots that still show a GUID which a VM holds
 * elsewhere. A sweep that meets a GUID twice does not end. Pure; the conductor's thread.
 */
#ifndef TETHER_OWNERS_H
#define TETHER_OWNERS_H

#include "sm-side/migration/admission.h"
#include "sm-side/journal/ledger.h"

/* A free slot that shows a GUID of a VM that holds another one. */
struct owners_second {
	const Tether__Slot *slot;     /* the inventory's */
	struct migration *left_by;    /* the migration that left it so */
	enum migration_action action; /* of that and its `host_vf`, which sets its GUIDs right */
};

/* The next one of @host behind @second->slot (NULL: the first), of which neither slot nor VM is one
 * that is under way. False: there is none. */
bool owners_find_second(const struct inventory *inventory, const struct under_way *under_way,
        const struct ledger *ledger, const char *host, struct owners_second *second);

#endif
