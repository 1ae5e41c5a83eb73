/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "tests/faults/loss_load.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct book book = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

void book_open(void)
{
	for (unsigned i = 0; i < QUEUES; i++) {
		struct queue *queue = &book.queues[i];
		uint8_t *tickets = queue->tickets ? queue->tickets : malloc(TICKETS);

		if (!tickets)
			abort();
		*queue = (struct queue){.tickets = tickets};
	}
	memset(book.successes, 0, sizeof(book.successes));
	book.fatal = book.last_wqe = book.violations = 0;
	book.receives_may_stay = false;
	book.last_at = 0;
	book.first_violation[0] = 0;
}

void book_violation(const char *text, uint64_t wr_id)
{
	if (!book.violations++)
		snprintf(book.first_violation, sizeof(book.first_violation), "%s: queue %u, %u",
		        text, (unsigned)(wr_id >> 32), (uint32_t)wr_id);
}

uint64_t book_post(unsigned number, bool must)
{
	struct queue *queue = &book.queues[number];
	uint32_t ticket = queue->posted++;

	queue->tickets[ticket] = TICKET_POSTED | (must ? TICKET_MUST : 0);
	queue->must_open += must;
	return (uint64_t)number << 32 | ticket;
}

void book_not_posted(unsigned number)
{
	struct queue *queue = &book.queues[number];

	queue->must_open -= !!(queue->tickets[--queue->posted] & TICKET_MUST);
}

static bool is_send(unsigned number)
{
	return number < LANES;
}

/* It was asked for, and is the first. */
static void check(const struct ibv_wc *wc, struct queue *queue, unsigned number, uint8_t ticket)
{
	if (ticket & TICKET_DONE)
		book_violation("completes twice", wc->wr_id);
	if (is_send(number) && !(ticket & TICKET_MUST) && wc->status == IBV_WC_SUCCESS)
		book_violation("unsignalled, and a success", wc->wr_id);
	if (queue->has_failed && wc->status == IBV_WC_SUCCESS && number != QUEUE_SHARED)
		book_violation("a success behind an error", wc->wr_id);
	if (is_send(number) && (uint32_t)wc->wr_id < queue->done)
		book_violation("out of order", wc->wr_id);
}

/* Sends complete in order: what is before one that succeeded has, too. */
static void check_passed(struct queue *queue, uint64_t wr_id)
{
	for (uint32_t i = queue->done; i < (uint32_t)wr_id; i++) {
		if ((queue->tickets[i] & (TICKET_MUST | TICKET_DONE)) == TICKET_MUST)
			book_violation("was passed", (wr_id & ~UINT64_C(0xffffffff)) | i);
	}
}

void book_completed(const struct ibv_wc *wc)
{
	unsigned number = (unsigned)(wc->wr_id >> 32);
	uint32_t index = (uint32_t)wc->wr_id;
	struct queue *queue = &book.queues[number < QUEUES ? number : 0];

	if (number >= QUEUES || index >= queue->posted) {
		book_violation("of nobody", wc->wr_id);
		return;
	}
	check(wc, queue, number, queue->tickets[index]);
	if ((queue->tickets[index] & (TICKET_MUST | TICKET_DONE)) == TICKET_MUST)
		queue->must_open--;
	queue->tickets[index] |= TICKET_DONE;
	if (is_send(number)) {
		if (wc->status == IBV_WC_SUCCESS)
			check_passed(queue, wc->wr_id);
		queue->done = index + 1;
	}
	book.last_at = ticks_now();
	if (wc->status != IBV_WC_SUCCESS && !queue->has_failed)
		queue->failed_at = book.last_at;
	queue->has_failed |= wc->status != IBV_WC_SUCCESS;
	book.successes[number] += wc->status == IBV_WC_SUCCESS;
	pthread_cond_broadcast(&book.changed);
}

bool book_must_wait(void)
{
	unsigned open = 0;

	for (unsigned i = 0; i < QUEUES; i++)
		open += is_send(i) || !book.receives_may_stay ? book.queues[i].must_open : 0;
	return open;
}

void book_close(void)
{
	for (unsigned number = 0; number < QUEUES; number++) {
		struct queue *queue = &book.queues[number];

		for (uint32_t i = 0;
		        i < queue->posted && (is_send(number) || !book.receives_may_stay); i++) {
			if ((queue->tickets[i] & (TICKET_MUST | TICKET_DONE)) == TICKET_MUST)
				book_violation("never completes", (uint64_t)number << 32 | i);
		}
	}
}
