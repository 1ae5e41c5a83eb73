/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <opensm/osm_config.h>
#include <opensm/osm_opensm.h>

#include "notifier/base/cleanup.h"
#include "notifier/base/die_point.h"
#include "notifier/base/monotonic.h"
#include "notifier/wire/versions.h"
#include "sm-side/identity/alias_move.h"
#include "sm-side/guid_text.h"
#include "sm-side/json_read.h"
#include "sm-side/plugin/move_turns.h"
#include "sm-side/plugin/move_work.h"
#include "sm-side/plugin/osm_model.h"
#include "sm-side/plugin/osm_ports.h"
#include "sm-side/plugin/plan_maker.h"
#include "sm-side/plugin/plan_store.h"
#include "sm-side/plugin/plugin_ops.h"
#include "sm-side/plugin/report_notices.h"
#include "sm-side/plugin/sm_answer.h"
#include "sm-side/plugin/sm_request.h"
#include "sm-side/identity/smp_sender.h"
#include "sm-side/plugin/sweep_lease.h"

enum {
	STATUS_WAIT_MS = 20, /* the sweeper's answer, if it is not at work */
	VERIFY_MS = 2000,
};

/* What an op works on. */
struct call {
	struct plugin *plugin;
	unsigned connection;
	const struct sm_request *request;
	struct json_object *results; /* put into the answer where the op is not refused */
	struct view_fault fault;     /* what a refusal is about */
};

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

static enum refusal op_hello(struct call *call)
{
	json_put_number(call->results, "oldest", versions_oldest());
	json_put_number(call->results, "newest", versions_newest());
	return REFUSAL_NONE;
}

static enum refusal op_status(struct call *call)
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

static enum refusal op_locate(struct call *call)
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
static enum refusal op_locate_all(struct call *call)
{
	if (!sweep_lease_is_master(call->plugin->lease))
		return REFUSAL_NOT_MASTER;
	osm_ports_put(call->results, call->plugin->osm, call->request->wanted,
	        call->request->wanted_count);
	return REFUSAL_NONE;
}

static struct plan_request request_of(struct call *call)
{
	const struct sm_request *request = call->request;

	return (struct plan_request){
	        .order = request->order,
	        .reach = request->reach,
	        .move_count = request->move_count,
	        .moves = request->moves,
	        .fault = &call->fault,
	};
}

/* Whoever does not get them goes on with the paths that it had. */
static void answer_paths(struct call *call, const struct plan *plan)
{
	const struct plugin_options *options = &call->plugin->options;
	const uint8_t *sl = call->request->has_sl ? &call->request->sl
	                    : options->has_sl     ? &options->sl
	                                          : NULL;
	struct plan_path *paths;
	uint32_t count;

	if (!call->request->peers || plan_maker_paths(call->plugin, plan, call->request->peers,
	                                     call->request->peer_count, &paths, &count))
		return;
	sm_answer_paths(call->results, paths, count, sl);
	free(paths);
}

static enum refusal op_plan(struct call *call)
{
	struct plugin *plugin = call->plugin;
	struct identity_move *move = NULL;
	struct plan_request request = request_of(call);
	struct plan_note note = {0};
	bool has_sl = call->request->has_sl || plugin->options.has_sl;
	enum refusal refused = plan_maker_plan(plugin, &request, has_sl, &move, &note);

	if (refused == REFUSAL_SAME_PLACE)
		move = plan_maker_unfinished(plugin, &request);
	if (!move)
		return refused;
	sm_answer_plan(call->results, identity_move_plan(move), call->request->wants_changes);
	if (has_sl)
		json_put_number(call->results, "sl",
		        call->request->has_sl ? call->request->sl : plugin->options.sl);
	json_put_text(call->results, "stability", stability_name(note.stability));
	json_put_number(call->results, "view_us", note.view_ns / 1000);
	json_put_number(call->results, "plan_us", note.plan_ns / 1000);
	answer_paths(call, identity_move_plan(move));
	plan_store_put(plugin->plans, move);
	return REFUSAL_NONE;
}

/* Both GUIDs are at other ports now; no switch has been asked. */
static enum refusal op_move_alias(struct call *call)
{
	const struct sm_request *request = call->request;
	const struct alias_move move = {
	        request->alias, request->other_alias, request->from_lid, request->to_lid};
	struct alias_plan plan;
	enum refusal refused = alias_move_apply(call->plugin->osm, &move, &plan);

	if (refused)
		return refused;
	json_put_number(call->results, "lid", plan.lid_after);
	json_put_number(call->results, "lid_before", plan.lid_before);
	json_put_number(call->results, "guidinfo_sets", plan.guidinfo_sets);
	json_put_number(call->results, "lft_sets", 0);
	return REFUSAL_NONE;
}

