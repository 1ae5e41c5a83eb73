/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "simfabric/event_heap.h"

#include <errno.h>
#include <time.h>

#include "simfabric/fault_points.h"

/* The rows are the truth; the heap of their indices and the list of free rows are derived. */
struct event_table {
	uint32_t count;
	uint32_t ever_used;
	uint32_t free; /* index + 1; linked by event.trap */
	uint32_t reserved;
	uint64_t next_order;
	uint32_t heap[EVENTS_MAX];
	struct event rows[EVENTS_MAX];
};

static struct event_table *table(const struct fabric *fabric)
{
	return fabric_section(fabric, SECTION_EVENTS);
}

size_t events_size(const struct net *net)
{
	return sizeof(struct event_table);
}

uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static bool is_before(const struct event_table *t, uint32_t a, uint32_t b)
{
	const struct event *x = &t->rows[t->heap[a]], *y = &t->rows[t->heap[b]];

	return x->due_ns != y->due_ns ? x->due_ns < y->due_ns : x->order < y->order;
}

static void swap(struct event_table *t, uint32_t a, uint32_t b)
{
	uint32_t row = t->heap[a];

	t->heap[a] = t->heap[b];
	fault_point(event_heap_half_swapped);
	t->heap[b] = row;
}

static void sift_up(struct event_table *t, uint32_t at)
{
	for (uint32_t parent; at > 0; at = parent) {
		parent = (at - 1) / 2;
		if (!is_before(t, at, parent))
			return;
		swap(t, at, parent);
	}
}

static void sift_down(struct event_table *t, uint32_t at)
{
	for (;;) {
		uint32_t least = at;

		for (uint32_t child = 2 * at + 1; child <= 2 * at + 2 && child < t->count; child++)
			least = is_before(t, child, least) ? child : least;
		if (least == at)
			return;
		swap(t, at, least);
		at = least;
	}
}

static void push(struct event_table *t, uint32_t row)
{
	t->heap[t->count++] = row;
	sift_up(t, t->count - 1);
}

int event_add(struct fabric *fabric, const struct event *event)
{
	struct event_table *t = table(fabric);
	uint32_t row = t->free ? t->free - 1 : t->ever_used;

	if (row == EVENTS_MAX)
		return -ENOSPC;
	if (t->free)
		t->free = t->rows[row].trap;
	else
		t->ever_used++;
	t->rows[row] = *event;
	t->rows[row].order = t->next_order++;
	t->rows[row].is_used = 0;
	fault_point(event_half_added);
	__atomic_store_n(&t->rows[row].is_used, 1, __ATOMIC_RELEASE);
	fault_point(event_not_in_heap);
	push(t, row);
	return 0;
}

uint64_t event_next_ns(const struct fabric *fabric)
{
	const struct event_table *t = table(fabric);

	return t->count ? t->rows[t->heap[0]].due_ns : UINT64_MAX;
}

bool event_take_due(struct fabric *fabric, uint64_t now, struct event *event)
{
	struct event_table *t = table(fabric);
	uint32_t row;

	if (event_next_ns(fabric) > now)
		return false;
	row = t->heap[0];
	*event = t->rows[row];
	__atomic_store_n(&t->rows[row].is_used, 0, __ATOMIC_RELEASE);
	fault_point(event_half_taken);
	t->heap[0] = t->heap[--t->count];
	sift_down(t, 0);
	t->rows[row].trap = t->free;
	t->free = row + 1;
	return true;
}

uint32_t events_waiting(const struct fabric *fabric)
{
	return table(fabric)->count;
}

void events_recover(struct fabric *fabric)
{
	struct event_table *t = table(fabric);

	t->count = 0;
	t->free = 0;
	if (t->ever_used > EVENTS_MAX)
		t->ever_used = EVENTS_MAX;
	for (uint32_t row = t->ever_used; row-- > 0;) {
		if (t->rows[row].is_used) {
			push(t, row);
			continue;
		}
		t->rows[row].trap = t->free;
		t->free = row + 1;
	}
}

void events_mark_messages(struct fabric *fabric, struct message_marks *marks)
{
	struct event_table *t = table(fabric);

	for (uint32_t row = 0; row < t->ever_used; row++) {
		struct event *event = &t->rows[row];

		if (event->is_used && event->message != NO_INDEX &&
		        !message_mark(marks, event->message))
			event->message = NO_INDEX;
	}
}
