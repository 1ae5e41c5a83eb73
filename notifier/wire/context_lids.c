/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "notifier/wire/context_lids.h"

#include <errno.h>
#include <stdlib.h>

static int by_context(const void *left, const void *right)
{
	const struct context_lid *a = left, *b = right;

	if (a->context != b->context)
		return a->context < b->context ? -1 : 1;
	return (a->lid > b->lid) - (a->lid < b->lid);
}

int context_lids_fill(struct context_lids *lids, const Tether__QpRows *qps)
{
	size_t count;
	int err = qp_rows_count(qps, &count);

	*lids = (struct context_lids){0};
	if (err || !count)
		return err;
	lids->at = calloc(count, sizeof(*lids->at));
	if (!lids->at)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++) {
		struct qp_row row = qp_rows_get(qps, i);

		if (row.of_vm)
			lids->at[lids->count++] = (struct context_lid){row.context, row.local_lid};
	}
	qsort(lids->at, lids->count, sizeof(*lids->at), by_context);
	return 0;
}

void context_lids_clear(struct context_lids *lids)
{
	free(lids->at);
	*lids = (struct context_lids){0};
}

/* The first that is not before @wanted; NULL: all are. */
static const struct context_lid *not_before(
        const struct context_lids *lids, const struct context_lid *wanted)
{
	size_t first = 0, end = lids->count;

	while (first < end) {
		size_t middle = first + (end - first) / 2;

		if (by_context(&lids->at[middle], wanted) < 0)
			first = middle + 1;
		else
			end = middle;
	}
	return first < lids->count ? &lids->at[first] : NULL;
}

static uint32_t first_from(const struct context_lids *lids, uint32_t context, uint32_t lid)
{
	const struct context_lid *found = not_before(lids, &(struct context_lid){context, lid});

	return found && found->context == context ? found->lid : 0;
}

uint32_t context_lids_first(const struct context_lids *lids, uint32_t context)
{
	return first_from(lids, context, 0);
}

uint32_t context_lids_next(const struct context_lids *lids, uint32_t context, uint32_t lid)
{
	return lid == UINT32_MAX ? 0 : first_from(lids, context, lid + 1);
}

bool context_lids_have(const struct context_lids *lids, uint32_t context, uint32_t lid)
{
	const struct context_lid wanted = {context, lid};
	const struct context_lid *found = not_before(lids, &wanted);

	return found && !by_context(found, &wanted);
}
