/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Address handles. Each registers interest in where it leads to, as a connection does when it is
 * made: one for all handles to an address, and kept for a while when there are none, since some
 * programs make and destroy a handle for each message.
 */
#ifndef TETHER_ADDRESS_HANDLE_H
#define TETHER_ADDRESS_HANDLE_H

#include "preload/objects.h"

/*
 * A device copies the address with the work, so a handle may be destroyed right after a post. Here
 * work may be given to a device long after: a handle that is destroyed while sends are open stays,
 * as an orphan, until it is seen that none names it. Control verbs.
 */
void address_handles_reap(struct context *context);

#endif
