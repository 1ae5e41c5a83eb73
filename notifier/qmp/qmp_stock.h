/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * All QEMUs of a host are asked what they have, some at a time. One that does not answer costs the
 * others nothing: of it counts what was known before. In the thread of its event_base.
 */
#ifndef TETHER_QMP_STOCK_H
#define TETHER_QMP_STOCK_H

#include <stdbool.h>

struct event_base;
struct host_inventory;
struct qmp_settings;
struct qmp_stock;

struct qmp_stock_settings {
	const struct qmp_settings *settings;
	const struct host_inventory *known; /* changes while it lasts */
	unsigned deadline_ms;
	/* Of a VM with an order under way its QEMU is not asked. */
	bool (*is_busy)(void *context, const char *vm);
	/* @vm is here. */
	void (*here)(void *context, const char *vm);
	/* From the loop. @fresh may be taken; NULL: @error says why. */
	void (*ended)(void *context, struct host_inventory *fresh, const char *error);
	void *context;
};

/* NULL: no memory. */
struct qmp_stock *qmp_stock_take(
        struct event_base *base, const struct qmp_stock_settings *settings);
/* An order for @vm has begun or ended: of it counts what is known at the end. */
void qmp_stock_touch(struct qmp_stock *stock, const char *vm);
/* NULL is fine. Nothing is told any more. */
void qmp_stock_destroy(struct qmp_stock *stock);

#endif
