/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * The agent between tether-smd and hosts, or between others of its kind: a relay, the link to its
 * parent and the links of those below. It has no VM and no driver. It listens once its parent has
 * welcomed it: before that it may know less of epochs than whoever would come.
 */
#ifndef TETHER_RELAY_ROLE_H
#define TETHER_RELAY_ROLE_H

#include "notifier/role.h"

extern const struct role relay_role;

#endif
