/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* GIDs by number, and two that have one name: there are such, and somebody may choose them. */
#ifndef TETHER_TESTS_GID_TWINS_H
#define TETHER_TESTS_GID_TWINS_H

#include <stdlib.h>
#include <string.h>

#include "notifier/relay/interest.h"
#include "notifier/wire/gid_name.h"

enum { GIDS_TRIED = 1 << 18 };

struct named_gid {
	uint32_t name, number;
};

static inline int by_named_gid(const void *a, const void *b)
{
	const struct named_gid *x = a, *y = b;

	return x->name < y->name ? -1 : x->name > y->name;
}

static inline void numbered_gid(uint32_t number, uint8_t gid[GID_BYTES])
{
	memset(gid, 0, GID_BYTES);
	gid[0] = 0xfe;
	gid[1] = 0x80;
	memcpy(gid + 12, &number, sizeof(number));
}

static inline struct address numbered_address(uint32_t number)
{
	struct address address = {0};

	numbered_gid(number, address.gid);
	address.lid = gid_name(address.gid);
	return address;
}

/* False: none were found. */
static inline bool gid_twins(uint8_t one[GID_BYTES], uint8_t other[GID_BYTES])
{
	struct named_gid *tried = calloc(GIDS_TRIED, sizeof(*tried));
	bool found = false;

	for (uint32_t i = 0; tried && i < GIDS_TRIED; i++) {
		numbered_gid(i + 1, one);
		tried[i] = (struct named_gid){gid_name(one), i + 1};
	}
	if (tried)
		qsort(tried, GIDS_TRIED, sizeof(*tried), by_named_gid);
	for (uint32_t i = 1; tried && i < GIDS_TRIED && !found; i++) {
		found = tried[i].name == tried[i - 1].name;
		numbered_gid(tried[i - 1].number, one);
		numbered_gid(tried[i].number, other);
	}
	free(tried);
	return found;
}

#endif
