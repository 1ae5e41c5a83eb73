/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* Whether two messages say the same. Any thread. */
#ifndef TETHER_MESSAGE_EQUAL_H
#define TETHER_MESSAGE_EQUAL_H

#include <stdbool.h>

#include "tether.pb-c.h"

/* Two of one kind, by their `base`; fields that their kind does not have are not looked at. */
bool message_equal(const ProtobufCMessage *one, const ProtobufCMessage *other);

#endif
