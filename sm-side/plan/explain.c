/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "sm-side/plan/explain.h"
#include "sm-side/plan/route.h"

static struct view_fault missing_table(const struct fabric_view *view, const struct plan *plan)
{
	uint16_t highest =
	        plan->transfer_count ? plan->transfers[plan->transfer_count - 1].identity.lid : 0;

	for (uint32_t i = 0; i < view->switch_count; i++) {
		const struct view_switch *sw = &view->switches[view->switches_by_guid[i]];

		if (highest >= sw->lft_entries)
			return (struct view_fault){VIEW_NO_TABLE, .guid = sw->guid, .lid = highest};
	}
	return (struct view_fault){0};
}

static struct view_fault route_astray(const struct fabric_view *view, const struct plan *plan)
{
	for (uint32_t i = 0; i < plan->transfer_count; i++) {
		const struct plan_transfer *transfer = &plan->transfers[i];
		bool leads = true;

		if (transfer->from.switch_guid &&
		        view_leads_to(view, transfer->identity.lid, transfer->from, &leads) == 0 &&
		        !leads)
			return (struct view_fault){VIEW_ASTRAY, .guid = transfer->from.switch_guid,
			        .port = transfer->from.port, .lid = transfer->identity.lid};
	}
	return (struct view_fault){0};
}

struct view_fault explain_refusal(
        const struct fabric_view *view, const struct plan *plan, enum refusal refused)
{
	switch (refused) {
	case REFUSAL_BAD_VIEW:
		return view->fault;
	case REFUSAL_NO_LFT:
		return missing_table(view, plan);
	case REFUSAL_NOT_ROUTED:
		return route_astray(view, plan);
	default:
		return (struct view_fault){0};
	}
}
