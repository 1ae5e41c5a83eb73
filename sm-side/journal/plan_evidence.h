/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * What the SM said of a plan, as the journal keeps it: who has only this can say what was meant to
 * change, and what was there before. Pure; any thread.
 *
 * An entry is PLAN_ENTRY_BYTES: the switch's GUID (8), LID (2), port before and after (1 each), in
 * network byte order; in the order of the plan's changes, each (switch, LID) once.
 */
#ifndef TETHER_PLAN_EVIDENCE_H
#define TETHER_PLAN_EVIDENCE_H

#include <json-c/json.h>

#include "sm-side/journal/record.h"

enum { PLAN_ENTRY_BYTES = 12 };

/* The SM's answer to `plan`. @plan points to *@entries, which the caller frees; `migration` is left
 * to the caller. -EBADMSG: not such an answer; -ENOMEM. */
int plan_evidence_read(struct json_object *answer, struct plan_record *plan, uint8_t **entries);

#endif
