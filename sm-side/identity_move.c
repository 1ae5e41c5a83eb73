/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <opensm/osm_config.h>
#include <opensm/osm_db.h>
#include <opensm/osm_multicast.h>
#include <opensm/osm_mcm_port.h>
#include <opensm/osm_opensm.h>
#include <opensm/osm_ucast_cache.h>

#include "notifier/base/cleanup.h"
#include "notifier/base/die_point.h"
#include "notifier/base/monotonic.h"
#include "sm-side/identity_move.h"
#include "sm-side/osm_lids.h"
#include "sm-side/osm_model.h"
#include "sm-side/reread.h"
#include "sm-side/smp_sender.h"
#include "sm-side/sweep_lease.h"

/* Exported by OpenSM, in none of its installed headers. */
void osm_req_get_node_desc(osm_sm_t *sm, osm_physp_t *physp);

enum {
	LOOKS_MAX = 4, /* at the end ports, whether they have taken what was Set */
	NAP_NS = 10000000,
};

/* The P_Keys that a switch port enforced. */
struct enforced_pkeys {
	unsigned blocks;
	ib_pkey_table_t *at;
};

/* One of the identities, on its way to @to. */
struct side {
	struct plan_identity identity;
	struct view_place from, to;
	struct enforced_pkeys enforced; /* before its old place, when it was still there */
};

struct identity_move {
	struct plan *plan;
	struct side *sides; /* of those that move from place to place */
	uint32_t side_count;
	bool is_enforced_kept;
	bool is_finished;
};

struct identity_move *identity_move_create(struct plan *plan)
{
	struct identity_move *move = calloc(1, sizeof(*move));

	if (move)
		move->sides = calloc(plan->transfer_count + 1, sizeof(*move->sides));
	if (!move || !move->sides) {
		free(move);
		plan_destroy(plan);
		return NULL;
	}
	move->plan = plan;
	for (uint32_t i = 0; i < plan->transfer_count; i++) {
		const struct plan_transfer *transfer = &plan->transfers[i];

		if (plan_transfer_moves(transfer))
			move->sides[move->side_count++] = (struct side){
			        transfer->identity, transfer->from, transfer->to, {0}};
	}
	return move;
}

void identity_move_destroy(struct identity_move *move)
{
	if (!move)
		return;
	for (uint32_t i = 0; i < move->side_count; i++)
		free(move->sides[i].enforced.at);
	free(move->sides);
	plan_destroy(move->plan);
	free(move);
}

const struct plan *identity_move_plan(const struct identity_move *move)
{
	return move->plan;
}

bool identity_move_is_finished(const struct identity_move *move)
{
	return move->is_finished;
}

/* An attempt at a move. */
struct attempt {
	const struct move_tools *tools;
	struct identity_move *move;
	uint64_t deadline_ns;
	bool puts_enforced; /* the switch ports' P_Keys are ours to exchange */
	struct move_result *result;
};

static enum refusal left_of(const struct attempt *attempt, struct plan_left *left)
{
	struct fabric_view *view = osm_model_view(attempt->tools->osm);
	enum refusal refused;

	if (!view)
		return REFUSAL_NO_MEMORY;
	refused = plan_left(view, attempt->move->plan, left);
	fabric_view_destroy(view);
	return refused;
}

static int enforced_keep(const osm_opensm_t *osm, struct side *side)
{
	const osm_physp_t *physp = osm_model_switch_port(osm, side->from);
	unsigned blocks = physp ? osm_pkey_tbl_get_num_blocks(&physp->pkeys) : 0;
	ib_pkey_table_t *copy = calloc(blocks + 1, sizeof(*copy));

	if (!copy)
		return -ENOMEM;
	for (unsigned i = 0; i < blocks; i++) {
		const ib_pkey_table_t *there = osm_model_pkeys_there(physp, i);

		if (there)
			copy[i] = *there;
	}
	free(side->enforced.at);
	side->enforced = (struct enforced_pkeys){blocks, copy};
	return 0;
}

