/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * The agent of a physical server: its relay, the link to tether-smd, its VMs' sockets, and the
 * orders that its driver carries out. It begins with the driver's inventory; then come the sockets
 * and the link to the root. On reload the driver is asked again what the host has, and the root
 * told; at the end drivers are killed.
 */
#ifndef TETHER_HOST_ROLE_H
#define TETHER_HOST_ROLE_H

#include "notifier/role.h"

extern const struct role host_role;

#endif
