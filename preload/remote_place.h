/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Where the other end of a connection is: as the application has said it, and as rows say it now.
 * At an Ethernet port the name of its GID stands where the LID does. Pure.
 */
#ifndef TETHER_REMOTE_PLACE_H
#define TETHER_REMOTE_PLACE_H

#include "preload/objects.h"
#include "tether.pb-c.h"

/* It is where the application says, by that port of @context. */
struct remote remote_at(
        const struct context *context, const struct ibv_ah_attr *address, uint32_t qpn);
/*
 * A row says that it is at @real_lid; @gids are of the same message. -EHOSTUNREACH: they do not
 * have that name, or a port of another kind is meant; then it is unreachable.
 */
int remote_goes_to(struct remote *remote, uint32_t real_lid, const Tether__GidRows *gids);
/* Lead an address of the application's to where it is. */
void remote_address(const struct remote *remote, struct ibv_ah_attr *address);

#endif
