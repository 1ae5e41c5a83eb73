/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include <string.h>

#include "sm-side/plan/count.h"

/* Blocks in which the identity's table differs from that of who is at its new place. */
static uint32_t pkey_sets_at(const struct fabric_view *view, const struct view_end_port *mover,
        const struct view_end_port *there, enum pkey_holder holder)
{
	static const uint8_t empty[PKEY_BLOCK_BYTES];
	uint32_t count = 0;

	for (unsigned block = 0;; block++) {
		const uint8_t *a = view->pkey_block(mover, holder, block);
		const uint8_t *b = view->pkey_block(there, holder, block);

		if (!a && !b)
			return count;
		if (memcmp(a ? a : empty, b ? b : empty, PKEY_BLOCK_BYTES))
			count++;
	}
}

static uint32_t pkey_sets(const struct fabric_view *view, const struct plan_transfer *transfer)
{
	uint32_t mover = view_find_end_port(view, transfer->identity.port_guid);
	uint32_t there = view_end_port_at(view, transfer->to);
	const struct view_end_port *ports = view->end_ports;

	if (!view->pkey_block || mover == VIEW_NONE || there == VIEW_NONE)
		return 0;
	return pkey_sets_at(view, &ports[mover], &ports[there], PKEYS_OF_CA) +
	       pkey_sets_at(view, &ports[mover], &ports[there], PKEYS_OF_SWITCH_PORT);
}

static uint32_t groups_of(const struct fabric_view *view, const struct plan_transfer *transfer)
{
	uint32_t mover = view_find_end_port(view, transfer->identity.port_guid);

	return mover == VIEW_NONE ? 0 : view->end_ports[mover].groups;
}

static uint32_t tops_to_raise(const struct fabric_view *view, const struct plan *plan)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < view->switch_count; i++)
		count += view->switches[i].linear_top < plan->linear_top;
	return count;
}

struct plan_counts count_sets(const struct fabric_view *view, const struct plan *plan)
{
	struct plan_counts counts = {0};

	for (uint32_t i = 0; i < plan->sets.change_count; i++) {
		if (plan->sets.changes[i].is_vswitch)
			counts.lft_vswitch++;
		else
			counts.lft_physical++;
	}
	counts.switchinfo = tops_to_raise(view, plan);
	for (uint32_t i = 0; i < plan->transfer_count; i++) {
		const struct plan_transfer *transfer = &plan->transfers[i];

		counts.pkey += pkey_sets(view, transfer);
		counts.portinfo += transfer->to.switch_guid != 0;
		counts.groups += groups_of(view, transfer);
	}
	return counts;
}
