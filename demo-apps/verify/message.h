/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * A message's bytes: any body, then a checksum and a tail that names it. The tail is the last eight
 * bytes, never zero, so that a receiver which polls memory knows where to look. Pure.
 */
#ifndef VERIFY_MESSAGE_H
#define VERIFY_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	MESSAGE_OVERHEAD = 16,
	MESSAGE_MIN = 24,
	MESSAGE_MAX = 65535,
};

/* Names who sends what: a message that strays into another stream does not match. */
uint32_t message_stream(bool from_server, uint32_t qp, bool written);

/* Fill @length bytes (MESSAGE_MIN..MESSAGE_MAX, any alignment) as number @number of @stream. */
void message_fill(void *at, size_t length, uint32_t stream, uint64_t number);
/* The tail of number @number with @length bytes, as the last eight bytes hold it. */
uint64_t message_tail(uint64_t number, size_t length);
uint64_t message_tail_number(uint64_t tail);
size_t message_tail_length(uint64_t tail);

enum message_verdict { MESSAGE_GOOD, MESSAGE_CORRUPT };
/* Check all of it, with *@number as its tail says. */
enum message_verdict message_check(
        const void *at, size_t length, uint32_t stream, uint64_t *number);

/* The bytes that a READ of [offset, offset + length) of a pattern region must bring. */
void pattern_fill(void *at, size_t offset, size_t length, uint32_t stream);
bool pattern_matches(const void *at, size_t offset, size_t length, uint32_t stream);

/* A counter word that a READ can check by itself: 40 bits of value and a check of it. */
uint64_t progress_encode(uint64_t value);
bool progress_decode(uint64_t word, uint64_t *value);

/* A cheap generator for bodies and choices (splitmix64). */
uint64_t random_next(uint64_t *state);

#endif
