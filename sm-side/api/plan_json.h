/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * A dry run's texts: what a client asks to be planned, and what it is told of the plan that the SM
 * has made (openapi.yaml, /v1/plan). Pure; any thread that owns what is written.
 */
#ifndef TETHER_PLAN_JSON_H
#define TETHER_PLAN_JSON_H

#include <json-c/json.h>

#include "sm-side/migration/migration.h"

struct plan_question {
	char vm[MIGRATION_NAME_BYTES], to[MIGRATION_NAME_BYTES];
	char order[PLAN_WORD_BYTES], reach[PLAN_WORD_BYTES]; /* "": as the SM does it */
};

/* NULL, or what is wrong with the word. */
const char *plan_order_check(const char *order);
const char *plan_reach_check(const char *reach);

/* Take one member, of a query or a body. NULL, or what is wrong. */
const char *plan_question_put(struct plan_question *question, const char *name, const char *value);
/* Is all there that has to be? NULL, or what is wrong. */
const char *plan_question_lacks(const struct plan_question *question);
/* A whole body: {"vm", "to", "order"?, "reach"?} and nothing else. NULL, or what is wrong. */
const char *plan_question_read(const char *body, size_t length, struct plan_question *question);

/* The plugin's request for the plan of @intent. */
struct json_object *plan_request(
        const struct migration_intent *intent, const struct plan_question *question);
/* What the client hears of the plugin's answer to that, which was not refused. A new object. */
struct json_object *plan_tell(const struct migration_intent *intent,
        const struct plan_question *question, struct json_object *answer);

#endif