static enum refusal all_enforced_keep(const osm_opensm_t *osm, struct identity_move *move)
{
	for (uint32_t i = 0; i < move->side_count; i++)
		if (enforced_keep(osm, &move->sides[i]))
			return REFUSAL_NO_MEMORY;
	move->is_enforced_kept = true;
	return REFUSAL_NONE;
}

/*
 * Is the plan still good? While nothing has moved yet, keep what the switch ports enforce: it is
 * written over later, and only a sweep could work it out again.
 */
static enum refusal check_plan(const struct attempt *attempt)
{
	struct identity_move *move = attempt->move;
	osm_opensm_t *osm = attempt->tools->osm;
	enum refusal refused;
	struct plan_left left;

	CL_PLOCK_ACQUIRE(&osm->lock);
	refused = left_of(attempt, &left);
	if (!refused) {
		if (!left.links_done && !move->is_enforced_kept)
			refused = all_enforced_keep(osm, move);
		plan_left_clear(&left);
	}
	CL_PLOCK_RELEASE(&osm->lock);
	return refused;
}

static enum refusal check_reread(const struct attempt *attempt)
{
	for (uint32_t i = 0; i < attempt->move->side_count; i++) {
		const osm_port_t *port = osm_model_port(
		        attempt->tools->osm, attempt->move->sides[i].identity.port_guid);

		if (!port || !port->p_physp)
			return REFUSAL_UNKNOWN_PORT;
		if (!reread_is_complete(port->p_physp))
			return REFUSAL_GUIDS_NOT_THERE;
	}
	return REFUSAL_NONE;
}

static int put_pkey_block(const struct attempt *attempt, const struct side *side,
        enum pkey_holder holder, unsigned block, const ib_pkey_table_t *wanted)
{
	struct smp_sender *sender = attempt->tools->sender;
	int error = sender->kind->pkeys_write(
	        sender, side->identity.port_guid, holder, (uint16_t)block, (const uint8_t *)wanted);

	if (error)
		return error;
	attempt->result->sent.pkey++;
	return 1;
}

/* The put functions post what is not as it should be; they return how many Sets, or -errno. */
static int put_ca_pkeys(
        const struct attempt *attempt, const struct side *side, const osm_physp_t *physp)
{
	unsigned blocks = osm_pkey_tbl_get_num_blocks(&physp->pkeys);
	int posted = 0;

	for (unsigned i = 0; i < blocks; i++) {
		const ib_pkey_table_t *wanted = osm_model_pkeys_wanted(physp, i);
		int one;

		if (!wanted || osm_model_pkeys_equal(osm_model_pkeys_there(physp, i), wanted))
			continue;
		one = put_pkey_block(attempt, side, PKEYS_OF_CA, i, wanted);
		if (one < 0)
			return one;
		posted += one;
	}
	return posted;
}

static int put_enforced_pkeys(const struct attempt *attempt, const struct side *side)
{
	const osm_physp_t *physp = osm_model_switch_port(attempt->tools->osm, side->to);
	unsigned blocks = physp ? osm_pkey_tbl_get_num_blocks(&physp->pkeys) : 0;
	int posted = 0;

	for (unsigned i = 0; attempt->puts_enforced && i < blocks; i++) {
		static const ib_pkey_table_t empty;
		const ib_pkey_table_t *wanted =
		        i < side->enforced.blocks ? &side->enforced.at[i] : &empty;
		int one;

		if (osm_model_pkeys_equal(osm_model_pkeys_there(physp, i), wanted))
			continue;
		one = put_pkey_block(attempt, side, PKEYS_OF_SWITCH_PORT, i, wanted);
		if (one < 0)
			return one;
		posted += one;
	}
	return posted;
}

static int put_lid(const struct attempt *attempt, const struct side *side, const osm_physp_t *physp)
{
	struct smp_sender *sender = attempt->tools->sender;
	int error;

	if (cl_ntoh16(osm_physp_get_base_lid(physp)) == side->identity.lid)
		return 0;
	error = sender->kind->lid_write(sender, side->identity.port_guid, side->identity.lid);
	if (error)
		return error;
	attempt->result->sent.portinfo++;
	return 1;
}

