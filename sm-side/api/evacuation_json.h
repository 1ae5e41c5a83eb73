/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* What a client asks of evacuations, read strictly, and what it is told (openapi.yaml). Pure. */
#ifndef TETHER_EVACUATION_JSON_H
#define TETHER_EVACUATION_JSON_H

#include <json-c/json.h>

#include "sm-side/conductor/evacuation.h"

/* {"host", "to"?: [NAME...], "force"?} and nothing else. NULL, or what is wrong; after NULL
 * wish->to is the caller's to free. */
const char *evacuation_wish_read(const char *body, size_t length, struct evacuation_wish *wish);

/* New objects, which the caller puts. */
struct json_object *evacuation_tell(const struct evacuation *evacuation, bool short_form);
struct json_object *evacuations_tell(const struct evacuations *evacuations);

#endif
