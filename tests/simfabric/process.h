/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * The fabric that this process is on: the file that SIMFABRIC names, opened once for all faces of
 * libsimfabric.so. A child after fork gets a handle and a client row of its own when it first asks;
 * objects that it inherited from its parent are not its own.
 */
#ifndef SIMFABRIC_PROCESS_H
#define SIMFABRIC_PROCESS_H

#include "simfabric/shared_file.h"

/* Any thread. -ENODEV: SIMFABRIC is not set; else as fabric_open. The handle stays for good. */
int process_fabric(struct fabric **fabric);

#endif
