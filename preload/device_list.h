/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * The list of devices as the application sees it: a device keeps its name and its place for ever,
 * whatever is attached to the VM at the moment. Any thread.
 */
#ifndef TETHER_DEVICE_LIST_H
#define TETHER_DEVICE_LIST_H

#include "preload/objects.h"

/* Ours behind what the application holds, or NULL. */
struct device *device_of(struct ibv_device *shown);

/*
 * Open what has taken @device's place. -ENODEV: there is nothing yet; -errno: it cannot be opened.
 */
int device_open_successor(struct device *device, struct ibv_context **opened);

#endif