static int put_side(const struct attempt *attempt, const struct side *side)
{
	const osm_port_t *port = osm_model_port(attempt->tools->osm, side->identity.port_guid);
	int pkeys, enforced, lid;

	if (!port || !port->p_physp)
		return -ENOENT;
	pkeys = put_ca_pkeys(attempt, side, port->p_physp);
	enforced = pkeys < 0 ? pkeys : put_enforced_pkeys(attempt, side);
	lid = enforced < 0 ? enforced : put_lid(attempt, side, port->p_physp);
	return lid < 0 ? lid : pkeys + enforced + lid;
}

/* The Sets of one wave. */
static enum refusal put_wave(
        const struct attempt *attempt, const struct plan_sets *sets, uint32_t wave)
{
	struct smp_sender *sender = attempt->tools->sender;

	for (uint32_t i = 0; i < sets->change_count; i++) {
		const struct plan_change *change = &sets->changes[i];
		int error;

		if (change->wave != wave)
			continue;
		error = sender->kind->lft_write(sender, change);
		if (error)
			return error == -ENOMEM ? REFUSAL_NO_MEMORY : REFUSAL_STALE_PLAN;
		die_point(DIE_SM_APPLY, "routes");
		if (change->is_vswitch)
			attempt->result->sent.lft_vswitch++;
		else
			attempt->result->sent.lft_physical++;
	}
	return REFUSAL_NONE;
}

/* The sweeper's thread computes the trees anew when we have let go of the lock. */
static uint32_t reroute_groups(osm_opensm_t *osm, const osm_port_t *port)
{
	uint32_t count = 0;

	for (const cl_list_item_t *item = cl_qlist_head(&port->mcm_list);
	        item != cl_qlist_end(&port->mcm_list); item = cl_qlist_next(item), count++) {
		const osm_mcm_port_t *member =
		        (const osm_mcm_port_t *)(const void *)((const char *)item -
		                                               offsetof(osm_mcm_port_t, list_item));

		osm_sm_reroute_mlid(&osm->sm, member->mgrp->mlid);
	}
	return count;
}

/* It may hold tables of switches that are gone, with ways that are no more. OpenSM's handlers throw
 * it away when they find the links changed; it is not for a sweep to have done so. */
static void invalidate_cache(osm_opensm_t *osm)
{
	if (osm->subn.opt.use_ucast_cache)
		osm_ucast_cache_invalidate(&osm->sm.ucast_mgr);
}

/* LIDs for those who come, and tables that are long enough, before any route to them is written. */
static enum refusal promise_lids(const struct attempt *attempt)
{
	const struct plan *plan = attempt->move->plan;

	for (uint32_t i = 0; i < plan->transfer_count; i++) {
		const struct plan_transfer *transfer = &plan->transfers[i];
		int error;

		if (transfer->from.switch_guid)
			continue;
		error = osm_lids_promise(
		        attempt->tools->lids, transfer->identity.port_guid, transfer->identity.lid);
		if (error)
			return error == -ENOMEM ? REFUSAL_NO_MEMORY : REFUSAL_LID_IN_USE;
	}
	return REFUSAL_NONE;
}

static void take_back_lids(const struct attempt *attempt)
{
	const struct plan *plan = attempt->move->plan;

	CL_PLOCK_EXCL_ACQUIRE(&attempt->tools->osm->lock);
	for (uint32_t i = 0; i < plan->transfer_count; i++)
		if (!plan->transfers[i].to.switch_guid)
			osm_lids_take_back(attempt->tools->lids,
			        plan->transfers[i].identity.port_guid,
			        plan->transfers[i].identity.lid);
	CL_PLOCK_RELEASE(&attempt->tools->osm->lock);
}

static enum refusal raise_tops(const struct attempt *attempt)
{
	uint16_t top = attempt->move->plan->linear_top;
	const cl_qmap_t *table = &attempt->tools->osm->subn.sw_guid_tbl;

	if (!top)
		return REFUSAL_NONE;
	for (const cl_map_item_t *item = cl_qmap_head(table); item != cl_qmap_end(table);
	        item = cl_qmap_next(item)) {
		const osm_switch_t *sw = (const osm_switch_t *)item;

		if (cl_ntoh16(sw->switch_info.lin_top) >= top)
			continue;
		if (smp_sender_opensm_top_write(attempt->tools->sender,
		            cl_ntoh64(osm_node_get_node_guid(sw->p_node)), top))
			return REFUSAL_NOT_ACKNOWLEDGED;
		attempt->result->sent.switchinfo++;
	}
	return REFUSAL_NONE;
}

