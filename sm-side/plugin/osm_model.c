/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sm-side/plugin/osm_model.h"
#include "sm-side/plan/paths.h"

static uint64_t switch_guid(const osm_switch_t *sw)
{
	return cl_ntoh64(osm_node_get_node_guid(sw->p_node));
}

osm_port_t *osm_model_port(const osm_opensm_t *osm, uint64_t port_guid)
{
	return osm_get_port_by_guid(&osm->subn, cl_hton64(port_guid));
}

osm_switch_t *osm_model_switch(const osm_opensm_t *osm, uint64_t guid)
{
	return osm_get_switch_by_guid(&osm->subn, cl_hton64(guid));
}

osm_physp_t *osm_model_switch_port(const osm_opensm_t *osm, struct view_place place)
{
	osm_switch_t *sw = osm_model_switch(osm, place.switch_guid);

	if (!sw || place.port == 0 || place.port >= sw->num_ports ||
	        place.port >= osm_node_get_num_physp(sw->p_node))
		return NULL;
	return osm_node_get_physp_ptr(sw->p_node, place.port);
}

/* The switch port in front of an end port. */
static osm_physp_t *switch_port_before(const osm_port_t *port)
{
	osm_physp_t *remote = port->p_physp ? osm_physp_get_remote(port->p_physp) : NULL;

	return remote && remote->p_node->sw ? remote : NULL;
}

struct view_place osm_model_place(const osm_port_t *port)
{
	const osm_physp_t *before = switch_port_before(port);

	if (!before)
		return (struct view_place){0};
	return (struct view_place){switch_guid(before->p_node->sw), before->port_num};
}

int osm_model_route_through(const osm_physp_t *switch_port, osm_dr_path_t *route)
{
	/* The route to a switch is kept at its port 0. */
	const osm_physp_t *port0 = osm_node_get_physp_ptr(switch_port->p_node, 0);

	if (!port0)
		return -EHOSTUNREACH;
	*route = *osm_physp_get_dr_path_ptr(port0);
	return osm_dr_path_extend(route, switch_port->port_num) ? -EHOSTUNREACH : 0;
}

const ib_pkey_table_t *osm_model_pkeys_there(const osm_physp_t *physp, unsigned block)
{
	if (block >= osm_pkey_tbl_get_num_blocks(&physp->pkeys))
		return NULL;
	return osm_pkey_tbl_block_get(&physp->pkeys, (uint16_t)block);
}

const ib_pkey_table_t *osm_model_pkeys_wanted(const osm_physp_t *physp, unsigned block)
{
	static const ib_pkey_table_t empty;
	const osm_pkey_tbl_t *table = &physp->pkeys;
	const ib_pkey_table_t *wanted;

	if (cl_ptr_vector_get_size(&table->new_blocks) == 0)
		return osm_model_pkeys_there(physp, block);
	wanted = osm_pkey_tbl_new_block_get(table, (uint16_t)block);
	return wanted ? wanted : &empty;
}

bool osm_model_pkeys_equal(const ib_pkey_table_t *there, const ib_pkey_table_t *wanted)
{
	return there && wanted && !memcmp(there, wanted, sizeof(*there));
}

static const uint8_t *view_pkey_block(
        const struct view_end_port *end_port, enum pkey_holder holder, unsigned block)
{
	const osm_port_t *port = end_port->source;
	const osm_physp_t *physp = holder == PKEYS_OF_CA ? port->p_physp : switch_port_before(port);
	const ib_pkey_table_t *there = physp ? osm_model_pkeys_there(physp, block) : NULL;

	return (const uint8_t *)there;
}

/* Switches in the map's own order, which is that of their keys, to find a switch's index by. */
struct switch_index {
	uint32_t count;
	const osm_switch_t **switches;
};

static uint32_t index_of(const struct switch_index *index, const osm_switch_t *sw)
{
	uint64_t key = cl_qmap_key(&sw->map_item);
	uint32_t low = 0, high = index->count;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (index->switches[middle] == sw)
			return middle;
		if (cl_qmap_key(&index->switches[middle]->map_item) < key)
			low = middle + 1;
		else
			high = middle;
	}
	return VIEW_NONE;
}

static int add_switches(
        struct fabric_view *view, const cl_qmap_t *table, struct switch_index *index)
{
	index->count = 0;
	index->switches = calloc(cl_qmap_count(table) + 1, sizeof(*index->switches));
	if (!index->switches)
		return -ENOMEM;
	for (const cl_map_item_t *item = cl_qmap_head(table); item != cl_qmap_end(table);
	        item = cl_qmap_next(item)) {
		const osm_switch_t *sw = (const osm_switch_t *)item;
		uint8_t ports = sw->num_ports ? (uint8_t)(sw->num_ports - 1) : 0;
		uint32_t added = fabric_view_add_switch(
		        view, switch_guid(sw), ports, sw->new_lft, sw->new_lft ? sw->lft_size : 0);

		if (added == VIEW_NONE)
			return -ENOMEM;
		view->switches[added].lid = cl_ntoh16(osm_node_get_base_lid(sw->p_node, 0));
		view->switches[added].linear_top = cl_ntoh16(sw->switch_info.lin_top);
		view->switches[added].linear_cap = cl_ntoh16(sw->switch_info.lin_cap);
		index->switches[index->count++] = sw;
	}
	return 0;
}

