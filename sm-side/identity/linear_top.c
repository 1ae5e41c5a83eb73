/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include <opensm/osm_config.h>
#include <opensm/osm_opensm.h>

#include "sm-side/identity/linear_top.h"
#include "sm-side/plan/lid_pool.h"
#include "sm-side/identity/smp_sender.h"

/* How high it shall be; 0: it is high enough everywhere. */
static uint16_t top_wanted(const osm_opensm_t *osm, uint16_t lid)
{
	const cl_qmap_t *table = &osm->subn.sw_guid_tbl;
	uint16_t top = 0;

	for (const cl_map_item_t *item = cl_qmap_head(table); item != cl_qmap_end(table);
	        item = cl_qmap_next(item)) {
		const ib_switch_info_t *info = &((const osm_switch_t *)item)->switch_info;
		uint16_t wanted = lid_pool_top(lid, cl_ntoh16(info->lin_cap));

		if (cl_ntoh16(info->lin_top) < lid && (!top || wanted < top))
			top = wanted;
	}
	return top;
}

bool linear_top_covers(const struct osm_opensm *osm, const struct plan *plan)
{
	uint16_t lid = plan_highest_lid_that_comes(plan);

	return !lid || !top_wanted(osm, lid);
}

enum refusal linear_top_send(const struct osm_opensm *osm, struct smp_sender *sender,
        const struct plan *plan, uint32_t *posted)
{
	const cl_qmap_t *table = &osm->subn.sw_guid_tbl;
	uint16_t lid = plan_highest_lid_that_comes(plan);
	uint16_t top = lid ? top_wanted(osm, lid) : 0;

	*posted = 0;
	for (const cl_map_item_t *item = cl_qmap_head(table); item != cl_qmap_end(table);
	        item = cl_qmap_next(item)) {
		const osm_switch_t *sw = (const osm_switch_t *)item;

		if (cl_ntoh16(sw->switch_info.lin_top) >= top)
			continue;
		if (smp_sender_opensm_top_write(
		            sender, cl_ntoh64(osm_node_get_node_guid(sw->p_node)), top))
			return REFUSAL_NOT_ACKNOWLEDGED;
		++*posted;
	}
	return REFUSAL_NONE;
}
