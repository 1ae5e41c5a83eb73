/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * LIDs that datagrams have come from. A receiver need not know who sends to it, and still has to be
 * told what the sender's queue pairs are called when that VM has moved. So the first datagram from
 * each makes the service thread register interest; nobody waits for it. Any thread; without locks.
 */
#ifndef TETHER_HEARD_SENDERS_H
#define TETHER_HEARD_SENDERS_H

#include <stdint.h>

#include "preload/datagram_numbers.h"

extern uint64_t heard_senders[FIRST_MULTICAST_LID / 64];

void heard_senders_add(uint32_t lid);

/* For each datagram that is received. */
static inline void heard_sender(uint32_t lid)
{
	if (lid >= FIRST_MULTICAST_LID)
		return;
	if (__builtin_expect(
	            !(__atomic_load_n(&heard_senders[lid / 64], __ATOMIC_RELAXED) >> lid % 64 & 1),
	            0))
		heard_senders_add(lid);
}

/* The service thread: one that it was not given yet; 0: none. */
uint32_t heard_senders_next(void);

/* In a child after fork: its agent has heard of none. */
void heard_senders_in_child(void);

#endif
