/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* Bytes that wait for a peer to take them. Pure; belongs to one connection and its thread. */
#ifndef TETHER_BYTE_QUEUE_H
#define TETHER_BYTE_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Zero-initialise. Bytes from start to end are not yet taken; behind end there is room to size. */
struct byte_queue {
	uint8_t *bytes;
	size_t start, end, size;
};

/* Room for @length bytes behind end, which the caller then moves. -ENOMEM */
int byte_queue_reserve(struct byte_queue *queue, size_t length);
void byte_queue_taken(struct byte_queue *queue, size_t count);
bool byte_queue_is_empty(const struct byte_queue *queue);
void byte_queue_clear(struct byte_queue *queue);

#endif
