/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * What an answer of the agent says of the other end of a connection: its number now, and the rkeys
 * of its context, which go into the table that is kept for that. The service thread, under the
 * link's lock.
 */
#ifndef TETHER_INTEREST_ANSWER_H
#define TETHER_INTEREST_ANSWER_H

#include "tether.pb-c.h"

struct remote;

/* The same rows come again with each answer. */
void interest_answer_take(const Tether__InterestAnswer *answer, struct remote *remote);

#endif
