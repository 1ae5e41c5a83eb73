/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Who was expected in a step, and whether its answer tells of each: as one that answered, is
 * missing or has ended. The tree promises that. It is looked at all the same, since a step that was
 * done without somebody's vote cannot be undone. Pure; any thread.
 */
#ifndef TETHER_ROLL_CALL_H
#define TETHER_ROLL_CALL_H

#include <stddef.h>

#include "tether.pb-c.h"

struct roll_call {
	Tether__Answer answer; /* what was said, borrowed; who is told of nowhere is missing */
	char **missing;
	size_t untold;
};

/* -ENOMEM */
int roll_call_take(
        struct roll_call *roll, char *const *expected, size_t count, const Tether__Answer *said);
void roll_call_clear(struct roll_call *roll);

#endif
