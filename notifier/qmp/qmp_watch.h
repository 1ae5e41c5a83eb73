/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * VFs that were asked for in vain: nobody can take that request back, so one may leave its VM long
 * after that VM was told to go on with it. Then it is given back. In the thread of the event_base.
 */
#ifndef TETHER_QMP_WATCH_H
#define TETHER_QMP_WATCH_H

#include <stdbool.h>

struct event_base;
struct qmp_settings;
struct qmp_watches;

struct qmp_watches *qmp_watches_create(struct event_base *base); /* NULL: no memory */
void qmp_watches_destroy(struct qmp_watches *watches);           /* NULL is fine */

/* @vm has been asked for the VF in @slot, and has it still. */
void qmp_watches_expect(struct qmp_watches *watches, const char *vm, const char *slot);
/* It has left, or the VM has. */
void qmp_watches_forget(struct qmp_watches *watches, const char *vm, const char *slot);
/* @vm goes on with it. Where it was not asked for there is nothing to watch. */
void qmp_watches_begin(struct qmp_watches *watches, struct qmp_settings *settings, const char *vm,
        const char *slot, const char *log_name);
/* An order for @vm needs its connection. */
void qmp_watches_stop(struct qmp_watches *watches, const char *vm);
/* Is a connection to its QEMU open? */
bool qmp_watches_has(const struct qmp_watches *watches, const char *vm);

#endif
