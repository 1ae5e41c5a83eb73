/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Bodies of /v1/vms: what is asked for a VM that comes, read strictly, and what is told of VMs.
 * Pure; any thread that owns what is written.
 */
#ifndef TETHER_VM_CHANGE_JSON_H
#define TETHER_VM_CHANGE_JSON_H

#include <json-c/json.h>

#include "sm-side/vm_change/vm_admission.h"

/* {"name", "host"} and perhaps "slot", "node_guid" with "port_guid", "lid"; nothing else. NULL, or
 * what is wrong. */
const char *vm_wish_read(const char *body, size_t length, struct vm_wish *wish);

/* New objects, which the caller puts. */
struct json_object *vm_change_tell(const struct vm_change *change);
/* All that the hosts have, and those that are being created. */
struct json_object *vms_tell(const struct inventory *inventory, const struct under_way *under_way);
/* @name, with its latest change; NULL: neither is known. */
struct json_object *vm_tell(
        const struct inventory *inventory, const struct under_way *under_way, const char *name);

#endif
