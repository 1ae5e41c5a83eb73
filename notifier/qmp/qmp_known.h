/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * What a host has, as its QEMUs have said and as orders have changed it since. Belongs to one
 * driver and its thread.
 */
#ifndef TETHER_QMP_KNOWN_H
#define TETHER_QMP_KNOWN_H

#include <stdbool.h>

#include "notifier/driver/host_inventory.h"

struct qmp_settings;

struct qmp_known {
	struct host_inventory inventory;
	bool is_whole; /* all QEMUs have been asked once */
};

/* Take over @fresh, which is emptied, and say it again in @told. -ENOMEM: it is as it was. */
int qmp_known_renew(
        struct qmp_known *known, struct host_inventory *fresh, struct host_inventory *told);
/* @order is done. -ENOMEM */
int qmp_known_change(struct qmp_known *known, const struct qmp_settings *settings,
        const Tether__HostOrder *order);
/* -ENOMEM */
int qmp_known_tell(const struct qmp_known *known, struct host_inventory *told);
void qmp_known_clear(struct qmp_known *known);

bool qmp_gives_a_vf(const Tether__HostOrder *order);

#endif
