/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "demo-apps/rc_verify/receive_book.h"

#include <errno.h>
#include <stdlib.h>

int receive_book_init(struct receive_book *book, uint32_t depth)
{
	*book = (struct receive_book){
	        .numbers = calloc(depth, sizeof(*book->numbers)),
	        .is_posted = calloc(depth, sizeof(*book->is_posted)),
	        .free = calloc(depth, sizeof(*book->free)),
	        .depth = depth,
	        .free_count = depth,
	};
	if (!book->numbers || !book->is_posted || !book->free)
		return -ENOMEM;
	for (uint32_t i = 0; i < depth; i++) {
		book->numbers[i] = i;
		book->free[i] = i;
	}
	return 0;
}

void receive_book_finish(struct receive_book *book)
{
	free(book->numbers);
	free(book->is_posted);
	free(book->free);
}

bool receive_book_post(struct receive_book *book, uint64_t *number)
{
	uint32_t buffer;

	if (!book->free_count)
		return false;
	buffer = book->free[book->free_head];
	book->free_head = (book->free_head + 1) % book->depth;
	book->free_count--;
	book->is_posted[buffer] = true;
	*number = book->numbers[buffer];
	return true;
}

bool receive_book_complete(struct receive_book *book, uint64_t number)
{
	uint32_t buffer = (uint32_t)(number % book->depth);

	if (!book->is_posted[buffer] || book->numbers[buffer] != number)
		return false;
	book->is_posted[buffer] = false;
	book->numbers[buffer] += book->depth;
	book->free[(book->free_head + book->free_count++) % book->depth] = buffer;
	return true;
}
