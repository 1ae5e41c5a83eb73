/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "sm-side/migration/sm_paths.h"
#include "sm-side/migration/sm_talk.h"

#include <stdio.h>
#include <string.h>

#include "sm-side/guid_text.h"
#include "sm-side/json_read.h"
#include "sm-side/plugin/sm_request.h"

/* Of one migration, before the SM is taken at its word that it cannot hold. */
enum { LEASES_LOST_MAX = 3 };

static struct json_object *request_new(const char *op)
{
	struct json_object *request = json_object_new_object();

	if (request)
		json_put_text(request, "op", op);
	return request;
}

/* The VF of which the SM is asked now. */
static const struct moving_vf *vf_of(const struct migration *m)
{
	return &m->intent.vfs[m->sm_vf];
}

static const char *hash_of(const struct migration *m)
{
	return m->plan_hash[m->sm_vf];
}

static struct json_object *locate_request(const struct migration *m)
{
	struct json_object *request = request_new("locate");

	json_put_guid(request, "port_guid", vf_of(m)->identity.port_guid);
	return request;
}

static void put_target(
        struct json_object *request, const struct migration *m, const struct place *to)
{
	if (m->intent.dynamic)
		json_put_text(request, "kind", "copy");
	json_put_guid(request, "vm_port_guid", vf_of(m)->identity.port_guid);
	json_put_guid(request, "to_switch_guid", to->switch_guid);
	json_put_number(request, "to_switch_port", to->switch_port);
}

static struct json_object *plan_request(const struct migration *m)
{
	struct json_object *request = request_new("plan");

	put_target(request, m, &vf_of(m)->destination);
	json_put_guid(request, "vm_node_guid", vf_of(m)->identity.node_guid);
	if (*m->intent.order)
		json_put_text(request, "order", m->intent.order);
	if (*m->intent.reach)
		json_put_text(request, "reach", m->intent.reach);
	return request;
}

static struct json_object *leased_request(const struct migration *m, const char *op)
{
	struct json_object *request = request_new(op);

	json_put_number(request, "migration", m->intent.id);
	return request;
}

/* Busy is to be heard before the step's own deadline; it is asked again then. */
static unsigned lease_wait_ms(const struct deadlines *deadlines)
{
	return deadlines->plan_ms < deadlines->sm_lease_ms ? deadlines->plan_ms
	                                                   : deadlines->sm_lease_ms;
}

/* One lease is for all VFs; longer than the plugin holds sweeps off it does not give. */
static unsigned lease_ms(const struct migration *m)
{
	uint64_t ms = (uint64_t)m->deadlines->sm_lease_ms * migration_vf_count(&m->intent);

	return ms < SM_LEASE_MS_MAX ? (unsigned)ms : SM_LEASE_MS_MAX;
}

/* Between shared ports: the VM's alias GUID goes from the one to the other. */
static struct json_object *alias_request(const struct migration *m, bool back)
{
	const struct place *from = back ? &m->intent.destination : &m->intent.source;
	const struct place *to = back ? &m->intent.source : &m->intent.destination;
	struct json_object *request = request_new("move_alias");

	json_put_guid(request, "vm_port_guid", m->intent.identity.port_guid);
	json_put_guid(request, "other_port_guid", m->intent.other.port_guid);
	json_put_number(request, "from_lid", from->lid);
	json_put_number(request, "to_lid", to->lid);
	return request;
}

struct json_object *sm_talk_request(const struct migration *m, enum migration_action action)
{
	struct json_object *request;

