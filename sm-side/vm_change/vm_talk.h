/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * What a VM that comes or goes asks of its host and of the SM, and what the SM's answers mean for
 * it (DESIGN.md "Protocol with the plugin"). Pure; the conductor's thread.
 */
#ifndef TETHER_VM_TALK_H
#define TETHER_VM_TALK_H

#include <json-c/json.h>

#include "sm-side/migration/orders.h"
#include "sm-side/vm_change/vm_change.h"

/* The order for its host; takes the next sequence number, and borrows from @change. */
void vm_order_fill(struct order *order, struct vm_change *change, uint64_t now_us);

/* The request, without its id; the caller puts it. NULL: no memory. */
struct json_object *vm_talk_request(const struct vm_change *change);

/* Take the answer to it: what it says of LID and plan goes into @change, why it refuses is found.
 */
enum change_event vm_talk_take(struct vm_change *change, struct json_object *answer);

#endif
