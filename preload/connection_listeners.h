/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Listeners. One that is bound to an address ends with the device that has it, and is made again on
 * the next as another id, which stands in for the program's: it has its address, channel and
 * backlog, and what it is told is told of the program's. One for all addresses is on no device, and
 * lives on in the kernel.
 */
#ifndef TETHER_CONNECTION_LISTENERS_H
#define TETHER_CONNECTION_LISTENERS_H

#include "preload/connection_manager.h"

/* Under the lock: its device goes. */
void connection_listener_wants(struct cm_id *cm);
bool connection_listener_is_cut(const struct rdma_cm_id *id);

/* The service thread, control verbs let in: make what is wanted, as far as it can be. Returns
 * milliseconds until the next call matters; -1: none is wanted. */
int64_t connection_listeners_tick(uint64_t now_ms);

#endif
