/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* What the API says of whose things are. Pure. */
#ifndef TETHER_DIRECTORY_JSON_H
#define TETHER_DIRECTORY_JSON_H

#include <json-c/json.h>

#include "notifier/relay/gid_book.h"
#include "sm-side/directory/directory.h"

/* Into an object that has the `name` of a VM: `disputed`, the hosts that say so besides, if any. */
void directory_json_vm(
        struct json_object *vm, const struct directory *directory, struct json_object *gids);
/* {VM: ["fe80::1", ...]} of @vm, or (NULL) of all that are known by GIDs; the caller's. */
struct json_object *directory_json_gids(const struct gid_book *gids, const char *vm);
/* Into a list of agents: what of a host's word is not believed. */
void directory_json_agents(struct json_object *agents, const struct directory *directory);
/* Whose it is now. The caller's to put. */
struct json_object *directory_json_released(const char *vm, const char *host);

#endif
