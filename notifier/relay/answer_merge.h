/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * One answer out of several: the worst outcome, all refusals and rows. Pure; part of tally.c and
 * its thread. The names in it are the tally's; without them it is freed with
 * tether__answer__free_unpacked.
 */
#ifndef TETHER_ANSWER_MERGE_H
#define TETHER_ANSWER_MERGE_H

#include <stdbool.h>
#include <stddef.h>

#include "notifier/wire/answer.h"

/* DONE, PARTIAL, REFUSED, FAILED: from better to worse. */
void answer_worsen(Tether__Answer *answer, Tether__Outcome outcome);

/* `who` becomes "@prefix/@who". -ENOMEM */
int answer_refusal_add(Tether__Answer *answer, const char *prefix, const char *who,
        const char *reason, const char *text);
/* To the list of `answered`, `missing` or `ended`; it is not copied. -ENOMEM */
int answer_name_add(char ***names, size_t *count, const char *name);

/* The reason (and *@text) why an answer cannot be taken: an unknown outcome, columns of unequal
 * length. NULL: it can. */
const char *answer_flaw(const Tether__Answer *answer, const char **text);

/* It can be taken, and says that all is done. */
bool answer_is_done(const Tether__Answer *answer);

/* Rows, counts, result and refusals of @from; a refusal that names nobody is @label's. -ENOMEM */
int answer_absorb(
        Tether__Answer *into, const Tether__Answer *from, const char *prefix, const char *label);

/* Give up rows, then refusals, then names, until it nearly fits a frame: what is left to say is
 * why. */
void answer_shrink(Tether__Answer *answer);

#endif
