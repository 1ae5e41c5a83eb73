/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* A device as QEMU's -device and settings have it, and as device_add takes it. Pure. */
#ifndef TETHER_QMP_DEVICE_H
#define TETHER_QMP_DEVICE_H

#include <stdbool.h>

struct json_object;

/*
 * @text: "vfio-pci,host=0000:3b:00.2,bus=rp0"; ",," is a comma in a value. Digits are a number, on
 * and off are a flag, what stands between quotes is a text whatever it is. Without an id: that is
 * @id. -EINVAL, -ENOMEM; *@arguments is written on success only.
 */
int qmp_device_read(const char *text, const char *id, struct json_object **arguments);

/* Letters, digits and -._, a letter first. */
bool qmp_device_id_is_fit(const char *id);

#endif
