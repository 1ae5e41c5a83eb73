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
 * Open the device that @device stands for, whatever is in its place now: the application's list may
 * be older than a move. -ENODEV: there is none; -errno: it cannot be opened.
 */
int device_open(struct device *device, struct ibv_context **opened);
/* The same after a move, when the VM's only free device must be it, whatever its name and GUID. */
int device_open_successor(struct device *device, struct ibv_context **opened);
void device_close(struct device *device, struct ibv_context *opened);

/* A context of the application is there, or gone. */
void device_is_used(struct device *device, bool used);

/* What is known of its ports, also while it is not open. NULL: nothing. They are the caller's until
 * it lets go of them. */
void device_learn_port(struct device *device, unsigned index, const struct port *port);
const struct port *device_ports_hold(struct device *device);
void device_ports_let_go(void);

/* In a child after fork: none is open. */
void device_list_forget(void);

#endif
