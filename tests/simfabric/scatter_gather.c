/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include <string.h>

#include "simfabric/scatter_gather.h"

enum { TAIL = 16 };

/*
 * What an adapter does to a program's memory is no thread's doing: ThreadSanitizer is not to see
 * it, as it would not see DMA.
 */
#define BY_DMA __attribute__((no_sanitize_thread))

BY_DMA void dma_copy(void *to, const void *from, size_t bytes)
{
#ifdef TETHER_TSAN
	__asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(bytes) : : "memory");
#else
	memcpy(to, from, bytes);
#endif
}

static bool is_aligned(const void *at, uintptr_t to)
{
	return (uintptr_t)at % to == 0;
}

/* In ascending order, words whole where they are aligned, as a bus writes them. */
BY_DMA static void place_tail(uint8_t *to, const uint8_t *from, uint32_t bytes)
{
	while (bytes) {
		uint32_t step = 1;

		if (bytes >= 8 && is_aligned(to, 8)) {
			uint64_t word;

			step = sizeof(word);
			dma_copy(&word, from, step);
			__atomic_store_n((uint64_t *)(void *)to, word, __ATOMIC_RELEASE);
		} else if (bytes >= 4 && is_aligned(to, 4)) {
			uint32_t word;

			step = sizeof(word);
			dma_copy(&word, from, step);
			__atomic_store_n((uint32_t *)(void *)to, word, __ATOMIC_RELEASE);
		} else {
			__atomic_store_n(to, *from, __ATOMIC_RELEASE);
		}
		to += step;
		from += step;
		bytes -= step;
	}
}

void place_payload(uint8_t *to, const void *from, uint32_t bytes)
{
	uint32_t tail = bytes < TAIL ? bytes : TAIL;

	/* memcpy may write the end first; programs poll on the last byte of a WRITE. */
	dma_copy(to, from, bytes - tail);
	place_tail(to + bytes - tail, (const uint8_t *)from + bytes - tail, tail);
}

struct piece {
	uint8_t *memory;
	uint32_t bytes;
};

/* The next piece of at most @bytes at @offset of the list, walking on from *@index. */
static bool next_piece(const struct buffer_list *list, uint32_t *index, uint64_t *offset,
        uint32_t bytes, unsigned access, struct piece *piece)
{
	while (*index < list->count) {
		const struct ibv_sge *sge = &list->sge[*index];

		if (*offset >= sge->length) {
			*offset -= sge->length;
			++*index;
			continue;
		}
		piece->bytes = sge->length - (uint32_t)*offset;
		if (piece->bytes > bytes)
			piece->bytes = bytes;
		piece->memory = memory_keys_resolve(
		        list->keys, list->pd, sge->lkey, sge->addr + *offset, piece->bytes, access);
		*offset += piece->bytes;
		return piece->memory != NULL;
	}
	return false;
}

bool gather(const struct buffer_list *from, uint64_t offset, void *to, uint32_t bytes)
{
	uint32_t index = 0;
	struct piece piece;
	uint8_t *out = to;

	for (; bytes; bytes -= piece.bytes, out += piece.bytes) {
		if (!next_piece(from, &index, &offset, bytes, 0, &piece))
			return false;
		dma_copy(out, piece.memory, piece.bytes);
	}
	return true;
}

bool scatter(const struct buffer_list *to, uint64_t offset, const void *from, uint32_t bytes)
{
	const uint8_t *in = from;
	uint32_t index = 0;
	struct piece piece;

	for (; bytes; bytes -= piece.bytes, in += piece.bytes) {
		if (!next_piece(to, &index, &offset, bytes, IBV_ACCESS_LOCAL_WRITE, &piece))
			return false;
		place_payload(piece.memory, in, piece.bytes);
	}
	return true;
}
