/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * What of an answer is its child's to say: names of processes of its VMs, blame of itself and of
 * who is behind it, the inventory of a host that it is or has behind it. The rest is left out, so
 * that nobody answers for somebody else, and the answer counts as what it is: its own. Pure; part
 * of the relay and of its thread.
 */
#ifndef TETHER_ANSWER_CLAIMS_H
#define TETHER_ANSWER_CLAIMS_H

#include <stddef.h>

#include "notifier/relay/children.h"

/* @said without what is not @child's to say; what is left points into it. */
struct answer_claims {
	Tether__Answer answer;
	size_t foreign; /* claims that were left out */
	char **names;
	Tether__Refusal **refusals;
	Tether__Refusal *unsigned_refusals;
};

/* -ENOMEM */
int answer_claims_take(
        struct answer_claims *claims, const struct child *child, const Tether__Answer *said);
void answer_claims_clear(struct answer_claims *claims);

#endif
