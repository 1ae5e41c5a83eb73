/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* What must have come of a case. Nothing here changes it but for @failed. */
#ifndef TEST_MODEL_INJECTED_CHECK_H
#define TEST_MODEL_INJECTED_CHECK_H

#include "tests/model/injected.h"

/* Nothing more of it is to come, if all is right. @is_last: nor of the message behind all. */
bool injected_is_complete(const struct injected *c, bool is_last);
/* Its outcome, as preload/DESIGN.md has it ("Evidence"). */
void injected_check(struct injected *c);
/* The message behind all has arrived. */
void injected_check_last(struct injected *c);
/* The queue pair ends with an error, since nothing can be known of what was open. */
bool injected_ends_with_error(const struct injected *c);
/* It may, or may not: what tells of it was there at the stop and could not be seen yet. */
bool injected_may_end_with_error(const struct injected *c);
/* How many RECVs have had a success, and how many were flushed. */
void injected_count_receives(const struct injected *c, uint32_t *successes, uint32_t *flushed);

#endif
