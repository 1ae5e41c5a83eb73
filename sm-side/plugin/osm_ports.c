/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "sm-side/plugin/osm_ports.h"

#include "sm-side/json_read.h"

void osm_ports_put_pkeys(struct json_object *into, const osm_physp_t *physp)
{
	struct json_object *pkeys = json_object_new_array();
	unsigned blocks = osm_pkey_tbl_get_num_blocks(&physp->pkeys);

	for (unsigned block = 0; block < blocks; block++) {
		const ib_pkey_table_t *there = osm_model_pkeys_there(physp, block);

		for (unsigned i = 0; there && i < IB_NUM_PKEY_ELEMENTS_IN_BLOCK; i++)
			if (!ib_pkey_is_invalid(there->pkey_entry[i]))
				json_object_array_add(pkeys,
				        json_object_new_int(cl_ntoh16(there->pkey_entry[i])));
	}
	json_object_object_add(into, "pkeys", pkeys);
}

/* By its LID, by its GUID, or under Shared Port whose alias that is. */
static const osm_port_t *port_of(const osm_opensm_t *osm, const struct sm_wanted_port *wanted)
{
	const osm_port_t *port;

	if (!wanted->port_guid)
		return osm_get_port_by_lid_ho(&osm->subn, wanted->lid);
	port = osm_model_port(osm, wanted->port_guid);
	return port ? port : osm_get_port_by_alias_guid(&osm->subn, cl_hton64(wanted->port_guid));
}

/* A new reference; NULL stands for null. */
static struct json_object *row_of(const osm_opensm_t *osm, const struct sm_wanted_port *wanted)
{
	const osm_port_t *port = port_of(osm, wanted);
	struct view_place place;
	struct json_object *row;

	if (!port || !port->p_physp || !port->lid)
		return NULL;
	place = osm_model_place(port);
	row = json_object_new_object();
	json_put_number(row, "lid", cl_ntoh16(port->lid));
	json_put_guid(row, "switch_guid", place.switch_guid);
	json_put_number(row, "switch_port", place.port);
	osm_ports_put_pkeys(row, port->p_physp);
	return row;
}

void osm_ports_put(struct json_object *into, osm_opensm_t *osm, const struct sm_wanted_port *wanted,
        size_t count)
{
	struct json_object *list = json_object_new_array();

	CL_PLOCK_ACQUIRE(&osm->lock);
	for (size_t i = 0; i < count; i++)
		json_object_array_add(list, row_of(osm, &wanted[i]));
	CL_PLOCK_RELEASE(&osm->lock);
	json_object_object_add(into, "ports", list);
}
