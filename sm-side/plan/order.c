/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include <errno.h>

#include "sm-side/plan/order.h"

int plan_order_sets(const struct fabric_view *view, const struct plan *plan,
        const struct plan_entry *entries, uint32_t count, struct plan_sets *sets)
{
	(void)view;
	(void)plan;
	(void)entries;
	(void)count;
	(void)sets;
	return -EOPNOTSUPP;
}
