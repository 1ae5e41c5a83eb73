/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * The end of a connection one of whose ends has moved since it was made: no kernel tells the other
 * end, the agents do (partings.h). Under the lock of connection_manager.h.
 */
#ifndef TETHER_CONNECTION_ENDS_H
#define TETHER_CONNECTION_ENDS_H

#include "preload/connection_manager.h"

/* The program hears that @cm is disconnected, with that status; once. @says: and the other end. */
void connection_end(struct cm_id *cm, int status, bool says);

/* The other end of the connection that is so called there has parted from it. True: it is one of
 * ours. Takes the lock itself. */
bool connection_parted(const struct pair_names *names);

/* Whose events nobody hears any more are at this channel; NULL: it cannot be made. */
struct rdma_event_channel *connection_channel_aside(void);

#endif