static enum refusal put_all_locked(struct attempt *attempt, const struct plan_left *left)
{
	osm_opensm_t *osm = attempt->tools->osm;
	enum refusal refused = check_reread(attempt);

	if (!refused)
		refused = promise_lids(attempt);
	if (!refused)
		refused = raise_tops(attempt);
	if (refused)
		return refused;
	/* Where a sweep has routed the new places, it has also written the switch ports' P_Keys. */
	attempt->puts_enforced = attempt->move->is_enforced_kept && !left->routes_done;
	for (uint32_t i = 0; i < attempt->move->side_count; i++) {
		if (put_side(attempt, &attempt->move->sides[i]) < 0)
			return REFUSAL_NOT_ACKNOWLEDGED;
		die_point(DIE_SM_APPLY, "port");
	}
	for (uint32_t i = 0; i < attempt->move->side_count; i++) {
		const osm_port_t *port =
		        osm_model_port(osm, attempt->move->sides[i].identity.port_guid);

		osm_req_get_node_desc(&osm->sm, port->p_physp);
		attempt->result->sent.groups += reroute_groups(osm, port);
	}
	return put_wave(attempt, &left->sets, 0);
}

/* The links must stand as planned; then all but the later waves goes out in one hold of the lock.
 * What is left is the caller's to clear. */
static enum refusal put_all(struct attempt *attempt, struct plan_left *left)
{
	osm_opensm_t *osm = attempt->tools->osm;
	enum refusal refused;

	CL_PLOCK_EXCL_ACQUIRE(&osm->lock);
	refused = left_of(attempt, left);
	if (!refused && !left->links_done)
		refused = REFUSAL_GUIDS_NOT_THERE;
	if (!refused)
		refused = put_all_locked(attempt, left);
	if (!refused)
		invalidate_cache(osm);
	CL_PLOCK_RELEASE(&osm->lock);
	return refused;
}

static enum refusal wait_for_wave(const struct attempt *attempt)
{
	struct smp_sender *sender = attempt->tools->sender;

	if (sender->kind->lft_wait(sender, attempt->deadline_ns, &attempt->result->resent) == 0)
		return REFUSAL_NONE;
	return osm_exit_flag ? REFUSAL_SHUTTING_DOWN : REFUSAL_NOT_ACKNOWLEDGED;
}

/* Until packets on the routes that are no more have come out, or have been thrown away. */
static enum refusal let_packets_out(const struct attempt *attempt)
{
	uint64_t until_ns = monotonic_ns() + osm_lids_packet_lifetime_ns(attempt->tools->osm);

	while (monotonic_ns() < until_ns) {
		uint64_t left_ns = until_ns - monotonic_ns();
		struct timespec nap = {0, (long)(left_ns < NAP_NS ? left_ns : NAP_NS)};

		if (osm_exit_flag)
			return REFUSAL_SHUTTING_DOWN;
		if (monotonic_ns() > attempt->deadline_ns)
			return REFUSAL_NOT_ACKNOWLEDGED;
		nanosleep(&nap, NULL);
	}
	return REFUSAL_NONE;
}

/* Each wave when the one before it is acknowledged. */
static enum refusal put_later_waves(const struct attempt *attempt, const struct plan_sets *sets)
{
	osm_opensm_t *osm = attempt->tools->osm;
	enum refusal refused = REFUSAL_NONE;

	for (uint32_t wave = 1; wave < sets->wave_count && !refused; wave++) {
		refused = wait_for_wave(attempt);
		if (!refused && wave == 1 && sets->pause_after_wave_0)
			refused = let_packets_out(attempt);
		if (refused)
			return refused;
		die_point(DIE_SM_APPLY, "wave");
		CL_PLOCK_EXCL_ACQUIRE(&osm->lock);
		refused = put_wave(attempt, sets, wave);
		CL_PLOCK_RELEASE(&osm->lock);
	}
	return refused;
}