	if (m->intent.shared_port)
		return action == ACTION_APPLY || action == ACTION_UNDO
		               ? alias_request(m, action == ACTION_UNDO)
		               : NULL;
	switch (action) {
	case ACTION_LOCATE:
	case ACTION_LOOK:
	case ACTION_WAKE:
		return locate_request(m);
	case ACTION_PREPARE:
	case ACTION_PLAN:
		return plan_request(m);
	case ACTION_LEASE:
		request = leased_request(m, "lease");
		json_put_number(request, "ms", lease_ms(m));
		json_put_number(request, "wait_ms", lease_wait_ms(m->deadlines));
		/* By it the SM knows who else may hold the lease: nobody beside one of several
		 * plans. */
		if (*m->plan_hash[0] && !m->intent.others)
			json_put_text(request, "hash", m->plan_hash[0]);
		return request;
	case ACTION_APPLY:
		if (m->is_there[m->sm_vf])
			return locate_request(m);
		request = leased_request(m, "apply");
		/* Where there was none yet, the answer asks for one. */
		json_put_text(request, "hash", *hash_of(m) ? hash_of(m) : "none");
		sm_paths_ask(request, m);
		return request;
	case ACTION_UNDO:
		request = leased_request(m, "undo");
		put_target(request, m, &vf_of(m)->source);
		sm_paths_ask(request, m);
		/* By it the SM knows which entries are the plan's own. */
		if (*hash_of(m))
			json_put_text(request, "hash", hash_of(m));
		return request;
	case ACTION_UNLEASE:
		request = leased_request(m, "release_lease");
		/* Traps of links do not always make it sweep. */
		if (m->intent.dynamic)
			json_put_bool(request, "sweep", true);
		return request;
	default:
		return NULL;
	}
}

static void find(struct migration *m, const char *reason, const char *text)
{
	testimony_find(&m->testimony, "sm", reason, text);
}

static enum migration_event malformed(struct migration *m, const char *what)
{
	char text[120];

	snprintf(text, sizeof(text), "the SM's answer says no %s", what);
	find(m, "bad-answer", text);
	return EVENT_FAILED;
}

/*
 * Dynamic LIDs: a sweep came by while the link was down at one place and not yet up at the other (a
 * lease that has run out), or the SM was started then. Once the lease is given back the next sweep
 * finds the port where its link is, with the LID that its GUID had; that is waited for in WAKING.
 */
static enum migration_event unseen(
        struct migration *m, enum migration_action action, struct json_object *answer)
{
	const char *text = json_read_string(answer, "text");

	switch (action) {
	case ACTION_PLAN:
		return EVENT_ALREADY;
	case ACTION_APPLY:
		return EVENT_STALE;
	case ACTION_UNDO:
		return EVENT_DONE;
	case ACTION_WAKE:
		return EVENT_BUSY;
	default:
		find(m, "unknown-port", text ? text : "unknown-port");
		return EVENT_FAILED;
	}
}

/* The SM has a part in what cannot be taken back any more. */
static bool is_under_way(const struct migration *m)
{
	enum migration_phase phase = migration_phase(m->state);

	return phase == PHASE_FORWARD || phase == PHASE_BACK;
}

static enum migration_event of_no_subnet(struct migration *m, const struct moving_vf *vf)
{
	char text[MIGRATION_NAME_BYTES + 200];

	snprintf(text, sizeof(text),
	        "the SM knows no port of the VF in slot %s: a VM moves with VFs of one subnet, "
	        "whose "
	        "SM tether-smd asks",
	        vf->source.slot);
	find(m, "several-vfs", text);
	return EVENT_FAILED;
}

/* One that knows none of the VM's VFs may only not have swept yet: all are asked for. */
static enum migration_event unknown_port(struct migration *m, const char *text)
{
	if (m->unlocated < m->sm_vf)
		return of_no_subnet(m, vf_of(m));
	if (++m->unlocated < migration_vf_count(&m->intent))
		return EVENT_DONE;
	find(m, "unknown-port", text ? text : "unknown-port");
	return EVENT_FAILED;
}

static enum migration_event refused(
        struct migration *m, enum migration_action action, struct json_object *answer)
{
	const char *reason = json_read_string(answer, "reason");
	const char *text = json_read_string(answer, "text");

