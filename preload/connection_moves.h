/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * What a migration asks of the ids of rdma_cm, and does with them. The service thread's, control
 * verbs kept out.
 */
#ifndef TETHER_CONNECTION_MOVES_H
#define TETHER_CONNECTION_MOVES_H

#include "preload/move.h"

/* A reason against it, of an id on a device that moves, or on its way to the VM. */
bool connections_are_between(const struct move *move); /* on their way to a connection */
bool connections_join_groups(const struct move *move);
/* Of rdma_cm something is open that was not made where this library is, or connects what it does
 * not know. */
bool connections_are_unknown(const struct move *move);

/* Committed: what a kernel says from here on of the devices that go, and of connections to the VM,
 * is not the program's. */
void connections_cut(struct move *move);
/* It is over: what the program has asked for meanwhile. */
void connections_go_on(void);
/* Its connections have ended with errors. */
void connections_fail(const struct move *move);

#endif