/* What the plan that is named moves; one that is not named, or not kept here, may move anything. */
static int claim_find(struct call *call, struct lease_claim *claim)
{
	struct plan_store *plans = call->plugin->plans;
	struct identity_move *move =
	        call->request->has_hash ? plan_store_take(plans, call->request->hash) : NULL;
	int error = lease_claim_of(move ? identity_move_plan(move) : NULL, claim);

	if (move)
		plan_store_put(plans, move);
	return error;
}

static enum refusal op_lease(struct call *call)
{
	const struct sm_request *request = call->request;
	struct lease_wish wish = {
	        .migration = request->migration, .ms = request->ms, .wait_ms = request->wait_ms};
	enum refusal refused;

	if (claim_find(call, &wish.claim))
		return REFUSAL_NO_MEMORY;
	json_put_number(call->results, "ms", request->ms);
	json_put_bool(call->results, "shared", !wish.claim.is_alone);
	refused = sweep_lease_take(call->plugin->lease, call->connection, &wish);
	lease_claim_clear(&wish.claim);
	if (refused == REFUSAL_BUSY && wish.meets)
		call->fault = (struct view_fault){.kind = VIEW_LEASED, .guid = wish.meets};
	return refused;
}

/* Traps do not always have OpenSM sweep: of one switch's it heeds no more than ten in a while. */
static enum refusal op_release_lease(struct call *call)
{
	if (call->request->wants_sweep)
		sweep_lease_owe_sweep(call->plugin->lease);
	json_put_bool(call->results, "held",
	        sweep_lease_release(
	                call->plugin->lease, call->connection, call->request->migration));
	return REFUSAL_NONE;
}

static void log_move(const struct call *call, const struct plan *plan, enum refusal refused,
        const struct move_result *result)
{
	const struct plan_move *vm = &plan->moves[0];

	osm_log(&call->plugin->osm->log, refused ? OSM_LOG_ERROR : OSM_LOG_INFO,
	        "tether: migration %s: %u moves, port 0x%016" PRIx64
	        " LID %u to switch 0x%016" PRIx64 " port %u first: %s, %u plans together, LFT Sets "
	        "%u physical %u vSwitch, %u shared, in %u "
	        "waves, P_Key %u, PortInfo %u, again %u, groups %u, %" PRIu64 " us\n",
	        call->request->migration, plan->move_count, vm->vm.port_guid, vm->vm.lid,
	        vm->to.switch_guid, vm->to.port, refused ? refusal_name(refused) : "done",
	        result->together, result->sent.lft_physical, result->sent.lft_vswitch,
	        result->lft_shared, plan->sets.wave_count, result->sent.pkey, result->sent.portinfo,
	        result->resent, result->sent.groups, result->elapsed_us);
}

static struct worker worker_of(const struct call *call)
{
	return (struct worker){call->plugin, call->connection, call->request->migration};
}

static enum refusal move_apply(struct call *call, struct identity_move *move)
{
	struct worker worker = worker_of(call);
	struct move_result result;
	enum refusal refused = move_work_apply(&worker, move, &result);

	log_move(call, identity_move_plan(move), refused, &result);
	if (refused)
		return refused;
	sm_answer_counts(call->results, &result.sent);
	json_put_number(call->results, "lft_sets_shared", result.lft_shared);
	json_put_number(call->results, "together", result.together);
	json_put_number(call->results, "resent", result.resent);
	json_put_bool(call->results, "verified", true);
	json_put_number(call->results, "elapsed_us", result.elapsed_us);
	answer_paths(call, identity_move_plan(move));
	return REFUSAL_NONE;
}

/* Whether it is worth to look for a plan; held for sure it is when the turn has come. */
static enum refusal check_lease(const struct call *call)
{
	char migration[LEASE_NAME_BYTES];

	return sweep_lease_is_held(call->plugin->lease, call->connection, migration) &&
	                       !strcmp(migration, call->request->migration)
	               ? REFUSAL_NONE
	               : REFUSAL_NO_LEASE;
}

static enum refusal op_apply(struct call *call)
{
	struct plugin *plugin = call->plugin;
	enum refusal refused = check_lease(call);
	struct identity_move *move;

	if (refused)
		return refused;
	move = plan_store_take(plugin->plans, call->request->hash);
	if (!move)
		return REFUSAL_UNKNOWN_PLAN;
	refused = move_apply(call, move);
	plan_store_put(plugin->plans, move);
	return refused;
}

static enum refusal op_undo(struct call *call)
{
	struct plugin *plugin = call->plugin;
	struct plan_request request = request_of(call);
	enum refusal refused = check_lease(call);
	struct identity_move *undo;

