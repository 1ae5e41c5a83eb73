/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <opensm/osm_config.h>
#include <opensm/osm_opensm.h>

#include "notifier/base/cleanup.h"
#include "notifier/base/monotonic.h"
#include "sm-side/sweep_lease.h"

/* How often a sweep that we hold looks whether OpenSM is told to end. */
#define EXIT_POLL_NS (50 * NS_PER_MS)

struct sweep_lease {
	osm_opensm_t *osm;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	unsigned owner; /* 0: nobody's */
	char migration[MIGRATION_NAME_BYTES];
	uint64_t until_ns;
	bool settling; /* the owner still waits for OpenSM to come to rest: nobody else may claim it
	                */
	bool holding;  /* sweeps that begin now wait (until until_ns) */
	bool working;  /* somebody is inside: they wait in any case */
	bool parked;   /* one waits */
	bool down;
};

struct sweep_lease *sweep_lease_create(struct osm_opensm *osm)
{
	struct sweep_lease *lease = calloc(1, sizeof(*lease));
	pthread_condattr_t monotonic;

	if (!lease)
		return NULL;
	lease->osm = osm;
	pthread_mutex_init(&lease->lock, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&lease->changed, &monotonic);
	pthread_condattr_destroy(&monotonic);
	return lease;
}

void sweep_lease_destroy(struct sweep_lease *lease)
{
	if (!lease)
		return;
	pthread_cond_destroy(&lease->changed);
	pthread_mutex_destroy(&lease->lock);
	free(lease);
}

void sweep_lease_shut_down(struct sweep_lease *lease)
{
	LOCK_GUARD(&lease->lock);

	lease->down = true;
	pthread_cond_broadcast(&lease->changed);
}

/* The predicates with this ending are asked with lease->lock held. */
static bool is_down_locked(const struct sweep_lease *lease)
{
	return lease->down || osm_exit_flag;
}

static bool is_taken_locked(const struct sweep_lease *lease)
{
	return lease->working || lease->settling ||
	       (lease->owner && monotonic_ns() < lease->until_ns);
}

static bool is_owned_locked(const struct sweep_lease *lease, unsigned owner, const char *migration)
{
	return is_taken_locked(lease) && lease->owner == owner &&
	       !strcmp(lease->migration, migration);
}

static bool is_holding_locked(const struct sweep_lease *lease)
{
	return lease->working || (lease->holding && monotonic_ns() < lease->until_ns);
}

static bool is_down(struct sweep_lease *lease)
{
	LOCK_GUARD(&lease->lock);

	return is_down_locked(lease);
}

bool sweep_lease_sweep_waits(struct sweep_lease *lease)
{
	LOCK_GUARD(&lease->lock);

	return lease->parked && is_holding_locked(lease);
}

void sweep_lease_sweep_begins(struct sweep_lease *lease)
{
	LOCK_GUARD(&lease->lock);

	while (is_holding_locked(lease) && !is_down_locked(lease)) {
		uint64_t look_again = monotonic_ns() + EXIT_POLL_NS;
		struct timespec until;

		if (!lease->working && lease->until_ns < look_again)
			look_again = lease->until_ns;
		until = monotonic_timespec(look_again);
		lease->parked = true;
		pthread_cond_broadcast(&lease->changed);
		pthread_cond_timedwait(&lease->changed, &lease->lock, &until);
	}
	lease->parked = false;
}

static bool signal_is_pending(osm_sm_t *sm, unsigned signal)
{
	bool pending;

	cl_spinlock_acquire(&sm->signal_lock);
	pending = sm->signal_mask & 1u << signal;
	cl_spinlock_release(&sm->signal_lock);
	return pending;
}

/*
 * Has the sweeper come by its waiting place, so that what it was at is over? The signal asks it to
 * look at a list (of alias GUIDs) that is empty unless SA put something there. OpenSM offers
 * nothing to wait on, hence the looking again.
 */
static bool sweeper_passes(struct sweep_lease *lease, uint64_t deadline_ns)
{
	osm_sm_t *sm = &lease->osm->sm;
	uint64_t pause = 0;

	osm_sm_signal(sm, OSM_SIGNAL_GUID_PROCESS_REQUEST);
	while (signal_is_pending(sm, OSM_SIGNAL_GUID_PROCESS_REQUEST)) {
		if (sweep_lease_sweep_waits(lease))
			return true;
		if (is_down(lease) || monotonic_ns() > deadline_ns)
			return false;
		monotonic_back_off(&pause);
	}
	return true;
}

/* The first pass may take up our signal together with those before it: they are done only when it
 * comes by again. */
bool sweep_lease_sweeper_caught_up(struct sweep_lease *lease, uint64_t deadline_ns)
{
	return sweeper_passes(lease, deadline_ns) && sweeper_passes(lease, deadline_ns);
}

bool sweep_lease_is_master(const struct sweep_lease *lease)
{
	const osm_subn_t *subnet = &lease->osm->subn;

	return subnet->sm_state == IB_SMINFO_STATE_MASTER && !subnet->first_time_master_sweep &&
	       !subnet->force_first_time_master_sweep && !subnet->coming_out_of_standby;
}

static bool sweep_is_owed(const osm_subn_t *subnet)
{
	return subnet->force_heavy_sweep || subnet->subnet_initialization_error ||
	       subnet->force_reroute;
}

bool sweep_lease_is_quiet(struct sweep_lease *lease, unsigned wait_ms)
{
	return sweep_lease_is_master(lease) && !sweep_lease_sweep_waits(lease) &&
	       sweeper_passes(lease, monotonic_ns() + wait_ms * NS_PER_MS) &&
	       !sweep_is_owed(&lease->osm->subn);
}