	if (!reason)
		return malformed(m, "reason");
	/* One that has just been started becomes the master soon. */
	if (action == ACTION_LEASE && (!strcmp(reason, "busy") || !strcmp(reason, "not-master")))
		return EVENT_BUSY;
	/* It goes, and whoever is started after it has forgotten lease and plan. */
	if (is_under_way(m) && !strcmp(reason, "shutting-down"))
		return EVENT_SM_LOST;
	/* Another one holds the lease to move some of that; it lets go in a while. */
	if ((action == ACTION_APPLY || action == ACTION_UNDO) && !strcmp(reason, "busy"))
		return EVENT_BUSY;
	/* The first that it is asked between shared ports, so the first to hear that. */
	if (m->intent.shared_port && !strcmp(reason, "not-master"))
		return EVENT_BUSY;
	if (action == ACTION_APPLY && !m->intent.shared_port &&
	        (!strcmp(reason, "stale-plan") || !strcmp(reason, "unknown-plan")))
		return EVENT_STALE;
	if (!strcmp(reason, "same-place") && action == ACTION_PLAN)
		return EVENT_ALREADY;
	if (!strcmp(reason, "same-place") && action == ACTION_UNDO)
		return EVENT_DONE;
	/* Hosts were slower than the lease: as with an SM that has forgotten, it is taken again. */
	if ((action == ACTION_APPLY || action == ACTION_UNDO) && !strcmp(reason, "no-lease") &&
	        m->leases_lost++ < LEASES_LOST_MAX)
		return EVENT_SM_BACK;
	/* A sweep has moved that one: CONFIRMING, or with dynamic LIDs WAKING, looks at it. */
	if (action == ACTION_APPLY && m->is_there[m->sm_vf])
		return EVENT_DONE;
	if (m->intent.dynamic && !strcmp(reason, "unknown-port"))
		return unseen(m, action, answer);
	if (m->intent.others && m->state == STATE_LOCATING && !strcmp(reason, "unknown-port"))
		return unknown_port(m, text);
	/* Where nobody has told it of them it has nothing to say of them, and never had. */
	if (m->intent.shared_port && !strcmp(reason, "unknown-port"))
		return EVENT_DONE;
	find(m, reason, text ? text : reason);
	return EVENT_FAILED;
}

struct location {
	unsigned lid, switch_port;
	uint64_t switch_guid;
	uint8_t gid[16];
};

static int location_read(struct json_object *answer, struct location *location)
{
	const char *gid = json_read_string(answer, "gid");

	if (json_read_unsigned(answer, "lid", &location->lid) || !location->lid ||
	        location->lid > UINT16_MAX || !gid || gid_parse(gid, location->gid) ||
	        json_read_guid(answer, "switch_guid", &location->switch_guid) ||
	        json_read_unsigned(answer, "switch_port", &location->switch_port))
		return -1;
	return 0;
}

/* After the move: still the LID that peers and the VM's programs know? */
static enum migration_event confirm_location(struct migration *m, const struct location *location)
{
	char text[200];

	if (location->lid == vf_of(m)->address.lid)
		return EVENT_DONE;
	snprintf(text, sizeof(text),
	        "a sweep gave the VM LID %u instead of %u; OpenSM has to keep its guid2lid file "
	        "across restarts (OSM_CACHE_DIR)",
	        location->lid, vf_of(m)->address.lid);
	find(m, "lid-changed", text);
	return EVENT_FAILED;
}

static enum migration_event take_location(struct migration *m, struct json_object *answer)
{
	struct moving_vf *vf = &m->intent.vfs[m->sm_vf];
	struct place *source = &vf->source;
	struct location location;
	unsigned lid;

	if (!json_read_unsigned(answer, "lid", &lid) && !lid) {
		find(m, "port-without-lid",
		        "the SM has given the VM's port no LID yet; is a sweep due?");
		return EVENT_FAILED;
	}
	if (location_read(answer, &location))
		return malformed(m, "location");
	if (m->committed)
		return confirm_location(m, &location);
	if (m->unlocated)
		return of_no_subnet(m, &m->intent.vfs[0]);
	if (source->switch_guid && (source->switch_guid != location.switch_guid ||
	                                   source->switch_port != location.switch_port)) {
		find(m, "place-differs",
		        "the SM has the VM's port elsewhere than its host has it; is a sweep due?");
		return EVENT_FAILED;
	}
	source->switch_guid = location.switch_guid;
	source->switch_port = location.switch_port;
	vf->address.lid = (uint16_t)location.lid;
	memcpy(vf->address.gid, location.gid, sizeof(location.gid));
	return EVENT_DONE;
}

enum { PORT_ACTIVE = 4 };

/* Is the port where its link came up, and may packets pass? */
static enum migration_event take_wake(struct migration *m, struct json_object *answer)
{
	const struct place *expected = migration_phase(m->state) == PHASE_FORWARD
	                                       ? &vf_of(m)->destination
	                                       : &vf_of(m)->source;
	struct location location;
	unsigned state = 0;

	json_read_unsigned(answer, "state", &state);
	if (location_read(answer, &location) || state != PORT_ACTIVE ||
	        location.switch_guid != expected->switch_guid ||
	        location.switch_port != expected->switch_port)
		return EVENT_BUSY;
	return confirm_location(m, &location);
}

