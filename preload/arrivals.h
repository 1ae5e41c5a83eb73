/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * What acknowledges nothing can still be on its way when everybody has stopped, and would find
 * nobody at the place that the VM has left. So at STOP senders say how much they have sent (UD: how
 * many datagrams to each destination; UC: how many messages that take a RECV, and up to which
 * packet), and at SETTLE receivers go on until so much has come. What was lost never comes: when
 * nothing more arrives for a while a receiver goes on without, and does not wait for it again. The
 * service thread's, control verbs kept out.
 */
#ifndef TETHER_ARRIVALS_H
#define TETHER_ARRIVALS_H

#include "preload/move.h"

/* Rows SENT of the answer to STOP, or none where it has no room for them. -ENOMEM */
int arrivals_report(const struct move *move, Tether__Answer *answer);

/* All that SETTLE's event says to have been sent is here, or will not come any more: nothing has
 * for @quiet_ms. */
bool arrivals_are_here(struct move *move, uint64_t now_ms, unsigned quiet_ms);

/* RELEASE: everybody has waited for what was reported, and nothing was sent since. */
void arrivals_settled(const struct move *move);

#endif
