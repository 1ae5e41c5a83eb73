/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "sm-side/identity/alias_move.h"

#include <stdbool.h>

#include <opensm/osm_guid.h>

static uint64_t guid_at(const void *owner, uint16_t entry)
{
	const osm_physp_t *physp = owner;

	return cl_ntoh64((*physp->p_guids)[entry]);
}

/* As the SM has it: a table that nobody has set it does not know. */
static struct alias_table table_of(const osm_port_t *port)
{
	const osm_physp_t *physp = port->p_physp;

	return (struct alias_table){
	        .port_guid = cl_ntoh64(port->guid),
	        .lid = cl_ntoh16(port->lid),
	        .entries = physp->p_guids ? physp->port_info.guid_cap : 0,
	        .guid = guid_at,
	        .owner = physp,
	};
}

static void forget(osm_subn_t *subn, ib_net64_t guid)
{
	osm_alias_guid_t *alias =
	        (osm_alias_guid_t *)cl_qmap_remove(&subn->alias_port_guid_tbl, guid);

	if (alias != (osm_alias_guid_t *)cl_qmap_end(&subn->alias_port_guid_tbl))
		osm_alias_guid_delete(&alias);
}

static void change(
        osm_opensm_t *osm, osm_port_t *port, const struct alias_change *to, osm_alias_guid_t *alias)
{
	(*port->p_physp->p_guids)[to->entry] = alias->alias_guid;
	cl_qmap_insert(&osm->subn.alias_port_guid_tbl, alias->alias_guid, &alias->map_item);
	osm_queue_guidinfo(&osm->sa, port, (uint8_t)(to->entry / ALIAS_BLOCK));
}

/* Whoever it is about, its entry in the table of aliases is made before anything is changed. */
static enum refusal carry_out(
        osm_opensm_t *osm, osm_port_t *ports[ALIAS_CHANGES_MAX], const struct alias_plan *plan)
{
	osm_alias_guid_t *made[ALIAS_CHANGES_MAX] = {NULL};
	enum refusal refused = REFUSAL_NONE;

	if (!plan->change_count)
		return REFUSAL_NONE;
	for (unsigned i = 0; i < ALIAS_CHANGES_MAX; i++) {
		made[i] = osm_alias_guid_new(cl_hton64(plan->changes[i].after), ports[i]);
		if (!made[i])
			refused = REFUSAL_NO_MEMORY;
	}
	for (unsigned i = 0; i < ALIAS_CHANGES_MAX && refused; i++)
		if (made[i])
			osm_alias_guid_delete(&made[i]);
	if (refused)
		return refused;
	for (unsigned i = 0; i < ALIAS_CHANGES_MAX; i++)
		forget(&osm->subn, cl_hton64(plan->changes[i].before));
	for (unsigned i = 0; i < ALIAS_CHANGES_MAX; i++)
		change(osm, ports[i], &plan->changes[i], made[i]);
	osm->sa.dirty = TRUE;
	osm_sm_signal(&osm->sm, OSM_SIGNAL_GUID_PROCESS_REQUEST);
	return REFUSAL_NONE;
}

static bool is_usable(const osm_port_t *port)
{
	return port && port->p_physp;
}

enum refusal alias_move_apply(
        osm_opensm_t *osm, const struct alias_move *move, struct alias_plan *plan)
{
	osm_port_t *ports[ALIAS_CHANGES_MAX] = {NULL};
	struct alias_table from, to;
	enum refusal refused = REFUSAL_UNKNOWN_PORT;

	CL_PLOCK_EXCL_ACQUIRE(&osm->lock);
	ports[0] = osm_get_port_by_lid_ho(&osm->subn, move->from_lid);
	ports[1] = osm_get_port_by_lid_ho(&osm->subn, move->to_lid);
	if (osm->subn.sm_state != IB_SMINFO_STATE_MASTER) {
		refused = REFUSAL_NOT_MASTER;
	} else if (is_usable(ports[0]) && is_usable(ports[1])) {
		from = table_of(ports[0]);
		to = table_of(ports[1]);
		refused = alias_plan_make(&from, &to, move->vm, move->other, plan);
		if (!refused)
			refused = carry_out(osm, ports, plan);
	}
	CL_PLOCK_RELEASE(&osm->lock);
	return refused;
}
