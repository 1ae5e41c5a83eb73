/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * What a driver has written to its standard output: one JSON object or nothing (notifier/DESIGN.md
 * "The driver"). Pure; any thread.
 */
#ifndef TETHER_DRIVER_OUTPUT_H
#define TETHER_DRIVER_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct host_inventory;

struct driver_output {
	uint32_t copy_ms;   /* 0: it does not say */
	bool has_inventory; /* and *@inventory has been written */
};

/*
 * @wants_inventory: without one it makes no sense; else nothing at all is a fine answer. -EBADMSG
 * with one line in @error; -ENOMEM. Outputs are written on success only.
 */
int driver_output_read(const char *bytes, size_t count, bool wants_inventory,
        struct driver_output *output, struct host_inventory *inventory, char *error,
        size_t error_size);

#endif
