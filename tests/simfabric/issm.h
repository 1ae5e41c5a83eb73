/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Is there a subnet manager behind a port? It says so by opening the port's issm device; here that
 * is a FIFO beside the fabric's file, which has a reader for as long as the process lives.
 */
#ifndef SIMFABRIC_ISSM_H
#define SIMFABRIC_ISSM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "simfabric/shared_file.h"

/* Make the FIFO of end port @port and say where it is. -errno of making it. */
int issm_offer(struct fabric *fabric, uint32_t port, char *path, size_t bytes);
bool issm_is_open(const struct fabric *fabric, uint32_t port);

#endif
