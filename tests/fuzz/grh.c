/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Whatever stands in the first 40 bytes of a datagram's buffers: other ends are there after they
 * have been put there, and nothing else has changed. The first byte says how the buffers are cut,
 * then come two GIDs.
 */
#include <stdlib.h>
#include <string.h>

#include "preload/grh.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { GIDS = 2 * sizeof(union ibv_gid), MOST_PIECES = 45 };

/* Each of its own allocation, so that a byte too far is seen. */
struct buffers {
	struct ibv_sge sges[MOST_PIECES];
	unsigned count;
};

static void buffers_make(struct buffers *buffers, const uint8_t *data, size_t size, unsigned cut)
{
	buffers->count = 0;
	while (size && buffers->count < MOST_PIECES) {
		struct ibv_sge *sge = &buffers->sges[buffers->count++];
		size_t length = buffers->count % 3 && size > cut ? cut : size / 2;
		void *at;

		if (buffers->count == MOST_PIECES)
			length = size;
		at = malloc(length ? length : 1);
		memcpy(at, data, length);
		*sge = (struct ibv_sge){.addr = (uintptr_t)at, .length = (uint32_t)length};
		data += length;
		size -= length;
	}
}

static void buffers_free(struct buffers *buffers)
{
	while (buffers->count)
		free((void *)(uintptr_t)buffers->sges[--buffers->count].addr);
}

static void check(bool holds)
{
	if (!holds)
		abort();
}

static void check_ends(const uint8_t *before, enum grh_kind kind, const union ibv_gid *from,
        const union ibv_gid *to)
{
	size_t first = kind == GRH_IS_IPV4 ? 32 : 8;
	uint8_t header[GRH_BYTES];
	union ibv_gid is_from, is_to;

	memcpy(header, before, sizeof(header));
	if (!grh_set_ends(header, kind, from, to)) {
		check(!memcmp(header, before, sizeof(header)));
		return;
	}
	/* Their end may look like an IPv4 header now: then nobody could tell. */
	if (grh_ends(header, &is_from, &is_to) == kind)
		check(!memcmp(&is_from, from, sizeof(is_from)) &&
		        !memcmp(&is_to, to, sizeof(is_to)));
	if (kind == GRH_IS_IPV4)
		memcpy(header + 30, before + 30, 2);
	check(!memcmp(header, before, first));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t header[GRH_BYTES];
	struct buffers buffers;
	struct grh_place place;
	union ibv_gid ends[2], from, to;
	enum grh_kind kind;

	if (size < 1 + GIDS)
		return 0;
	memcpy(ends, data + 1, GIDS);
	buffers_make(&buffers, data + 1 + GIDS, size - 1 - GIDS, data[0] % 41);
	check(grh_place_in(&place, buffers.sges, buffers.count) == (size - 1 - GIDS >= GRH_BYTES));
	if (size - 1 - GIDS >= GRH_BYTES) {
		grh_read(&place, header);
		check(!memcmp(header, data + 1 + GIDS, sizeof(header)));
		kind = grh_ends(header, &from, &to);
		check_ends(header, kind, &ends[0], &ends[1]);
		if (kind != GRH_IS_NONE)
			check_ends(header, kind, &to, &from);
		grh_write(&place, header);
	}
	buffers_free(&buffers);
	return 0;
}
