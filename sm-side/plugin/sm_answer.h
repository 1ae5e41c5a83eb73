/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * The lines of the socket between tether-smd and the plugin, as the plugin writes them: an answer
 * and its results, as members (DESIGN.md "Protocol with the plugin"). Pure.
 */
#ifndef TETHER_SM_ANSWER_H
#define TETHER_SM_ANSWER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <json-c/json.h>

#include "notifier/wire/notice.h"
#include "sm-side/plan/paths.h"
#include "sm-side/plan/plan.h"

/*
 * An answer begun with the outcome; takes @id over. @text: a sentence of its own, NULL for that of
 * @refusal. Fill in results, print, put.
 */
struct json_object *sm_answer(struct json_object *id, enum refusal refusal, const char *text);
/* What a refusal is about: "about", and at the end of "text". Nothing where there is no fault. */
void sm_answer_fault(
        struct json_object *answer, enum refusal refusal, const struct view_fault *fault);

/* @with_changes: each LFT Set, too, with its bytes before and after. */
void sm_answer_plan(struct json_object *answer, const struct plan *plan, bool with_changes);
/* The members lft_sets to switchinfo_sets and groups. */
void sm_answer_counts(struct json_object *answer, const struct plan_counts *counts);
/* @sl: of all of them; NULL: as before. */
void sm_answer_paths(struct json_object *answer, const struct plan_path *paths, uint32_t count,
        const uint8_t *sl);
/* The LIDs of those notices that nobody heard: "unheard". */
void sm_answer_unheard(
        struct json_object *answer, const struct notice *notices, size_t count, const bool *heard);
void sm_answer_hash(struct json_object *answer, uint64_t hash);

#endif
