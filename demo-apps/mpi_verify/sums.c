/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "demo-apps/mpi_verify/sums.h"

#include <stdlib.h>

uint64_t sum_expected(const struct content_id *id, unsigned contributors, uint64_t index)
{
	struct content_id of = *id;
	uint64_t sum = 0;

	for (of.sender = 0; of.sender < contributors; of.sender++)
		sum += content_value(&of, index);
	return sum;
}

enum finding sum_check(
        uint64_t got, const struct content_id *id, unsigned contributors, uint64_t index)
{
	uint64_t excess = got - sum_expected(id, contributors, index);
	struct content_id of = *id;

	if (!excess)
		return FINDING_COUNT;
	for (of.sender = 0; of.sender < contributors; of.sender++) {
		uint64_t operand = content_value(&of, index);

		if (excess == operand)
			return FINDING_duplicated;
		if (excess == -operand)
			return FINDING_lost;
	}
	return FINDING_corrupted;
}

static int ticket_compare(const void *left, const void *right)
{
	uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;

	return (a > b) - (a < b);
}

void tickets_check(uint64_t *ticket, size_t count, uint64_t first, struct findings *findings)
{
	uint64_t next = first;

	qsort(ticket, count, sizeof(*ticket), ticket_compare);
	for (size_t i = 0; i < count; i++) {
		if (ticket[i] < first || ticket[i] - first >= 2 * count)
			findings->count[FINDING_corrupted]++;
		else if (ticket[i] < next)
			findings->count[FINDING_duplicated]++;
		else {
			findings->count[FINDING_lost] += ticket[i] - next;
			next = ticket[i] + 1;
		}
	}
}
