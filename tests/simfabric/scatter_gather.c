/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include <string.h>

#include "simfabric/scatter_gather.h"

void place_payload(uint8_t *to, const void *from, uint32_t bytes)
{
	const uint8_t *source = from;
	uint64_t last;

	if (bytes < sizeof(last)) {
		/* In ascending order, for the same reason. */
		for (uint32_t i = 0; i < bytes; i++)
			__atomic_store_n(to + i, source[i], __ATOMIC_RELEASE);
		return;
	}
	/* memcpy may write the end first; programs poll on the last byte of a WRITE. */
	memcpy(to, source, bytes - sizeof(last));
	memcpy(&last, source + bytes - sizeof(last), sizeof(last));
	__atomic_thread_fence(__ATOMIC_RELEASE);
	memcpy(to + bytes - sizeof(last), &last, sizeof(last));
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
		memcpy(out, piece.memory, piece.bytes);
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
