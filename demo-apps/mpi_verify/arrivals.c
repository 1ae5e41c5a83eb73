/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "demo-apps/mpi_verify/arrivals.h"

#include <string.h>

static void hole_remove(struct arrivals *arrivals, unsigned at)
{
	arrivals->holes--;
	memmove(&arrivals->hole[at], &arrivals->hole[at + 1],
	        (arrivals->holes - at) * sizeof(arrivals->hole[0]));
}

static void hole_add(struct arrivals *arrivals, uint64_t number)
{
	if (arrivals->holes == ARRIVALS_HOLES)
		hole_remove(arrivals, 0);
	arrivals->hole[arrivals->holes++] = number;
}

static bool hole_fill(struct arrivals *arrivals, uint64_t number)
{
	for (unsigned i = 0; i < arrivals->holes; i++) {
		if (arrivals->hole[i] != number)
			continue;
		hole_remove(arrivals, i);
		return true;
	}
	return false;
}

void arrivals_add(struct arrivals *arrivals, uint64_t number, struct findings *findings)
{
	if (number >= arrivals->next) {
		for (; arrivals->next < number; arrivals->next++) {
			findings->count[FINDING_lost]++;
			hole_add(arrivals, arrivals->next);
		}
		arrivals->next++;
		return;
	}
	if (hole_fill(arrivals, number)) {
		findings->count[FINDING_lost]--;
		findings->count[FINDING_reordered]++;
		return;
	}
	findings->count[FINDING_duplicated]++;
}
