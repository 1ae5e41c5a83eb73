/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * After a road that could not be gone to its end: slots that still show a GUID which a VM holds
 * elsewhere. A sweep that meets a GUID twice does not end. Pure; the conductor's thread.
 */
#ifndef TETHER_OWNERS_H
#define TETHER_OWNERS_H

#include "sm-side/inventory.h"
#include "sm-side/ledger.h"

/*
 * A free slot of @host that shows a GUID of a VM that holds another slot: the migration that left
 * it so, and the action that sets its GUIDs right. NULL: there is none.
 */
struct migration *owners_find_second(const struct inventory *inventory, const struct ledger *ledger,
        const char *host, enum migration_action *action);

#endif
