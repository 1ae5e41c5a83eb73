/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Whether a device node is of a device at some place of the fabric, by what sysfs says of its
 * ports. Any thread.
 */
#ifndef TETHER_DEVICE_PLACE_H
#define TETHER_DEVICE_PLACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct device_place {
	const char *sysfs;    /* "/sys" */
	const uint32_t *lids; /* of InfiniBand; none: at any */
	size_t count;
};

/* Each port of the device @node is certainly at another place: it is no InfiniBand, or has another
 * LID. A port that has no LID (yet), and a device of which sysfs says nothing, may be here. */
bool device_is_elsewhere(const struct device_place *place, dev_t node);

#endif