static uint8_t rate_of(const osm_physp_t *physp)
{
	/* What a switch can do is kept at its port 0. */
	const osm_physp_t *capable =
	        physp->p_node->sw ? osm_node_get_physp_ptr(physp->p_node, 0) : physp;
	bool is_extended =
	        capable && capable->port_info.capability_mask & IB_PORT_CAP_HAS_EXT_SPEEDS;

	return ib_port_info_compute_rate(&physp->port_info, is_extended);
}

/* As OpenSM answers who asks for a path: the least that one of the two ends can do. */
static struct view_cable cable_between(const osm_physp_t *a, const osm_physp_t *b)
{
	uint8_t a_mtu = ib_port_info_get_mtu_cap(&a->port_info);
	uint8_t b_mtu = ib_port_info_get_mtu_cap(&b->port_info);

	return (struct view_cable){
	        a_mtu < b_mtu ? a_mtu : b_mtu, slower_rate(rate_of(a), rate_of(b))};
}

static int link_switches(struct fabric_view *view, const struct switch_index *index)
{
	for (uint32_t i = 0; i < index->count; i++) {
		osm_node_t *node = index->switches[i]->p_node;

		for (uint8_t port = 1;
		        port <= view->switches[i].ports && port < osm_node_get_num_physp(node);
		        port++) {
			osm_physp_t *physp = osm_node_get_physp_ptr(node, port);
			osm_physp_t *remote = physp ? osm_physp_get_remote(physp) : NULL;
			uint32_t peer;

			if (!remote || !remote->p_node->sw)
				continue;
			peer = index_of(index, remote->p_node->sw);
			if (peer == VIEW_NONE)
				continue;
			fabric_view_link(view, i, port,
			        (struct view_peer){peer, remote->port_num, PEER_SWITCH});
			if (fabric_view_limit(view, i, port, cable_between(physp, remote)))
				return -ENOMEM;
		}
	}
	return 0;
}

static struct view_end_port end_port_of(const osm_opensm_t *osm, const osm_port_t *port)
{
	return (struct view_end_port){
	        .port_guid = cl_ntoh64(port->guid),
	        .node_guid = cl_ntoh64(osm_node_get_node_guid(port->p_node)),
	        .lid = cl_ntoh16(port->lid),
	        .groups = (uint16_t)cl_qlist_count(&port->mcm_list),
	        .lmc = port->p_physp ? osm_port_get_lmc(port) : 0,
	        .node_ports = (uint8_t)(osm_node_get_num_physp(port->p_node) - 1),
	        .is_sm = port->guid == osm->subn.sm_port_guid,
	        .source = port,
	};
}

static int add_end_ports(
        struct fabric_view *view, const osm_opensm_t *osm, const struct switch_index *index)
{
	const cl_qmap_t *table = &osm->subn.port_guid_tbl;

	for (const cl_map_item_t *item = cl_qmap_head(table); item != cl_qmap_end(table);
	        item = cl_qmap_next(item)) {
		const osm_port_t *port = (const osm_port_t *)item;
		const osm_physp_t *before = switch_port_before(port);
		struct view_end_port end_port;
		uint32_t added, sw;

		if (port->p_node->sw)
			continue;
		end_port = end_port_of(osm, port);
		added = fabric_view_add_end_port(view, &end_port);
		if (added == VIEW_NONE)
			return -ENOMEM;
		sw = before ? index_of(index, before->p_node->sw) : VIEW_NONE;
		if (sw == VIEW_NONE)
			continue;
		fabric_view_link(view, sw, before->port_num,
		        (struct view_peer){added, port->p_physp->port_num, PEER_END_PORT});
		if (fabric_view_limit(
		            view, sw, before->port_num, cable_between(before, port->p_physp)))
			return -ENOMEM;
	}
	return 0;
}

struct fabric_view *osm_model_view(const osm_opensm_t *osm)
{
	struct fabric_view *view = fabric_view_create();
	struct switch_index index = {0};
	int error;

	if (!view)
		return NULL;
	error = add_switches(view, &osm->subn.sw_guid_tbl, &index);
	if (!error)
		error = link_switches(view, &index);
	if (!error)
		error = add_end_ports(view, osm, &index);
	free(index.switches);
	view->pkey_block = view_pkey_block;
	if (!error)
		error = fabric_view_finish(view);
	/* What contradicts itself is a fault of the view, and the planner's to refuse. */
	if (error == -ENOMEM) {
		fabric_view_destroy(view);
		return NULL;
	}
	return view;
}
