/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * The paths between a VM and its peers after a move: asked of the SM for the LIDs that the shims'
 * QPs name, and kept for RECONNECT. Pure; belongs to its migration and its thread.
 */
#ifndef TETHER_SM_PATHS_H
#define TETHER_SM_PATHS_H

#include <json-c/json.h>

#include "sm-side/migration/migration.h"

enum {
	/* More of them would not fit a line of the SM's socket: then none is asked for. */
	SM_PATHS_PEERS_MAX = 8192,
	/* In a row of PathRows: the service level stays what it was. */
	SM_PATHS_SL_AS_BEFORE = 255,
};

/* Put "peers" into a request; nothing where no peer is known. */
void sm_paths_ask(struct json_object *request, const struct migration *m);
/* Take "paths" out of an answer, in place of those that were known: a row for each direction. Rows
 * that are not as they should be are left out: their QPs go on with the path they had. */
void sm_paths_take(struct migration *m, struct json_object *answer);

#endif