static enum refusal put_and_wait(struct attempt *attempt)
{
	struct plan_left left = {0};
	enum refusal refused = put_all(attempt, &left);

	if (!refused)
		refused = put_later_waves(attempt, &left.sets);
	plan_left_clear(&left);
	return refused;
}

/* Post again what the end ports have not taken. Returns how many Sets, or -errno. */
static int put_sides_again(const struct attempt *attempt)
{
	osm_opensm_t *osm = attempt->tools->osm;
	struct move_result unused = {0};
	struct attempt again = *attempt;
	int one = 0, posted = 0;

	again.result = &unused;
	CL_PLOCK_EXCL_ACQUIRE(&osm->lock);
	for (uint32_t i = 0; i < attempt->move->side_count && one >= 0; i++) {
		one = put_side(&again, &attempt->move->sides[i]);
		posted += one;
	}
	CL_PLOCK_RELEASE(&osm->lock);
	return one < 0 ? one : posted;
}

/*
 * Responses have put into OpenSM's tables what the ports hold now. Look, send again what is
 * missing, at most LOOKS_MAX times.
 */
static enum refusal wait_for_sides(const struct attempt *attempt)
{
	for (int look = 0; look < LOOKS_MAX; look++) {
		enum refusal refused = reread_wait(attempt->tools->sender, attempt->deadline_ns);
		int posted;

		if (refused)
			return refused;
		posted = put_sides_again(attempt);
		if (posted == 0)
			return REFUSAL_NONE;
		if (posted < 0)
			break;
		attempt->result->resent += (uint32_t)posted;
	}
	return REFUSAL_NOT_ACKNOWLEDGED;
}

static enum refusal wait_for_all(const struct attempt *attempt)
{
	const struct move_tools *tools = attempt->tools;
	enum refusal unacknowledged = wait_for_wave(attempt);
	enum refusal refused = wait_for_sides(attempt);

	if (refused || unacknowledged)
		return refused ? refused : unacknowledged;
	/* A tree that is late is no reason to take the move back: OpenSM goes on with it. */
	if (attempt->result->sent.groups &&
	        !sweep_lease_sweeper_caught_up(tools->lease, attempt->deadline_ns))
		osm_log(&tools->osm->log, OSM_LOG_INFO,
		        "tether: multicast trees are not computed again yet\n");
	return REFUSAL_NONE;
}

/*
 * guid2lid is right as it was, so this writes it only where OpenSM had not yet. Neighbours have
 * changed; they are hints for M_Keys after a restart and not worth waiting for a disk.
 */
static void persist(osm_opensm_t *osm)
{
	osm_db_store(osm->sm.lid_mgr.p_g2l, osm->subn.opt.fsync_high_avail_files);
	osm_db_store(osm->subn.p_neighbor, FALSE);
}

enum refusal identity_move_apply(const struct move_tools *tools, struct identity_move *move,
        uint64_t deadline_ns, struct move_result *result, bool *sweep_needed)
{
	struct attempt attempt = {
	        .tools = tools, .move = move, .deadline_ns = deadline_ns, .result = result};
	uint64_t start = monotonic_ns();
	enum refusal refused;

	*result = (struct move_result){0};
	refused = check_plan(&attempt);
	if (refused)
		return refused;
	die_point(DIE_SM_APPLY, "checked");
	*sweep_needed = true;
	refused = reread_ask(tools->osm, move->plan);
	if (!refused)
		refused = reread_wait(tools->sender, deadline_ns);
	if (refused)
		return refused;
	die_point(DIE_SM_APPLY, "reread");
	refused = put_and_wait(&attempt);
	if (refused)
		return refused;
	die_point(DIE_SM_APPLY, "posted");
	refused = wait_for_all(&attempt);
	if (refused)
		return refused;
	die_point(DIE_SM_APPLY, "acknowledged");
	take_back_lids(&attempt);
	persist(tools->osm);
	die_point(DIE_SM_APPLY, "persisted");
	*sweep_needed = false;
	move->is_finished = true;
	result->elapsed_us = (monotonic_ns() - start) / 1000;
	return REFUSAL_NONE;
}
