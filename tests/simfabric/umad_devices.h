/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* What libibumad says of the machine's HCA: the one that attach.c gives this process. Any thread.
 */
#ifndef SIMFABRIC_UMAD_DEVICES_H
#define SIMFABRIC_UMAD_DEVICES_H

#include <stdint.h>

#include <infiniband/umad.h>

#include "simfabric/attach.h"
#include "simfabric/shared_file.h"

/* The HCA named @name, NULL: whichever there is. -ENODEV. */
int umad_device(const char *name, struct fabric **fabric, struct hca_place *place);
/*
 * Port *@number of it; 0 takes the first Active one, else the first that is up, else the first
 * not disabled, and says which. -ENODEV, -EINVAL: no such port.
 */
int umad_device_port(const char *name, int *number, struct fabric **fabric, struct hca_place *place,
        uint32_t *port);

/* Filled as the real ones fill them; the P_Key table is malloc'ed. -errno. */
int umad_device_describe(const char *name, umad_ca_t *ca);
int umad_device_describe_port(const char *name, int number, umad_port_t *port);

#endif
