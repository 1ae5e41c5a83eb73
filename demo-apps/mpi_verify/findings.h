/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * What is wrong with what arrived. A checker adds to the findings of the check that is running.
 */
#ifndef MPI_VERIFY_FINDINGS_H
#define MPI_VERIFY_FINDINGS_H

#include <stdbool.h>
#include <stdint.h>

#define FINDINGS(FINDING)                                                                          \
	FINDING(lost, "never came, or had no effect")                                              \
	FINDING(duplicated, "came again, or had its effect again")                                 \
	FINDING(reordered, "came before an earlier one, or in another's place")                    \
	FINDING(corrupted, "bytes, lengths or sums that are not what was sent")                    \
	FINDING(failed, "calls that returned an error")

enum finding {
#define FINDING(name, what) FINDING_##name,
	FINDINGS(FINDING)
#undef FINDING
	        FINDING_COUNT
};
extern const char *const finding_name[FINDING_COUNT], *const finding_meaning[FINDING_COUNT];

struct findings {
	uint64_t count[FINDING_COUNT];
};

static inline uint64_t findings_sum(const struct findings *findings)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < FINDING_COUNT; i++)
		sum += findings->count[i];
	return sum;
}

#endif