	if (refused)
		return refused;
	refused = plan_maker_undo(
	        plugin, &request, call->request->has_hash ? &call->request->hash : NULL, &undo);
	if (refused)
		return refused;
	refused = move_apply(call, undo);
	sm_answer_hash(call->results, identity_move_plan(undo)->hash);
	plan_store_put(plugin->plans, undo);
	return refused;
}

static void put_differences(struct json_object *into, const struct differences *differences)
{
	struct json_object *texts = json_object_new_array();
	unsigned count =
	        differences->count < DIFFERENCES_MAX ? differences->count : DIFFERENCES_MAX;

	for (unsigned i = 0; i < count; i++)
		json_object_array_add(texts, json_object_new_string(differences->text[i]));
	json_put_bool(into, "verified", differences->count == 0);
	json_object_object_add(into, "differences", texts);
}

/* Under the lease of that name. */
static enum refusal plan_verify(struct call *call, const char *migration)
{
	struct plugin *plugin = call->plugin;
	struct worker worker = {plugin, call->connection, migration};
	struct identity_move *move = plan_store_take(plugin->plans, call->request->hash);
	struct differences differences;
	enum refusal refused;

	if (!move)
		return REFUSAL_UNKNOWN_PLAN;
	refused = move_work_verify(&worker, identity_move_plan(move), &differences);
	plan_store_put(plugin->plans, move);
	if (!refused)
		put_differences(call->results, &differences);
	return refused;
}

/* Under whatever lease this connection holds, else under a short one of its own, which moves
 * nothing. */
static enum refusal op_verify(struct call *call)
{
	struct sweep_lease *lease = call->plugin->lease;
	struct lease_wish own = {.migration = "verify", .ms = VERIFY_MS, .wait_ms = VERIFY_MS};
	char migration[LEASE_NAME_BYTES];
	enum refusal refused;

	if (sweep_lease_is_held(lease, call->connection, migration))
		return plan_verify(call, migration);
	refused = sweep_lease_take(lease, call->connection, &own);
	if (refused)
		return refused;
	refused = plan_verify(call, own.migration);
	sweep_lease_release(lease, call->connection, own.migration);
	return refused;
}

static enum refusal op_report(struct call *call)
{
	const struct sm_request *request = call->request;
	CLEANUP_FREE bool *heard = calloc(request->notice_count + 1, sizeof(*heard));
	enum refusal refused;

	if (!heard)
		return REFUSAL_NO_MEMORY;
	refused = report_notices(call->plugin->osm, request->notices, request->notice_count, heard);
	if (!refused)
		sm_answer_unheard(call->results, request->notices, request->notice_count, heard);
	return refused;
}

static enum refusal (*const ops[])(struct call *call) = {
        [SM_STATUS] = op_status,
        [SM_LOCATE] = op_locate,
        [SM_LOCATE_ALL] = op_locate_all,
        [SM_PLAN] = op_plan,
        [SM_LEASE] = op_lease,
        [SM_RELEASE_LEASE] = op_release_lease,
        [SM_APPLY] = op_apply,
        [SM_VERIFY] = op_verify,
        [SM_UNDO] = op_undo,
        [SM_MOVE_ALIAS] = op_move_alias,
        [SM_REPORT] = op_report,
};

static void results_move(struct json_object *from, struct json_object *into)
{
	json_object_object_foreach(from, name, value)
	{
		json_object_object_add(into, name, json_object_get(value));
	}
}

static enum refusal carry_out(struct call *call)
{
	enum sm_op op = call->request->op;
	enum refusal refused;

	if (op == SM_HELLO)
		return op_hello(call); /* a link begins, of which no move is in need yet */
	die_point(DIE_SM_OP, sm_op_name(op));
	refused = ops[op](call);
	die_point(DIE_SM_ANSWER, sm_op_name(op));
	return refused;
}

char *plugin_answer(void *owner, unsigned connection, const char *line, size_t bytes)
{
	struct sm_request request;
	struct call call = {.plugin = owner, .connection = connection, .request = &request};
	struct json_object *id, *answer;
	const char *text = NULL;
	char *printed;
	enum refusal refused = sm_request_read(line, bytes, &id, &request, &text);

	call.results = json_object_new_object();
	if (!refused)
		refused = carry_out(&call);
	answer = sm_answer(id, refused, text);
	sm_answer_fault(answer, refused, &call.fault);
	if (!refused)
		results_move(call.results, answer);
	sm_request_clear(&request);
	printed = strdup(json_object_to_json_string_ext(answer, JSON_C_TO_STRING_PLAIN));
	json_object_put(call.results);
	json_object_put(answer);
	return printed;
}
