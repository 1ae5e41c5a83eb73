/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "notifier/relay/number_scope.h"

#include <stdbool.h>
#include <stdlib.h>

#include "notifier/base/cleanup.h"

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static uint64_t scoped(uint32_t lid, uint32_t number)
{
	return (uint64_t)lid << 32 | number;
}

/* Columns of equal length; @sorted has room for @count. */
static bool any_in_both(const Tether__QpRows *rows, const uint32_t *numbers,
        const Tether__QpRows *others, const uint32_t *other_numbers, uint64_t *sorted)
{
	size_t count = rows->n_local_lid;

	for (size_t i = 0; i < count; i++)
		sorted[i] = scoped(rows->local_lid[i], numbers[i]);
	qsort(sorted, count, sizeof(*sorted), by_value);
	for (size_t i = 0; i < others->n_local_lid; i++) {
		uint64_t other = scoped(others->local_lid[i], other_numbers[i]);

		if (others->local_lid[i] &&
		        bsearch(&other, sorted, count, sizeof(*sorted), by_value))
			return true;
	}
	return false;
}

const char *number_scope_collision(
        const Tether__QpRows *rows, const Tether__QpRows *others, const char **text)
{
	CLEANUP_FREE uint64_t *sorted = NULL;

	if (!rows || !others || !rows->n_local_lid || !others->n_local_lid)
		return NULL;
	sorted = malloc(rows->n_local_lid * sizeof(*sorted));
	if (!sorted)
		return NULL;
	*text = "has a queue pair of the same number as another process of its VM";
	if (any_in_both(rows, rows->local_qpn, others, others->local_qpn, sorted))
		return "number-collision";
	*text = "has a context of the same number as another process of its VM";
	if (any_in_both(rows, rows->context, others, others->context, sorted))
		return "context-collision";
	return NULL;
}
