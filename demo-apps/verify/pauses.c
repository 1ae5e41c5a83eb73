/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "demo-apps/verify/pauses.h"

#include <stdlib.h>
#include <string.h>

enum { PAUSE_MIN_US = 2000 /* shorter ones are the scheduler's */ };

static struct pause *shortest(struct pauses *pauses)
{
	struct pause *least = &pauses->kept[0];

	for (unsigned i = 1; i < pauses->count; i++)
		if (pauses->kept[i].length_us < least->length_us)
			least = &pauses->kept[i];
	return least;
}

void pauses_completion(struct pauses *pauses, uint64_t now_us)
{
	struct pause pause = {.start_us = pauses->last_us, .length_us = now_us - pauses->last_us};
	struct pause *least;

	pauses->last_us = now_us;
	if (!pause.start_us || pause.length_us < PAUSE_MIN_US)
		return;
	if (pauses->count < PAUSES_KEPT) {
		pauses->kept[pauses->count++] = pause;
		return;
	}
	least = shortest(pauses);
	if (least->length_us < pause.length_us)
		*least = pause;
}

uint64_t pauses_longest_us(const struct pauses *pauses)
{
	uint64_t longest_us = 0;

	for (unsigned i = 0; i < pauses->count; i++)
		if (pauses->kept[i].length_us > longest_us)
			longest_us = pauses->kept[i].length_us;
	return longest_us;
}

static int longer_first(const void *a, const void *b)
{
	const struct pause *x = a, *y = b;

	return (x->length_us < y->length_us) - (x->length_us > y->length_us);
}

static int earlier_first(const void *a, const void *b)
{
	const struct pause *x = a, *y = b;

	return (x->start_us > y->start_us) - (x->start_us < y->start_us);
}

unsigned pauses_longest(struct pauses *pauses, struct pause *out, unsigned most)
{
	unsigned count = pauses->count < most ? pauses->count : most;

	qsort(pauses->kept, pauses->count, sizeof(pauses->kept[0]), longer_first);
	memcpy(out, pauses->kept, count * sizeof(*out));
	qsort(out, count, sizeof(*out), earlier_first);
	return count;
}
