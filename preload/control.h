/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Control verbs and steps of a migration keep out of each other's way: any number of control verbs
 * at a time, or the service thread alone. A verb that needs what a migration has taken away waits
 * here, asleep, until it is back. One per process; any thread; the outermost lock.
 */
#ifndef TETHER_CONTROL_H
#define TETHER_CONTROL_H

#include <stdbool.h>

struct context;
struct device;
struct queue_pair;

enum control_need {
	NEEDS_NOTHING,    /* is answered from what is known */
	NEEDS_DEVICE,     /* waits from RELEASE until RESUME */
	NEEDS_CONNECTION, /* changes a connection: waits from STOP until RESUME */
};

/* 0, or ENODEV if the device is gone for good. Every 0 is paired with control_leave. */
int control_enter(const struct context *context, enum control_need need);
/* The same, for a verb on @qp, which may be stopped alone. */
int control_enter_qp(const struct queue_pair *qp, enum control_need need);
/* The same, also while the service thread @is_busy with @object between two pieces of a step; asked
 * when it is in none. */
void control_enter_after(
        const struct context *context, bool (*is_busy)(const void *object), const void *object);
/* To open @device: waits as NEEDS_DEVICE does. True: it was away until now. */
bool control_enter_device(struct device *device);
/* Until the VM of this process has all its devices, as far as that depends on a migration. True: it
 * had not. */
bool control_await_devices(void);
void control_leave(void);

/* The service thread: nobody is between enter and leave until control_exclusive_end. */
void control_exclusive_begin(void);
/* A change of phases makes waiting verbs look again. */
void control_exclusive_end(void);

/*
 * Counts the migrations that this process was asked to prepare for. If it has changed between two
 * looks, what was learned before the second may be of the past. Any thread.
 */
unsigned control_migrations(void);
/* The service thread, inside exclusive. */
void control_migration_begins(void);

/* In a child after fork: nobody else is here. */
void control_forget(void);

#endif
