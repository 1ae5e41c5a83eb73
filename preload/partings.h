/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Connections that were let go of, and whose other ends are to hear of it from the agents: kept in
 * their order until there is an agent to be told. Under the lock of the link (agent_link_state.h).
 */
#ifndef TETHER_PARTINGS_H
#define TETHER_PARTINGS_H

#include "preload/move.h"
#include "tether.pb-c.h"

enum { PARTING_SINCE = 7 }; /* of the protocol */

void partings_add(const struct pair_names *names);
/* The next one, which is taken out. */
bool partings_next(Tether__Parting *parting);
/* In a child after fork. */
void partings_forget(void);

#endif
