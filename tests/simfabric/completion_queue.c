/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "simfabric/completion_queue.h"

int completion_queue_init(struct completion_queue *queue, uint32_t capacity)
{
	memset(queue, 0, sizeof(*queue));
	queue->capacity = capacity;
	queue->size = 1;
	while (queue->size < capacity)
		queue->size *= 2;
	queue->ring = malloc(queue->size * sizeof(*queue->ring));
	return queue->ring ? 0 : -ENOMEM;
}

void completion_queue_fini(struct completion_queue *queue)
{
	free(queue->ring);
	queue->ring = NULL;
}

static struct completion *at(const struct completion_queue *queue, uint32_t counter)
{
	return &queue->ring[counter & (queue->size - 1)];
}

int completion_queue_resize(struct completion_queue *queue, uint32_t capacity)
{
	struct completion_queue other;
	int err;

	if (queue->tail - queue->head > capacity)
		return -EINVAL;
	err = completion_queue_init(&other, capacity);
	if (err)
		return err;
	for (uint32_t i = queue->head; i != queue->tail; i++)
		*at(&other, i) = *at(queue, i);
	free(queue->ring);
	queue->ring = other.ring;
	queue->size = other.size;
	queue->capacity = capacity;
	return 0;
}

static void notify(struct completion_queue *queue)
{
	queue->armed = NOT_ARMED;
	queue->notify_due_ns = 0;
	queue->moderated = 0;
	if (queue->notify)
		queue->notify(queue);
}

static bool raises_event(const struct completion_queue *queue, const struct completion *completion)
{
	if (queue->armed == ARMED_ALL)
		return true;
	return queue->armed == ARMED_SOLICITED &&
	       (completion->solicited || completion->wc.status != IBV_WC_SUCCESS);
}

static void notify_no_later(struct completion_queue *queue, uint64_t due_ns)
{
	if (!queue->notify_due_ns || due_ns < queue->notify_due_ns)
		queue->notify_due_ns = due_ns;
}

static bool is_moderated(const struct completion_queue *queue)
{
	return queue->moderate_count && queue->moderate_ns;
}

static bool make_room(struct completion_queue *queue)
{
	if (!queue->ignores_overrun) {
		queue->overrun = true;
		return false;
	}
	queue->head++;
	return true;
}

/* When all that is in the queue can be seen: what stands behind a held one waits for it. */
static uint64_t all_visible_ns(const struct completion_queue *queue)
{
	uint64_t visible_ns = 0;

	for (uint32_t i = queue->head; i != queue->tail; i++)
		if (at(queue, i)->visible_ns > visible_ns)
			visible_ns = at(queue, i)->visible_ns;
	return visible_ns;
}

bool completion_queue_push(
        struct completion_queue *queue, const struct completion *completion, uint64_t now_ns)
{
	if (queue->tail - queue->head >= queue->capacity && !make_room(queue))
		return false;
	*at(queue, queue->tail) = *completion;
	at(queue, queue->tail++)->completed_ns = now_ns;
	if (completion->visible_ns > queue->held_until_ns || queue->held_until_ns > now_ns)
		queue->held_until_ns = all_visible_ns(queue);
	if (!raises_event(queue, completion))
		return true;
	if (queue->held_until_ns > now_ns)
		notify_no_later(queue, queue->held_until_ns);
	else if (!is_moderated(queue) || ++queue->moderated >= queue->moderate_count)
		notify(queue);
	else
		notify_no_later(queue, now_ns + queue->moderate_ns);
	return true;
}

struct completion *completion_queue_peek(struct completion_queue *queue, uint64_t now_ns)
{
	struct completion *oldest;

	if (queue->head == queue->tail)
		return NULL;
	oldest = at(queue, queue->head);
	return oldest->visible_ns <= now_ns ? oldest : NULL;
}

void completion_queue_pop(struct completion_queue *queue)
{
	queue->head++;
}

