/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Devices that are taken away from under the application, with nobody asking (DESIGN.md, "Unplanned
 * loss"): how that is noticed, and that what their contexts have open ends. The service thread's,
 * but for what says who may call. Without that thread nothing is noticed, and the application gets
 * what the device gives.
 */
#ifndef TETHER_LOST_DEVICES_H
#define TETHER_LOST_DEVICES_H

#include "preload/objects.h"

/* The thread that serves them is about to start; -errno. Its descriptor is readable when a device
 * has told something. */
int lost_devices_begin(void);
int lost_devices_fd(void);
/* There is no such thread; in a child after fork, too. */
void lost_devices_forget(void);

/* Milliseconds until the next call matters; -1: never. Takes no control section from its caller. */
int64_t lost_devices_tick(uint64_t now_ms);

/* Control verbs and steps: a context has a device, or closes it. */
void lost_device_opens(struct context *context);
void lost_device_closes(struct context *context);

/* Any thread: the service thread is there; it has something to look at. */
bool lost_devices_are_watched(void);
void lost_devices_look_soon(void);

/* Whoever gives a device work that it has refused with the errno @err. True: it is asked whether it
 * is gone, and TETHER_UNPLANNED has the work kept for the next one. */
bool lost_device_is_behind(struct context *context, int err);

/* Whoever gets an error that may be of its loss: it is asked, and given work that it gives back.
 * When it has answered so often, it is there after all. */
unsigned lost_device_is_doubted(struct context *context);
bool lost_device_has_answered(const struct context *context, unsigned times);

/* Whoever reads an event that is about the device. True: it is told in another way, once. */
bool lost_device_says(struct context *context, enum ibv_event_type type);

#endif
