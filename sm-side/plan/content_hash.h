/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * FNV-1a over 64 bits: names contents, so that a repeat is known and a mix-up is noticed. It guards
 * against no malice; whoever reaches the socket may order a move anyway.
 */
#ifndef TETHER_CONTENT_HASH_H
#define TETHER_CONTENT_HASH_H

#include <stddef.h>
#include <stdint.h>

#define CONTENT_HASH_START UINT64_C(0xcbf29ce484222325)

static inline uint64_t content_hash(uint64_t hash, const void *bytes, size_t count)
{
	const uint8_t *at = bytes;

	for (size_t i = 0; i < count; i++)
		hash = (hash ^ at[i]) * UINT64_C(0x100000001b3);
	return hash;
}

/* Byte by byte, so that the name does not depend on the machine's byte order. */
static inline uint64_t content_hash_number(uint64_t hash, uint64_t number)
{
	for (int shift = 56; shift >= 0; shift -= 8) {
		uint8_t byte = (uint8_t)(number >> shift);

		hash = content_hash(hash, &byte, 1);
	}
	return hash;
}

#endif
