/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * May this VM get a VF, or give it up? Decided by what the agents have said and by what is under
 * way, before anybody is asked anything. Pure; the conductor's thread.
 */
#ifndef TETHER_VM_ADMISSION_H
#define TETHER_VM_ADMISSION_H

#include "sm-side/migration/admission.h"
#include "sm-side/journal/ledger.h"
#include "sm-side/vm_change/vm_changes.h"

/* What is asked for a VM that comes. */
struct vm_wish {
	char name[MIGRATION_NAME_BYTES], host[MIGRATION_NAME_BYTES];
	char slot[MIGRATION_NAME_BYTES]; /* "": any */
	struct identity identity;        /* all 0: the slot's */
	uint16_t lid;                    /* 0: any */
};

/* Fill of @intent who, where and which GUIDs; `fabric` has been filled in. */
struct admission vm_admission_create(const struct inventory *inventory,
        const struct under_way *under_way, const struct ledger *ledger, const struct vm_wish *wish,
        struct vm_change_intent *intent);
/* A VM that has no VF any more, but GUIDs and a LID of its own, can be ended still. */
struct admission vm_admission_destroy(const struct inventory *inventory,
        const struct under_way *under_way, const struct ledger *ledger, const char *vm,
        struct vm_change_intent *intent);

#endif
