/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "sm-side/plan/refusal.h"

static const struct {
	const char *name;
	const char *text;
} refusals[REFUSAL_COUNT] = {
        [REFUSAL_NONE] = {"none", "not refused"},
#define REFUSAL(enumerator, refusal_name, refusal_text)                                            \
	[REFUSAL_##enumerator] = {refusal_name, refusal_text},
#include "sm-side/plan/refusals.def"
#undef REFUSAL
};

const char *refusal_name(enum refusal refusal)
{
	return refusals[refusal].name;
}

const char *refusal_text(enum refusal refusal)
{
	return refusals[refusal].text;
}
