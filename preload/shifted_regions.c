/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "preload/shifted_regions.h"

#include <errno.h>
#include <stdlib.h>

#include "notifier/base/cleanup.h"

enum { LEAST = 16 };

/* One that was outgrown is read for a while, so it goes with the last. */
struct shifted_list {
	struct shifted_list *before;
	uint32_t size;
	struct shifted_region {
		uint32_t lkey;
		uint64_t shift; /* 0: unused. Atomic, and set last */
	} at[];
};

static struct shifted_region *place_of(struct shifted_list *list, uint32_t lkey)
{
	struct shifted_region *unused = NULL;

	for (uint32_t i = 0; list && i < list->size; i++) {
		if (list->at[i].shift && list->at[i].lkey == lkey)
			return &list->at[i];
		if (!list->at[i].shift && !unused)
			unused = &list->at[i];
	}
	return unused;
}

static struct shifted_region *grow(struct shifted_regions *regions)
{
	struct shifted_list *had = regions->list, *list;
	uint32_t size = had ? 2 * had->size : LEAST;

	list = calloc(1, sizeof(*list) + size * sizeof(list->at[0]));
	if (!list)
		return NULL;
	list->before = had;
	list->size = size;
	for (uint32_t i = 0; had && i < had->size; i++)
		list->at[i] = had->at[i];
	__atomic_store_n(&regions->list, list, __ATOMIC_RELEASE);
	return &list->at[had ? had->size : 0];
}

int shifted_regions_set(struct shifted_regions *regions, uint32_t lkey, uint64_t shift)
{
	struct shifted_region *at;

	LOCK_GUARD(&regions->lock);
	at = place_of(regions->list, lkey);
	if (!shift && (!at || !at->shift))
		return 0;
	if (!at)
		at = grow(regions);
	if (!at)
		return -ENOMEM;
	__atomic_store_n(&at->lkey, lkey, __ATOMIC_RELAXED);
	__atomic_store_n(&at->shift, shift, __ATOMIC_RELEASE);
	return 0;
}

uint64_t shifted_regions_find(const struct shifted_regions *regions, uint32_t lkey)
{
	const struct shifted_list *list = __atomic_load_n(&regions->list, __ATOMIC_ACQUIRE);

	for (uint32_t i = 0; i < list->size; i++) {
		uint64_t shift = __atomic_load_n(&list->at[i].shift, __ATOMIC_ACQUIRE);

		if (shift && __atomic_load_n(&list->at[i].lkey, __ATOMIC_RELAXED) == lkey)
			return shift;
	}
	return 0;
}

void shifted_regions_fini(struct shifted_regions *regions)
{
	while (regions->list) {
		struct shifted_list *list = regions->list;

		regions->list = list->before;
		free(list);
	}
}