/* Up to where a journal comes that is on the way back, the VM is carried to the destination. */
static bool is_expected_at_source(enum migration_state state)
{
	return migration_phase(state) != PHASE_FORWARD && state != STATE_ERRORING;
}

static enum migration_event take_look(
        struct migration *m, struct json_object *answer, bool *carried)
{
	const struct place *expected =
	        is_expected_at_source(m->journalled) ? &vf_of(m)->source : &vf_of(m)->destination;
	const char *reason = json_read_string(answer, "reason");
	struct location location;

	/* One that was started, too, knows nobody before its first sweep. */
	if (reason && !strcmp(reason, "unknown-port"))
		return EVENT_BUSY;
	/* All of the VM's VFs are, or it is not. */
	*carried = (*carried || !m->sm_vf) && !location_read(answer, &location) &&
	           location.switch_guid == expected->switch_guid &&
	           location.switch_port == expected->switch_port;
	return EVENT_DONE;
}

/* Nothing that a sweep takes back is done without saying so. */
static void take_stability(struct migration *m, struct json_object *answer)
{
	const char *stability = json_read_string(answer, "stability");

	if (stability && strcmp(stability, "stable"))
		find(m, "reverted-by-sweep",
		        "the SM's next sweep chooses other routes for what has moved");
}

static enum migration_event take_plan(struct migration *m, struct json_object *answer)
{
	struct json_object *other = json_read_object(answer, "other");
	uint64_t port_guid;

	if (json_read_text(answer, "hash", m->plan_hash[m->sm_vf], PLAN_HASH_BYTES))
		return malformed(m, "hash");
	take_stability(m, answer);
	/* Once the GUIDs are exchanged the slot shows the VM's. A dynamic one shows none to the SM.
	 */
	if (m->committed || m->intent.dynamic || !other ||
	        json_read_guid(other, "port_guid", &port_guid) ||
	        port_guid == vf_of(m)->other.port_guid)
		return EVENT_DONE;
	find(m, "slot-differs",
	        "the SM has another GUID at the destination's slot than its host has");
	return EVENT_FAILED;
}

static void add_count(struct json_object *answer, const char *name, unsigned *count)
{
	unsigned more;

	if (!json_read_unsigned(answer, name, &more))
		*count += more;
}

/* What was applied and undone was sent all the same: counts add up. */
static enum migration_event take_applied(struct migration *m, struct json_object *answer)
{
	struct migration_counts *counts = &m->counts;
	bool verified = false;

	add_count(answer, "lft_sets", &counts->lft_sets);
	add_count(answer, "lft_sets_physical", &counts->lft_sets_physical);
	add_count(answer, "lft_sets_vswitch", &counts->lft_sets_vswitch);
	add_count(answer, "lft_sets_shared", &counts->lft_sets_shared);
	add_count(answer, "pkey_sets", &counts->pkey_sets);
	add_count(answer, "portinfo_sets", &counts->portinfo_sets);
	add_count(answer, "resent", &counts->resent);
	add_count(answer, "elapsed_us", &counts->sm_elapsed_us);
	if (json_read_bool(answer, "verified", &verified) || !verified) {
		find(m, "not-verified", "the SM applied the plan but could not verify it");
		return EVENT_FAILED;
	}
	sm_paths_take(m, answer);
	return EVENT_DONE;
}

enum migration_event sm_talk_take(struct migration *m, enum migration_action action,
        struct json_object *answer, bool *carried)
{
	bool ok = false;

	if (action == ACTION_LOOK)
		return take_look(m, answer, carried);
	if (json_read_bool(answer, "ok", &ok))
		return malformed(m, "ok");
	if (!ok)
		return refused(m, action, answer);
	switch (action) {
	case ACTION_LOCATE:
		return take_location(m, answer);
	case ACTION_WAKE:
		return take_wake(m, answer);
	case ACTION_PREPARE:
	case ACTION_PLAN:
		return take_plan(m, answer);
	case ACTION_APPLY:
		if (m->is_there[m->sm_vf])
			return EVENT_DONE;
		/* fall through */
	case ACTION_UNDO:
		return m->intent.shared_port ? EVENT_DONE : take_applied(m, answer);
	default:
		return EVENT_DONE;
	}
}
