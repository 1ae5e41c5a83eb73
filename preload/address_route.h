/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * The real address handles behind one: what the application has named may be elsewhere, and at
 * several places. Where there are no LIDs the kernel looks up who has a GID now when a handle is
 * made: none can be made to one that is gone, and one that was made leads to the device of before.
 */
#ifndef TETHER_ADDRESS_ROUTE_H
#define TETHER_ADDRESS_ROUTE_H

#include "preload/objects.h"

/* Of a new one, to where its address is now. ah->real is NULL: errno. */
void address_route_begin(struct address_handle *ah, const struct protection_domain *pd);
/* Make it again on the real domain that stands behind its own now; exclusive control section.
 * -EAGAIN: the device's network is not there yet. */
int address_route_rebuild(struct address_handle *ah);
/* Those that lead to where somebody has been are made anew, or else lead nowhere. The service
 * thread; exclusive control section. */
void address_routes_follow(void);
/* The same, if something was learned: a turn of the service thread, which holds no lock. */
void address_routes_turn(void);
/*
 * Let @wr, which goes to @ah, go to @lid in its place, or the GID of that name; 0: to its own. The
 * data path's, inside the gate of the queue: so the device stays. Where that cannot be, it goes to
 * nobody.
 */
void address_route_lead(struct address_handle *ah, uint32_t lid, struct ibv_send_wr *wr);
/* The real ones go. -errno: as it was, or some have gone. */
int address_route_tear_down(struct address_handle *ah);

#endif
