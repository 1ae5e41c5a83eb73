/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Why a move is refused: one name and one sentence each (refusals.def). The functions of the SM
 * engine that can refuse return one of these, REFUSAL_NONE when they did what was asked. Pure.
 */
#ifndef TETHER_PLAN_REFUSAL_H
#define TETHER_PLAN_REFUSAL_H

enum refusal {
	REFUSAL_NONE,
#define REFUSAL(enumerator, name, text) REFUSAL_##enumerator,
#include "sm-side/plan/refusals.def"
#undef REFUSAL
	REFUSAL_COUNT
};

/* What stands in an answer's "reason" and "text". */
const char *refusal_name(enum refusal refusal);
const char *refusal_text(enum refusal refusal);

#endif
