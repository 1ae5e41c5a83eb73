/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Address handles. Each registers interest in where it leads to, as a connection does when it is
 * made: one for all handles to an address, and kept for a while when there are none, since some
 * programs make and destroy a handle for each message.
 */
#ifndef TETHER_ADDRESS_HANDLE_H
#define TETHER_ADDRESS_HANDLE_H

#include "preload/objects.h"

/* Make it again on the real domain that stands behind its own now; exclusive control section. */
int address_handle_rebuild(struct address_handle *ah);
/*
 * Let @wr, which goes to @ah, go to @lid in its place: under Shared Port what is reached by one
 * address may be at several. The data path's, inside the gate of the queue: so the device stays.
 * Where that cannot be, it goes to nobody.
 */
void address_handle_lead(struct address_handle *ah, uint32_t lid, struct ibv_send_wr *wr);
/* The real ones go. -errno: as it was, or some have gone. */
int address_handle_tear_down(struct address_handle *ah);

/*
 * A device copies the address with the work, so a handle may be destroyed right after a post. Here
 * work may be given to a device long after: a handle that is destroyed while sends are open stays,
 * as an orphan, until it is seen that none names it. Control verbs.
 */
void address_handles_reap(struct context *context);

#endif
