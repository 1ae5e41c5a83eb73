/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "sm-side/plugin/plugin_call.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <opensm/osm_config.h>
#include <opensm/osm_opensm.h>

#include "sm-side/identity/alias_move.h"
#include "sm-side/json_read.h"
#include "sm-side/plugin/move_work.h"
#include "sm-side/plugin/plan_maker.h"
#include "sm-side/plugin/plan_store.h"
#include "sm-side/plugin/sm_answer.h"
#include "sm-side/plugin/sweep_lease.h"

enum { VERIFY_MS = 2000 };

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

enum refusal op_plan(struct call *call)
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
enum refusal op_move_alias(struct call *call)
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

enum refusal op_lease(struct call *call)
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
enum refusal op_release_lease(struct call *call)
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

enum refusal op_apply(struct call *call)
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

enum refusal op_undo(struct call *call)
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
enum refusal op_verify(struct call *call)
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
