/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "demo-apps/verify/sequence_check.h"

#include <stdbool.h>
#include <string.h>

static void hole_remove(struct sequence_check *check, unsigned at)
{
	check->holes--;
	memmove(&check->hole[at], &check->hole[at + 1],
	        (check->holes - at) * sizeof(check->hole[0]));
}

static void hole_add(struct sequence_check *check, uint64_t first, uint64_t end)
{
	if (check->holes == SEQUENCE_HOLES)
		hole_remove(check, 0);
	check->hole[check->holes++] = (struct sequence_hole){first, end};
}

/* True when @number was missing; it no longer is. */
static bool hole_fill(struct sequence_check *check, uint64_t number)
{
	for (unsigned i = 0; i < check->holes; i++) {
		struct sequence_hole was = check->hole[i];

		if (number < was.first || number >= was.end)
			continue;
		hole_remove(check, i);
		if (was.first < number)
			hole_add(check, was.first, number);
		if (number + 1 < was.end)
			hole_add(check, number + 1, was.end);
		return true;
	}
	return false;
}

void sequence_check_missing(struct sequence_check *check, uint64_t end, struct findings *findings)
{
	findings->lost += end - check->next;
	hole_add(check, check->next, end);
	check->next = end;
}

void sequence_check_arrived(
        struct sequence_check *check, uint64_t number, struct findings *findings)
{
	if (number == check->next) {
		check->next++;
		return;
	}
	if (number > check->next) {
		sequence_check_missing(check, number, findings);
		check->next++;
		return;
	}
	if (hole_fill(check, number)) {
		findings->lost--;
		findings->out_of_order++;
		return;
	}
	findings->duplicated++;
}

void sequence_check_finish(struct sequence_check *check, uint64_t total, struct findings *findings)
{
	if (check->next < total)
		findings->lost += total - check->next;
	else
		findings->duplicated += check->next - total;
	check->next = total;
}
