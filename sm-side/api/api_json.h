/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Bodies of the API: what a client asks, read strictly, and what it is told (DESIGN.md "API").
 * Pure; any thread that owns what is written.
 */
#ifndef TETHER_API_JSON_H
#define TETHER_API_JSON_H

#include <json-c/json.h>

#include "sm-side/root/inventory.h"
#include "sm-side/journal/ledger.h"

struct api_migrate {
	char vm[MIGRATION_NAME_BYTES], to[MIGRATION_NAME_BYTES];
	char order[PLAN_WORD_BYTES], reach[PLAN_WORD_BYTES]; /* "": not said */
	bool force, called;
};

/* {"vm": NAME, "to": NAME} and perhaps "force": BOOL, "mode": "driven" or "called", "order",
 * "reach"; nothing else. NULL, or what is wrong. */
const char *api_migrate_read(const char *body, size_t length, struct api_migrate *migrate);

/* {"step": "detached", "moved", "attached" or "failed"} and nothing else. NULL, or what is wrong.
 */
const char *api_report_read(const char *body, size_t length, enum migration_report *report);

/* New objects, which the caller puts. @short_form: without steps, counts and refusals. */
struct json_object *api_migration(const struct ledger_entry *entry, bool short_form);
struct json_object *api_migrations(const struct ledger *ledger);
struct json_object *api_hypervisors(const struct inventory *inventory);
struct json_object *api_refusal(const char *reason, const char *text);

#endif
