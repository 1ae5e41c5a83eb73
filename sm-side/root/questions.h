/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * What peers ask when they connect: the numbers of a queue pair in a VM that may have moved; or
 * when they make an address handle: of all queue pairs there that are reached by datagrams. What is
 * known is answered at once. Where the numbers are of contexts that nobody announces, their agent
 * or this daemon has just been started again, or their processes have ended: the answer waits until
 * they are announced, and only so long; then they are forgotten. Pure; belongs to the root and its
 * thread.
 */
#ifndef TETHER_QUESTIONS_H
#define TETHER_QUESTIONS_H

#include <stdint.h>

#include "sm-side/root/numbers.h"

/* Longer than an agent takes to come back with what its processes announce. */
enum { QUESTION_WAITS_MS = 3000 };

struct questions;

struct questions_outputs {
	numbers_announced *announced;
	/* May be called from any call below that takes the time. */
	void (*answer)(void *owner, const Tether__InterestAnswer *answer);
};

struct questions *questions_create(const struct questions_outputs *outputs, void *owner);
void questions_destroy(struct questions *questions);

struct numbers *questions_numbers(struct questions *questions);

/* Every Interest that came to the root: a question, something announced or withdrawn, or neither.
 * @withdrawn_by_owner: a drop that is no consequence of an agent having been started again. */
void questions_interest(struct questions *questions, const Tether__Interest *interest,
        bool withdrawn_by_owner, uint64_t now_ms);

/* When the first has waited for long enough; UINT64_MAX: none waits. */
uint64_t questions_next(const struct questions *questions);
void questions_tick(struct questions *questions, uint64_t now_ms);

#endif
