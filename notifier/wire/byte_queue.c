/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "notifier/wire/byte_queue.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
	QUEUE_LEAST = 1024,
	QUEUE_KEPT = 16 << 10, /* a larger empty queue is given back */
};

int byte_queue_reserve(struct byte_queue *queue, size_t length)
{
	size_t held = queue->end - queue->start;
	size_t size = queue->size ? queue->size : QUEUE_LEAST;
	uint8_t *bytes;

	if (queue->start && queue->end + length > queue->size) {
		memmove(queue->bytes, queue->bytes + queue->start, held);
		queue->start = 0;
		queue->end = held;
	}
	while (size < held + length)
		size *= 2;
	if (size == queue->size)
		return 0;
	bytes = realloc(queue->bytes, size);
	if (!bytes)
		return -ENOMEM;
	queue->bytes = bytes;
	queue->size = size;
	return 0;
}

void byte_queue_clear(struct byte_queue *queue)
{
	free(queue->bytes);
	*queue = (struct byte_queue){0};
}

bool byte_queue_is_empty(const struct byte_queue *queue)
{
	return queue->start == queue->end;
}

void byte_queue_taken(struct byte_queue *queue, size_t count)
{
	queue->start += count;
	if (!byte_queue_is_empty(queue))
		return;
	queue->start = queue->end = 0;
	if (queue->size > QUEUE_KEPT)
		byte_queue_clear(queue);
}
