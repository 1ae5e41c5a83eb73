/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* What the API says of the agents. Pure. */
#ifndef TETHER_AGENTS_JSON_H
#define TETHER_AGENTS_JSON_H

#include <json-c/json.h>

#include "sm-side/root/agents.h"

/* @epoch: tether-smd's own. The caller's to put. */
struct json_object *agents_tell(const struct agents *agents, uint64_t epoch);

#endif
