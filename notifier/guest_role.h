/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * The agent in a VM: its relay, the link to the host that the VM is on, and one socket for the VM's
 * processes. It moves with its VM and goes on under the other host. Nothing of it is on disk.
 */
#ifndef TETHER_GUEST_ROLE_H
#define TETHER_GUEST_ROLE_H

#include "notifier/role.h"

extern const struct role guest_role;

#endif