/* Become the owner, waiting for another one to let go. Nothing is held yet. */
static enum refusal claim(
        struct sweep_lease *lease, unsigned owner, const char *migration, uint64_t deadline_ns)
{
	LOCK_GUARD(&lease->lock);

	while (is_taken_locked(lease)) {
		bool ends_first =
		        !lease->working && !lease->settling && lease->until_ns < deadline_ns;
		struct timespec until =
		        monotonic_timespec(ends_first ? lease->until_ns : deadline_ns);

		/* Its release could only be read from the connection that is waiting here. */
		if (lease->owner == owner || monotonic_ns() >= deadline_ns)
			return REFUSAL_BUSY;
		pthread_cond_timedwait(&lease->changed, &lease->lock, &until);
		if (is_down_locked(lease))
			return REFUSAL_SHUTTING_DOWN;
	}
	lease->owner = owner;
	strncpy(lease->migration, migration, sizeof(lease->migration) - 1);
	lease->settling = true;
	lease->holding = false;
	lease->until_ns = deadline_ns + NS_PER_MS; /* so long sweeps may be held meanwhile */
	return REFUSAL_NONE;
}

static void set_holding(struct sweep_lease *lease, bool holding)
{
	LOCK_GUARD(&lease->lock);

	lease->holding = holding;
	pthread_cond_broadcast(&lease->changed);
}

/* Hold sweeps and wait until none is under way; let one that is owed through first. */
static enum refusal come_to_rest(struct sweep_lease *lease, uint64_t deadline_ns)
{
	bool let_through = false;

	for (;;) {
		if (is_down(lease))
			return REFUSAL_SHUTTING_DOWN;
		set_holding(lease, true);
		if (!sweeper_passes(lease, deadline_ns))
			return REFUSAL_BUSY;
		if (!sweep_lease_is_master(lease))
			return REFUSAL_NOT_MASTER;
		if (let_through ||
		        !(sweep_lease_sweep_waits(lease) || sweep_is_owed(&lease->osm->subn)))
			return REFUSAL_NONE;
		let_through = true;
		set_holding(lease, false);
		osm_sm_sweep(&lease->osm->sm);
		if (!sweep_lease_sweeper_caught_up(lease, deadline_ns))
			return REFUSAL_BUSY;
	}
}

static void end_locked(struct sweep_lease *lease)
{
	lease->owner = 0;
	lease->holding = false;
	pthread_cond_broadcast(&lease->changed);
}

/* The holder wants more time: nothing has to come to rest, it is at rest since it was granted. */
static bool renew(struct sweep_lease *lease, unsigned owner, const char *migration, unsigned ms)
{
	LOCK_GUARD(&lease->lock);

	if (lease->settling || !is_owned_locked(lease, owner, migration))
		return false;
	lease->until_ns = monotonic_ns() + ms * NS_PER_MS;
	return true;
}

enum refusal sweep_lease_take(struct sweep_lease *lease, unsigned owner, const char *migration,
        unsigned ms, unsigned wait_ms)
{
	uint64_t deadline = monotonic_ns() + wait_ms * NS_PER_MS;
	enum refusal refused;

	if (!sweep_lease_is_master(lease))
		return REFUSAL_NOT_MASTER;
	if (renew(lease, owner, migration, ms))
		return REFUSAL_NONE;
	refused = claim(lease, owner, migration, deadline);
	if (refused)
		return refused;
	refused = come_to_rest(lease, deadline);

	LOCK_GUARD(&lease->lock);
	lease->settling = false;
	if (refused)
		end_locked(lease);
	else
		lease->until_ns = monotonic_ns() + ms * NS_PER_MS;
	return refused;
}

bool sweep_lease_release(struct sweep_lease *lease, unsigned owner, const char *migration)
{
	LOCK_GUARD(&lease->lock);

	if (!is_owned_locked(lease, owner, migration))
		return false;
	end_locked(lease);
	return true;
}

void sweep_lease_owner_gone(struct sweep_lease *lease, unsigned owner)
{
	LOCK_GUARD(&lease->lock);

	if (lease->owner == owner)
		end_locked(lease);
}

static enum refusal enter_locked(struct sweep_lease *lease, bool is_owned, uint64_t *deadline_ns)
{
	if (is_down_locked(lease))
		return REFUSAL_SHUTTING_DOWN;
	if (lease->working || !is_owned)
		return REFUSAL_NO_LEASE;
	lease->working = true;
	*deadline_ns = lease->until_ns;
	return REFUSAL_NONE;
}

enum refusal sweep_lease_enter(
        struct sweep_lease *lease, unsigned owner, const char *migration, uint64_t *deadline_ns)
{
	LOCK_GUARD(&lease->lock);

	return enter_locked(lease, is_owned_locked(lease, owner, migration), deadline_ns);
}

enum refusal sweep_lease_enter_any(struct sweep_lease *lease, unsigned owner, uint64_t *deadline_ns)
{
	LOCK_GUARD(&lease->lock);

	return enter_locked(lease, is_owned_locked(lease, owner, lease->migration), deadline_ns);
}

void sweep_lease_leave(struct sweep_lease *lease, bool sweep_needed)
{
	osm_opensm_t *osm = lease->osm;

	if (sweep_needed) {
		osm->subn.force_heavy_sweep = TRUE;
		osm_sm_sweep(&osm->sm); /* which then waits for the lease to end */
	}
	LOCK_GUARD(&lease->lock);
	lease->working = false;
	pthread_cond_broadcast(&lease->changed);
}
