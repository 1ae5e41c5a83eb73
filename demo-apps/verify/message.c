/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "demo-apps/verify/message.h"

#include <string.h>

#define NUMBER_MASK ((1ULL << 40) - 1)

static uint64_t mix(uint64_t x)
{
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
	return x ^ (x >> 31);
}

uint64_t random_next(uint64_t *state)
{
	return mix(*state += 0x9e3779b97f4a7c15ULL);
}

uint32_t message_stream(bool from_server, uint32_t qp, bool written)
{
	return qp << 2 | (uint32_t)written << 1 | (uint32_t)from_server;
}

/* The number counts from 1 here: cleared memory is no message. */
uint64_t message_tail(uint64_t number, size_t length)
{
	uint64_t word = ((number + 1) & NUMBER_MASK) | (uint64_t)length << 40;

	return word | (mix(word) & 0xff) << 56;
}

uint64_t message_tail_number(uint64_t tail)
{
	return (tail & NUMBER_MASK) - 1;
}

size_t message_tail_length(uint64_t tail)
{
	return (tail >> 40) & 0xffff;
}

/* Every bit of every word counts, and so does its place. */
static uint64_t checksum(const unsigned char *at, size_t length, uint32_t stream, uint64_t tail)
{
	uint64_t sum = mix(tail ^ ((uint64_t)stream << 32)) ^ length;
	uint64_t word;

	for (; length >= 8; at += 8, length -= 8) {
		memcpy(&word, at, 8);
		sum = (sum ^ word) * 0x9fb21c651e98df25ULL;
		sum ^= sum >> 29;
	}
	word = 0;
	memcpy(&word, at, length);
	return mix(sum ^ word);
}

void message_fill(void *at, size_t length, uint32_t stream, uint64_t number)
{
	unsigned char *bytes = at;
	size_t body = length - MESSAGE_OVERHEAD;
	uint64_t seed = (uint64_t)stream << 40 ^ number;
	uint64_t tail = message_tail(number, length);
	uint64_t word = mix(seed);
	size_t done;

	for (done = 0; done + 8 <= body; done += 8) {
		word = word * 0xd1342543de82ef95ULL + 0xda3e39cb94b95bdbULL;
		memcpy(bytes + done, &word, 8);
	}
	memcpy(bytes + done, &seed, body - done);
	word = checksum(bytes, body, stream, tail);
	memcpy(bytes + body, &word, 8);
	memcpy(bytes + body + 8, &tail, 8);
}

enum message_verdict message_check(const void *at, size_t length, uint32_t stream, uint64_t *number)
{
	const unsigned char *bytes = at;
	uint64_t sum, tail;

	if (length < MESSAGE_MIN || length > MESSAGE_MAX)
		return MESSAGE_CORRUPT;
	memcpy(&sum, bytes + length - 16, 8);
	memcpy(&tail, bytes + length - 8, 8);
	if (tail != message_tail(message_tail_number(tail), length))
		return MESSAGE_CORRUPT;
	*number = message_tail_number(tail);
	if (sum != checksum(bytes, length - MESSAGE_OVERHEAD, stream, tail))
		return MESSAGE_CORRUPT;
	return MESSAGE_GOOD;
}

static unsigned char pattern_byte(size_t offset, uint64_t key)
{
	return mix(key + offset / 8) >> offset % 8 * 8;
}

void pattern_fill(void *at, size_t offset, size_t length, uint32_t stream)
{
	unsigned char *bytes = at;
	uint64_t key = mix(~(uint64_t)stream);

	for (size_t i = 0; i < length; i++)
		bytes[i] = pattern_byte(offset + i, key);
}

bool pattern_matches(const void *at, size_t offset, size_t length, uint32_t stream)
{
	const unsigned char *bytes = at;
	uint64_t key = mix(~(uint64_t)stream);

	for (size_t i = 0; i < length; i++)
		if (bytes[i] != pattern_byte(offset + i, key))
			return false;
	return true;
}

uint64_t progress_encode(uint64_t value)
{
	value &= NUMBER_MASK;
	return value | (mix(value) >> 40) << 40;
}

bool progress_decode(uint64_t word, uint64_t *value)
{
	if (word != progress_encode(word))
		return false;
	*value = word & NUMBER_MASK;
	return true;
}
