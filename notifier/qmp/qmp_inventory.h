/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* What a host has, put together from what its QEMUs say. Pure; belongs to one driver. */
#ifndef TETHER_QMP_INVENTORY_H
#define TETHER_QMP_INVENTORY_H

#include <stdbool.h>
#include <stddef.h>

struct host_inventory;
struct qmp_seen;
struct qmp_settings;

/* Which VMs are here, and who has which slot; by their places in the settings. */
struct qmp_rows {
	const struct qmp_settings *settings; /* outlive the rows */
	bool *vm_is_here;
	const char **slot_vm; /* NULL: nobody's */
};

/* -ENOMEM */
int qmp_rows_make(struct qmp_rows *rows, const struct qmp_settings *settings);
void qmp_rows_clear(struct qmp_rows *rows);

/* Of the VM at @index what its QEMU says. */
void qmp_rows_seen(struct qmp_rows *rows, size_t index, const struct qmp_seen *seen);
/* What @known says, whatever was seen. */
void qmp_rows_keep(struct qmp_rows *rows, size_t index, const struct host_inventory *known);
/* -EBADMSG with one line in @error, -ENOMEM. */
int qmp_rows_tell(const struct qmp_rows *rows, struct host_inventory *inventory, char *error,
        size_t error_size);

#endif
