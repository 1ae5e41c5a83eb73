/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "sm-side/plugin/report_notices.h"

#include <string.h>

#include <opensm/osm_inform.h>

_Static_assert(sizeof(ib_mad_notice_attr_t) == NOTICE_BYTES, "a Notice as it is on the wire");

static bool is_for(const osm_infr_t *subscription, uint16_t lid)
{
	const ib_inform_info_t *inform = &subscription->inform_record.inform_info;

	return !inform->is_generic && inform->g_or_v.vend.dev_id == CL_HTON16(NOTICE_DEVICE) &&
	       cl_ntoh16(inform->lid_range_begin) <= lid && lid <= cl_ntoh16(inform->lid_range_end);
}

static bool is_subscribed(const osm_subn_t *subn, uint16_t lid)
{
	const cl_qlist_t *all = &subn->sa_infr_list;
	const cl_list_item_t *item;

	if (all->state != CL_INITIALIZED)
		return false;
	for (item = cl_qlist_head(all); item != cl_qlist_end(all); item = cl_qlist_next(item))
		if (is_for((const osm_infr_t *)item, lid))
			return true;
	return false;
}

/* Looked up afterwards: it is by reporting that OpenSM finds a subscription without common P_Key,
 * and deletes it. Under OpenSM's lock, exclusively. */
static bool report(osm_opensm_t *osm, const struct notice *notice)
{
	const osm_port_t *port = osm_get_port_by_lid_ho(&osm->subn, notice->lid);
	ib_mad_notice_attr_t attribute;
	ib_gid_t gid;

	if (!port)
		return false;
	gid.unicast.prefix = osm->subn.opt.subnet_prefix;
	gid.unicast.interface_id = port->guid;
	notice_encode(notice, gid.raw, (uint8_t *)&attribute);
	return osm_report_notice(&osm->log, &osm->subn, &attribute) == IB_SUCCESS &&
	       is_subscribed(&osm->subn, notice->lid);
}

enum refusal report_notices(
        osm_opensm_t *osm, const struct notice *notices, size_t count, bool *heard)
{
	bool is_master = true;

	/* One hold for each: a thousand of them would keep everybody else waiting. */
	for (size_t i = 0; i < count && is_master; i++) {
		CL_PLOCK_EXCL_ACQUIRE(&osm->lock);
		is_master = osm->subn.sm_state == IB_SMINFO_STATE_MASTER;
		heard[i] = is_master && report(osm, &notices[i]);
		CL_PLOCK_RELEASE(&osm->lock);
	}
	return is_master ? REFUSAL_NONE : REFUSAL_NOT_MASTER;
}
