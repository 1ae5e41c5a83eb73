/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * What stands in memory: bytes that say whose they are, none of them 0, and words of cells that are
 * written again and again.
 */
#ifndef MODEL_PATTERN_H
#define MODEL_PATTERN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/chance.h"

static inline uint64_t pattern_word(unsigned end, unsigned number, size_t index)
{
	/* The lowest bit of each byte is set. */
	return chance_mix((uint64_t)(end + 1) << 48 ^ (uint64_t)number << 24 ^ index) |
	       UINT64_C(0x0101010101010101);
}

/* The bytes of @end's work request @number. */
static inline void pattern_fill(void *memory, size_t length, unsigned end, unsigned number)
{
	uint8_t *bytes = memory;

	for (size_t i = 0; i < length; i++)
		bytes[i] = (uint8_t)(pattern_word(end, number, i / 8) >> i % 8 * 8);
}

static inline bool pattern_is(const void *memory, size_t length, unsigned end, unsigned number)
{
	const uint8_t *bytes = memory;

	for (size_t i = 0; i < length; i++) {
		if (bytes[i] != (uint8_t)(pattern_word(end, number, i / 8) >> i % 8 * 8))
			return false;
	}
	return true;
}

/* A word of a hot or versioned cell: whose it is, and which writing or version. 0: none yet. */
static inline uint64_t cell_word(unsigned end, uint32_t count)
{
	return (uint64_t)(end + 1) << 32 | count;
}

static inline void cell_fill(void *memory, size_t length, uint64_t word)
{
	uint64_t *words = memory;

	for (size_t i = 0; i < length / 8; i++)
		words[i] = word;
}

#endif
