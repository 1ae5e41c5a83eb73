/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Where datagrams have come from: LIDs, or names of GIDs where there are none. A receiver need not
 * know who sends to it, and still has to call the sender as the sender calls itself, whose VM may
 * have moved. So the first datagram from each makes the service thread register interest, and the
 * poll that brings it waits for the answer. Any thread; without locks, but for the waiting.
 */
#ifndef TETHER_HEARD_SENDERS_H
#define TETHER_HEARD_SENDERS_H

#include <stdbool.h>
#include <stdint.h>

#include "preload/datagram_numbers.h"
#include "preload/objects.h"

/* Those of whom all is known that there is to know, or nobody can be asked. */
extern uint64_t known_senders[FIRST_MULTICAST_LID / 64];

/* For each datagram that is received. False: the service thread has been told to ask. */
bool sender_introduce(uint32_t lid);
/* The same of a name, which has a record; true also of a group's LID, and where there is none. */
bool named_sender_is_known(uint32_t name);
static inline bool sender_is_known(uint32_t lid)
{
	if (__builtin_expect(lid >= FIRST_MULTICAST_LID, 0))
		return named_sender_is_known(lid);
	return __atomic_load_n(&known_senders[lid / 64], __ATOMIC_ACQUIRE) >> lid % 64 & 1 ||
	       sender_introduce(lid);
}

/* The service thread: one that it was not given yet; false: none. */
bool heard_senders_next(struct remote *sender);
/* What it was told stands in datagram_numbers.h; or it will hear nothing for now. */
void sender_set_known(uint32_t lid);
/* Of a name: who was there has left, and the next may be anybody. */
void sender_set_unknown(struct datagram_numbers *numbers);

/* In a child after fork: its agent has heard of none. */
void heard_senders_in_child(void);

#endif
