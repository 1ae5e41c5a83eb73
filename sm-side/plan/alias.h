/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * The Shared Port model: a VM's identity is an entry of the GUIDInfo table of its hypervisor's port
 * (an alias GUID), its LID the port's. A move exchanges two entries; no switch is touched, no LID
 * set, and the VM has another LID afterwards. Pure.
 */
#ifndef TETHER_ALIAS_H
#define TETHER_ALIAS_H

#include <stdint.h>

#include "sm-side/plan/refusal.h"

enum {
	ALIAS_BLOCK = 8, /* IBA 14.2.5.5: GUIDs of one GUIDInfo */
	ALIAS_CHANGES_MAX = 2,
};

/* The table of a port, in host order. */
struct alias_table {
	uint64_t port_guid; /* entry 0, which stays */
	uint16_t lid;
	uint16_t entries; /* 0: nobody has set any */
	uint64_t (*guid)(const void *owner, uint16_t entry);
	const void *owner;
};

struct alias_change {
	uint64_t port_guid;
	uint16_t entry;
	uint64_t before, after;
};

struct alias_plan {
	uint16_t lid_before, lid_after;
	unsigned change_count; /* 0: it is done already; else all of them */
	struct alias_change changes[ALIAS_CHANGES_MAX];
	unsigned guidinfo_sets;
};

/*
 * @vm goes from the port of @from to that of @to, in exchange for @other. UNKNOWN_PORT: one of them
 * stands in neither table; NO_LID; STALE_PLAN: somebody has moved one of them alone,
 * or both tables are one.
 */
enum refusal alias_plan_make(const struct alias_table *from, const struct alias_table *to,
        uint64_t vm, uint64_t other, struct alias_plan *plan);

#endif
