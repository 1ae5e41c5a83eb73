/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Places at which a test has a program killed: TETHER_DIE_AT=PLACE:WORD:COUNT makes the process end
 * itself with SIGKILL when it comes to that place with that word for the COUNT-th time (1 if left
 * out), TETHER_STOP_AT stop itself with SIGSTOP. TETHER_PASSED names a file to which each place
 * that is passed is appended, a line PLACE:WORD each. Without the settings a place costs a call and
 * a load. die_points.def has all places. Any thread may call.
 */
#ifndef TETHER_DIE_POINT_H
#define TETHER_DIE_POINT_H

#include <stdbool.h>

enum die_place {
#define DIE_POINT(name, text, program, words, meaning) DIE_##name,
#include "notifier/base/die_points.def"
	DIE_PLACE_COUNT,
};

/* @word: which step, state, op, ...; the table says. */
void die_point(enum die_place place, const char *word);

/* Is this the place that @setting names? Counts down *@left. Pure. */
bool die_point_matches(const char *setting, unsigned *left, enum die_place place, const char *word);

#endif
