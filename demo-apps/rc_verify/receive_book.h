/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Which receives are posted. Each has a number, and its buffer is the number modulo depth; the next
 * one into the same buffer has depth more. Where they complete in order, numbers are posted in
 * order, too. One thread.
 */
#ifndef RC_VERIFY_RECEIVE_BOOK_H
#define RC_VERIFY_RECEIVE_BOOK_H

#include <stdbool.h>
#include <stdint.h>

struct receive_book {
	uint64_t *numbers; /* by buffer: of the receive that is posted, or will be next */
	bool *is_posted;
	uint32_t *free; /* buffers, in the order in which they came back; a ring */
	uint32_t depth, free_head, free_count;
};

/* -ENOMEM. */
int receive_book_init(struct receive_book *book, uint32_t depth);
void receive_book_finish(struct receive_book *book);

/* The number of the next one to be posted. False: all are. */
bool receive_book_post(struct receive_book *book, uint64_t *number);
/* False: it was not posted, or has completed before. */
bool receive_book_complete(struct receive_book *book, uint64_t number);

#endif
