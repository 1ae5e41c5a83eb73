/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "demo-apps/mpi_verify/content.h"

#include <string.h>

static const uint64_t golden = 0x9e3779b97f4a7c15ULL;

static uint64_t mix(uint64_t word)
{
	word = (word ^ word >> 30) * 0xbf58476d1ce4e5b9ULL;
	word = (word ^ word >> 27) * 0x94d049bb133111ebULL;
	return word ^ word >> 31;
}

uint64_t random_next(uint64_t *state)
{
	return mix(*state += golden);
}

/* The length is part of it: what was cut short or grown does not match. */
static uint64_t content_key(const struct content_id *id, uint64_t length)
{
	uint64_t key = mix(id->seed + golden);

	key = mix(key ^ ((uint64_t)id->space << 32 | id->tag));
	key = mix(key ^ ((uint64_t)id->sender << 32 | id->receiver));
	key = mix(key ^ id->number);
	return mix(key ^ length);
}

static uint64_t content_word(uint64_t key, uint64_t index)
{
	return mix(key + index * golden);
}

void content_fill(void *at, size_t length, const struct content_id *id)
{
	uint64_t key = content_key(id, length), word;
	unsigned char *byte = at;

	for (size_t offset = 0; offset < length; offset += sizeof(word)) {
		size_t left = length - offset;

		word = content_word(key, offset / sizeof(word));
		memcpy(byte + offset, &word, left < sizeof(word) ? left : sizeof(word));
	}
}

bool content_matches(const void *at, size_t length, const struct content_id *id)
{
	uint64_t key = content_key(id, length), word;
	const unsigned char *byte = at;

	for (size_t offset = 0; offset < length; offset += sizeof(word)) {
		size_t left = length - offset;

		word = content_word(key, offset / sizeof(word));
		if (memcmp(byte + offset, &word, left < sizeof(word) ? left : sizeof(word)) != 0)
			return false;
	}
	return true;
}

bool content_identify(const void *at, size_t length, const struct content_id *id, uint64_t *number)
{
	struct content_id tried = *id;

	*number = id->number;
	if (content_matches(at, length, id))
		return true;
	if (length < CONTENT_DISTINCT)
		return false;
	for (uint64_t distance = 1; distance <= CONTENT_REACH; distance++) {
		for (int side = 0; side < 2; side++) {
			if (side && distance > id->number)
				continue;
			tried.number = side ? id->number - distance : id->number + distance;
			if (content_matches(at, length, &tried)) {
				*number = tried.number;
				return true;
			}
		}
	}
	return false;
}

uint64_t content_value(const struct content_id *id, uint64_t index)
{
	return content_word(content_key(id, UINT64_MAX), index);
}
