/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * What the root adds to an event of a VM behind a shared port: the LIDs under which peers may know
 * it, and in RECONNECT what datagrams to and from others at the LIDs concerned need, since who
 * takes the numbers of a LID takes all of them. An event of another VM stays as it is. Pure.
 */
#ifndef TETHER_SHARED_EVENT_H
#define TETHER_SHARED_EVENT_H

#include "sm-side/root/numbers.h"

struct shared_event {
	Tether__Event event; /* borrows what the one that it was made from has */
	uint32_t *lids;
	Tether__QpRows qps;
};

/* -ENOMEM, -EBADMSG: nothing is to be sent; to be cleared all the same. */
int shared_event_make(
        struct shared_event *made, const Tether__Event *from, const struct numbers *numbers);
void shared_event_clear(struct shared_event *made);

#endif