void completion_queue_turn(struct completion_queue *queue, uint64_t now_ns)
{
	if (queue->notify_due_ns && queue->notify_due_ns <= now_ns)
		notify(queue);
}

void completion_queue_moderate(struct completion_queue *queue, uint32_t count, uint64_t period_ns)
{
	queue->moderate_count = count;
	queue->moderate_ns = period_ns;
}

/* A held completion counts as not there yet, so arming sees it coming. */
void completion_queue_arm(struct completion_queue *queue, bool solicited_only, uint64_t now_ns)
{
	uint64_t visible_ns = 0;

	if (queue->armed != ARMED_ALL)
		queue->armed = solicited_only ? ARMED_SOLICITED : ARMED_ALL;
	if (queue->held_until_ns <= now_ns)
		return;
	for (uint32_t i = queue->head; i != queue->tail && !queue->notify_due_ns; i++) {
		if (at(queue, i)->visible_ns > visible_ns)
			visible_ns = at(queue, i)->visible_ns;
		if (visible_ns > now_ns && raises_event(queue, at(queue, i)))
			queue->notify_due_ns = visible_ns;
	}
}

void completion_queue_purge(struct completion_queue *queue, const struct queue_pair *qp)
{
	uint32_t kept = queue->head;

	for (uint32_t i = queue->head; i != queue->tail; i++)
		if (at(queue, i)->qp != qp)
			*at(queue, kept++) = *at(queue, i);
	queue->tail = kept;
}

void completion_queue_orphan(struct completion_queue *queue, const struct queue_pair *qp)
{
	for (uint32_t i = queue->head; i != queue->tail; i++)
		if (at(queue, i)->qp == qp)
			at(queue, i)->qp = NULL;
}

/* Something was held, and is not any more: its event is due where it is not behind another. */
static void let_events_go(struct completion_queue *queue)
{
	queue->held_until_ns = all_visible_ns(queue);
	if (queue->notify_due_ns)
		queue->notify_due_ns = 1;
}

void completion_queue_release_held(struct completion_queue *queue, const struct queue_pair *qp)
{
	for (uint32_t i = queue->head; i != queue->tail; i++)
		if (at(queue, i)->qp == qp && at(queue, i)->is_receive)
			at(queue, i)->visible_ns = 0;
	let_events_go(queue);
}

void completion_queue_write_out(struct completion_queue *queue, const struct queue_pair *qp)
{
	uint32_t newest = queue->tail;

	while (newest != queue->head && at(queue, newest - 1)->qp != qp)
		newest--;
	for (uint32_t i = queue->head; i != newest; i++)
		at(queue, i)->visible_ns = 0;
	if (newest != queue->head)
		let_events_go(queue);
}

void completion_queue_look_anew(
        struct completion_queue *queue, bool (*is_held)(const struct completion *completion))
{
	bool released = false;

	for (uint32_t i = queue->head; i != queue->tail; i++) {
		struct completion *completion = at(queue, i);

		if (completion->visible_ns != COMPLETION_HELD || is_held(completion))
			continue;
		completion->visible_ns = 0;
		released = true;
	}
	if (released)
		let_events_go(queue);
}

const struct completion *completion_queue_find_receive(
        const struct completion_queue *queue, const struct queue_pair *qp, uint32_t psn)
{
	for (uint32_t i = queue->head; i != queue->tail; i++) {
		const struct completion *completion = at(queue, i);

		if (completion->qp == qp && completion->is_receive && completion->psn == psn &&
		        completion->wc.status != IBV_WC_WR_FLUSH_ERR)
			return completion;
	}
	return NULL;
}

bool completion_queue_hides(
        const struct completion_queue *queue, const struct completion *completion, uint64_t now_ns)
{
	for (uint32_t i = queue->head; i != queue->tail; i++) {
		if (at(queue, i)->visible_ns > now_ns)
			return true;
		if (at(queue, i) == completion)
			return false;
	}
	return false;
}
