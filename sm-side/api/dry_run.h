/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * What would a move do? The SM is asked for its plan, over a link of its own, so that no migration
 * waits for a curious client; nothing is changed. Lives in the thread of its event_base. Callbacks
 * come from the loop only, never from inside a call below.
 */
#ifndef TETHER_DRY_RUN_H
#define TETHER_DRY_RUN_H

#include <json-c/json.h>

struct event_base;
struct dry_run;
struct deadlines;

/* @answer: the plugin's, which is not kept; NULL: none has come in time. */
typedef void dry_run_told(void *context, struct json_object *answer);

/* NULL with errno. */
struct dry_run *dry_run_create(
        struct event_base *base, const char *sm_socket, const struct deadlines *deadlines);
/* Whoever waits hears nothing more. */
void dry_run_destroy(struct dry_run *dry_run);

/* Ask @request (put in any case); @context names it. -ENOTCONN; -ENOMEM. */
int dry_run_ask(
        struct dry_run *dry_run, struct json_object *request, dry_run_told *told, void *context);
/* Whoever asked with @context does not want to hear it any more. */
void dry_run_forget(struct dry_run *dry_run, const void *context);

#endif
