/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * What a migration asks of the SM, and what the SM's answers mean for it (DESIGN.md "Protocol with
 * the plugin"). Pure; the conductor's thread.
 */
#ifndef TETHER_SM_TALK_H
#define TETHER_SM_TALK_H

#include <json-c/json.h>

#include "sm-side/migration/migration.h"

/* The request, without its id, for the SM's part of @action; the caller puts it. NULL: no memory,
 * or the action has no part for the SM. */
struct json_object *sm_talk_request(
        const struct migration *migration, enum migration_action action);

/*
 * Take the answer to it: DONE, FAILED (with a finding that says why), BUSY, STALE or ALREADY. What
 * it says of address, place, plan and counts goes into @migration. LOOK: BUSY as long as it
 * knows no port of the VM; DONE, and *@carried is whether the fabric carries the VM to the place
 * where the journal has it.
 */
enum migration_event sm_talk_take(struct migration *migration, enum migration_action action,
        struct json_object *answer, bool *carried);

#endif
