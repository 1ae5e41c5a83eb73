/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "sm-side/plan/reach.h"

enum refusal plan_reach_minimum(const struct fabric_view *view, const struct relabel *relabels,
        uint32_t count, struct entry_list *entries)
{
	(void)view;
	(void)relabels;
	(void)count;
	(void)entries;
	return REFUSAL_BAD_REQUEST;
}
