/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Devices as librdmacm sees them. It finds the device of an id by the node GUID and the index that
 * the kernel names, in a list that it keeps and looks up anew when there is none. A device that has
 * moved has others. So for librdmacm each place of a device is one of the list: what it opens there
 * is the context that it has, and the domain that it allocates in it the one that it has, since a
 * program may use what is of one id with another. The program sees one device, as ever.
 *
 * Who asks is known by connection_depth (connection_manager.h): this thread is inside librdmacm.
 */
#ifndef TETHER_CONNECTION_DEVICES_H
#define TETHER_CONNECTION_DEVICES_H

#include "preload/objects.h"

/* Under the lock of the list of devices: what stands for @device now. */
struct ibv_device *connection_device_shown(struct device *device);

/* For librdmacm, what it has already, or NULL. _uses: it has this one now. _parts: true if it has
 * it still, and goes on having it. */
struct context *connection_context_again(struct device *device);
void connection_context_uses(struct context *context);
bool connection_context_parts(struct context *context);

/* In a child after fork. */
void connection_devices_forget(void);

struct protection_domain *connection_domain_again(struct context *context);
void connection_domain_uses(struct context *context, struct protection_domain *pd);
bool connection_domain_parts(struct context *context, struct protection_domain *pd);

#endif
