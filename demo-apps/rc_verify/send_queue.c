/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "demo-apps/rc_verify/send_queue.h"

#include <errno.h>
#include <stdlib.h>

int send_queue_init(struct send_queue *queue, uint32_t depth)
{
	*queue = (struct send_queue){.depth = depth};
	queue->work = calloc(depth, sizeof(*queue->work));
	return queue->work ? 0 : -ENOMEM;
}

void send_queue_finish(struct send_queue *queue)
{
	free(queue->work);
	queue->work = NULL;
}

uint64_t send_queue_push(struct send_queue *queue, const struct work *work)
{
	uint64_t number = queue->posted++;

	*send_queue_at(queue, number) = *work;
	if (work->is_signalled)
		queue->signalled = number + 1;
	return number;
}

uint32_t send_queue_complete(struct send_queue *queue, uint64_t number, struct findings *findings)
{
	uint64_t first = queue->done;

	if (number < first) {
		findings->duplicated++;
		return 0;
	}
	if (number >= queue->posted || !send_queue_at(queue, number)->is_signalled) {
		findings->errors++;
		return 0;
	}
	for (uint64_t before = first; before < number; before++)
		if (send_queue_at(queue, before)->is_signalled)
			findings->lost++;
	queue->done = number + 1;
	return number + 1 - first;
}
