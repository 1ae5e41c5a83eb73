/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Copies between packets and the buffers of a work request, each piece checked against the memory
 * keys at that moment. Under the HCA's lock.
 */
#ifndef SIMFABRIC_SCATTER_GATHER_H
#define SIMFABRIC_SCATTER_GATHER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <infiniband/verbs.h>

#include "simfabric/memory_keys.h"

struct buffer_list {
	const struct memory_keys *keys;
	const void *pd;
	const struct ibv_sge *sge;
	uint32_t count;
};

/* False: a key does not allow it or the list is too short. A part may have been copied then. */
bool gather(const struct buffer_list *from, uint64_t offset, void *to, uint32_t bytes);
bool scatter(const struct buffer_list *to, uint64_t offset, const void *from, uint32_t bytes);

/* memcpy from or to a program's memory. */
void dma_copy(void *to, const void *from, size_t bytes);

/* Copy so that a reader on another CPU who sees the last bytes sees all of them. */
void place_payload(uint8_t *to, const void *from, uint32_t bytes);

#endif
