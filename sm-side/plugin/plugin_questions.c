/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "sm-side/plugin/plugin_call.h"

#include <stdio.h>
#include <string.h>
#include <opensm/osm_config.h>
#include <opensm/osm_opensm.h>

#include "notifier/base/cleanup.h"
#include "notifier/wire/versions.h"
#include "sm-side/guid_text.h"
#include "sm-side/json_read.h"
#include "sm-side/plugin/move_turns.h"
#include "sm-side/plugin/osm_model.h"
#include "sm-side/plugin/osm_ports.h"
#include "sm-side/plugin/sweep_lease.h"

enum { STATUS_WAIT_MS = 20 }; /* the sweeper's answer, if it is not at work */

static const char *sm_state_name(struct plugin *plugin, bool is_quiet)
{
	switch (plugin->osm->subn.sm_state) {
	case IB_SMINFO_STATE_MASTER:
		return is_quiet ? "master" : "sweeping";
	case IB_SMINFO_STATE_STANDBY:
		return "standby";
	case IB_SMINFO_STATE_DISCOVERING:
		return "discovering";
	default:
		return "inactive";
	}
}

void plugin_note_engine(struct plugin *plugin)
{
	const struct osm_routing_engine *engine = plugin->osm->routing_engine_used;
	LOCK_GUARD(&plugin->engine.lock);

	snprintf(plugin->engine.name, sizeof(plugin->engine.name), "%s",
	        engine && engine->name ? engine->name : "");
	plugin->engine.chooses_sl = engine && engine->path_sl;
}

void plugin_engine_name(struct plugin *plugin, char name[ENGINE_NAME_BYTES])
{
	LOCK_GUARD(&plugin->engine.lock);

	memcpy(name, plugin->engine.name, ENGINE_NAME_BYTES);
}

bool plugin_engine_chooses_sl(struct plugin *plugin)
{
	LOCK_GUARD(&plugin->engine.lock);

	return plugin->engine.chooses_sl;
}

static void put_turns(struct call *call)
{
	uint32_t at_work, waiting;

	move_turns_count(call->plugin->turns, &at_work, &waiting);
	json_put_number(call->results, "at_work", at_work);
	json_put_number(call->results, "turns_wait", waiting);
}

enum refusal op_hello(struct call *call)
{
	json_put_number(call->results, "oldest", versions_oldest());
	json_put_number(call->results, "newest", versions_newest());
	return REFUSAL_NONE;
}

enum refusal op_status(struct call *call)
{
	struct plugin *plugin = call->plugin;
	bool is_quiet = sweep_lease_is_quiet(plugin->lease, STATUS_WAIT_MS);
	char engine[ENGINE_NAME_BYTES];
	struct fabric_view *view;

	json_put_text(call->results, "state", sm_state_name(plugin, is_quiet));
	json_put_bool(call->results, "quiet", is_quiet);
	plugin_engine_name(plugin, engine);
	json_put_text(call->results, "routing_engine", engine);
	json_put_bool(call->results, "sweep_waits", sweep_lease_sweep_waits(plugin->lease));
	put_turns(call);
	CL_PLOCK_ACQUIRE(&plugin->osm->lock);
	view = osm_model_view(plugin->osm);
	json_put_guid(call->results, "sm_guid", cl_ntoh64(plugin->osm->subn.sm_port_guid));
	json_put_number(call->results, "max_lid", plugin->osm->subn.max_ucast_lid_ho);
	if (view)
		json_put_number(call->results, "generation", view_generation(view));
	CL_PLOCK_RELEASE(&plugin->osm->lock);
	if (!view)
		return REFUSAL_NO_MEMORY;
	fabric_view_destroy(view);
	return REFUSAL_NONE;
}

static void put_gid(struct json_object *into, const osm_opensm_t *osm, uint64_t port_guid)
{
	char text[GID_TEXT_BYTES];
	ib_gid_t gid;

	gid.unicast.prefix = osm->subn.opt.subnet_prefix;
	gid.unicast.interface_id = cl_hton64(port_guid);
	gid_format(gid.raw, text);
	json_put_text(into, "gid", text);
}

static void put_location(
        struct json_object *into, const osm_port_t *port, const struct fabric_view *view)
{
	const osm_physp_t *physp = port->p_physp;
	struct view_place place = osm_model_place(port);
	uint32_t occupant;

	json_put_number(into, "lid", cl_ntoh16(port->lid));
	json_put_number(into, "lmc", osm_port_get_lmc(port));
	json_put_guid(into, "node_guid", cl_ntoh64(osm_node_get_node_guid(port->p_node)));
	json_put_guid(into, "switch_guid", place.switch_guid);
	json_put_number(into, "switch_port", place.port);
	json_put_bool(into, "is_vswitch_slot",
	        endpoint_vswitch.slot(view, place, &occupant) == REFUSAL_NONE);
	json_put_number(into, "state", ib_port_info_get_port_state(&physp->port_info));
	json_put_text(into, "description", port->p_node->print_desc);
	json_put_number(into, "groups", cl_qlist_count(&port->mcm_list));
	osm_ports_put_pkeys(into, physp);
}

enum refusal op_locate(struct call *call)
{
	osm_opensm_t *osm = call->plugin->osm;
	enum refusal refused = REFUSAL_NONE;
	struct fabric_view *view;
	const osm_port_t *port;

	CL_PLOCK_ACQUIRE(&osm->lock);
	view = osm_model_view(osm);
	port = osm_model_port(osm, call->request->port_guid);
	/* Under Shared Port: whose alias it is. */
	if (!port)
		port = osm_get_port_by_alias_guid(&osm->subn, cl_hton64(call->request->port_guid));
	if (!view) {
		refused = REFUSAL_NO_MEMORY;
	} else if (!port || !port->p_physp) {
		refused = REFUSAL_UNKNOWN_PORT;
	} else {
		put_location(call->results, port, view);
		put_gid(call->results, osm, call->request->port_guid);
	}
	CL_PLOCK_RELEASE(&osm->lock);
	fabric_view_destroy(view);
	return refused;
}

/* One that has just been started knows nobody before its first sweep. */
enum refusal op_locate_all(struct call *call)
{
	if (!sweep_lease_is_master(call->plugin->lease))
		return REFUSAL_NOT_MASTER;
	osm_ports_put(call->results, call->plugin->osm, call->request->wanted,
	        call->request->wanted_count);
	return REFUSAL_NONE;
}
