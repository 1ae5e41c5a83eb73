/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <opensm/osm_config.h>
#include <opensm/osm_opensm.h>

#include "notifier/base/cleanup.h"
#include "notifier/base/monotonic.h"
#include "sm-side/plugin/sweep_lease.h"

/* How often a sweep that we hold looks whether OpenSM is told to end. */
#define EXIT_POLL_NS (50 * NS_PER_MS)

struct sweep_lease {
	osm_opensm_t *osm;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct lease_table table;
	unsigned alone_wait; /* how many wait for all others to let go */
	bool holding;        /* sweeps that begin now wait, until the last holder's time is over */
	bool parked;         /* one waits */
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
	lease_table_clear(&lease->table);
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

static bool is_holding_locked(const struct sweep_lease *lease)
{
	return lease_table_is_working(&lease->table) ||
	       (lease->holding && monotonic_ns() < lease_table_last_end_ns(&lease->table));
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
		uint64_t end = lease_table_last_end_ns(&lease->table);
		struct timespec until;

		if (!lease_table_is_working(&lease->table) && end < look_again)
			look_again = end;
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

/*
 * OpenSM is at rest since the first of those who hold it was granted it, so there is nothing to
 * wait for but whoever moves the same; and a sweep that waits, or somebody who has to be alone,
 * comes before those who come later.
 */
static bool may_join_locked(
        const struct sweep_lease *lease, unsigned owner, const struct lease_claim *claim)
{
	if (lease_table_is_empty(&lease->table))
		return claim->is_alone || !lease->alone_wait;
	return !lease->parked && !lease->alone_wait && !lease_table_settling(&lease->table) &&
	       !lease_table_excluding(&lease->table, owner, claim);
}

static enum refusal join_locked(struct sweep_lease *lease, unsigned owner, struct lease_wish *wish,
        uint64_t deadline_ns, bool *first)
{
	bool is_first = lease_table_is_empty(&lease->table);
	struct lease_holder *holder;

	*first = is_first;
	/* So long sweeps may be held while it comes to rest. */
	holder = lease_table_add(&lease->table, owner, wish->migration, &wish->claim,
	        is_first ? deadline_ns + NS_PER_MS : monotonic_ns() + wish->ms * NS_PER_MS);
	if (!holder)
		return REFUSAL_BUSY;
	holder->is_granted = !is_first;
	if (is_first)
		lease->holding = false;
	return REFUSAL_NONE;
}

/* Until somebody lets go, or ends by time. */
static void wait_locked(struct sweep_lease *lease, bool is_alone, uint64_t deadline_ns)
{
	uint64_t end = lease_table_first_end_ns(&lease->table), now = monotonic_ns();
	struct timespec until =
	        monotonic_timespec(now < end && end < deadline_ns ? end : deadline_ns);

	lease->alone_wait += is_alone;
	pthread_cond_timedwait(&lease->changed, &lease->lock, &until);
	lease->alone_wait -= is_alone;
}

/* Be one of the holders; the first is not granted it yet. */
static enum refusal claim(struct sweep_lease *lease, unsigned owner, struct lease_wish *wish,
        uint64_t deadline_ns, bool *is_first)
{
	LOCK_GUARD(&lease->lock);

	for (;;) {
		if (is_down_locked(lease))
			return REFUSAL_SHUTTING_DOWN;
		lease_table_end_due(&lease->table, monotonic_ns());
		/* Its release could only be read from the connection that is waiting here. */
		if (lease_table_of(&lease->table, owner))
			return REFUSAL_BUSY;
		if (may_join_locked(lease, owner, &wish->claim))
			return join_locked(lease, owner, wish, deadline_ns, is_first);
		wish->meets = lease_table_meets(&lease->table, owner, &wish->claim);
		if (monotonic_ns() >= deadline_ns) {
			if (wish->claim.is_alone)
				pthread_cond_broadcast(&lease->changed); /* others may join */
			return REFUSAL_BUSY;
		}
		wait_locked(lease, wish->claim.is_alone, deadline_ns);
	}
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

static void end_locked(struct sweep_lease *lease, struct lease_holder *holder)
{
	lease_holder_end(holder);
	if (lease_table_is_empty(&lease->table))
		lease->holding = false;
	pthread_cond_broadcast(&lease->changed);
}

/*
 * The holder wants more time: nothing has to come to rest, it is at rest since it was granted. It
 * may want it for another plan. Who names none that is known keeps what he has it for.
 */
static enum refusal renew(
        struct sweep_lease *lease, unsigned owner, struct lease_wish *wish, bool *holds)
{
	struct lease_holder *holder;
	uint64_t now = monotonic_ns();
	LOCK_GUARD(&lease->lock);

	lease_table_end_due(&lease->table, now);
	holder = lease_table_holding(&lease->table, owner, wish->migration, now);
	*holds = holder;
	if (!holder)
		return REFUSAL_NONE;
	if (!wish->claim.is_alone) {
		wish->meets = lease_table_meets(&lease->table, owner, &wish->claim);
		if (lease_table_excluding(&lease->table, owner, &wish->claim))
			return REFUSAL_BUSY;
		lease_holder_reclaim(holder, &wish->claim);
		pthread_cond_broadcast(&lease->changed); /* others may join */
	}
	holder->until_ns = now + wish->ms * NS_PER_MS;
	return REFUSAL_NONE;
}

/* Not where sweeps may have gone on meanwhile, since the time for coming to rest was over. */
static enum refusal settled(
        struct sweep_lease *lease, unsigned owner, enum refusal refused, unsigned ms)
{
	struct lease_holder *holder;
	uint64_t now = monotonic_ns();
	LOCK_GUARD(&lease->lock);

	holder = lease_table_of(&lease->table, owner);
	if (!refused && now >= holder->until_ns)
		refused = REFUSAL_BUSY;
	if (refused) {
		end_locked(lease, holder);
		return refused;
	}
	holder->is_granted = true;
	holder->until_ns = now + ms * NS_PER_MS;
	pthread_cond_broadcast(&lease->changed); /* others may join */
	return REFUSAL_NONE;
}

enum refusal sweep_lease_take(struct sweep_lease *lease, unsigned owner, struct lease_wish *wish)
{
	uint64_t deadline = monotonic_ns() + wish->wait_ms * NS_PER_MS;
	enum refusal refused;
	bool holds, is_first;

	if (!sweep_lease_is_master(lease))
		return REFUSAL_NOT_MASTER;
	refused = renew(lease, owner, wish, &holds);
	if (refused || holds)
		return refused;
	refused = claim(lease, owner, wish, deadline, &is_first);
	if (refused || !is_first)
		return refused;
	return settled(lease, owner, come_to_rest(lease, deadline), wish->ms);
}

bool sweep_lease_release(struct sweep_lease *lease, unsigned owner, const char *migration)
{
	struct lease_holder *holder;
	LOCK_GUARD(&lease->lock);

	holder = lease_table_holding(&lease->table, owner, migration, monotonic_ns());
	if (holder)
		end_locked(lease, holder);
	return holder;
}

void sweep_lease_owner_gone(struct sweep_lease *lease, unsigned owner)
{
	struct lease_holder *holder;
	LOCK_GUARD(&lease->lock);

	holder = lease_table_of(&lease->table, owner);
	if (holder)
		end_locked(lease, holder);
}

/* Its plan need not be the one that the lease was taken for; it is held for this one from now on.
 */
static enum refusal take_over_locked(
        struct sweep_lease *lease, struct lease_holder *holder, const struct plan *plan)
{
	struct lease_claim claim;

	if (lease_claim_of(plan, &claim))
		return REFUSAL_NO_MEMORY;
	if (lease_table_excluding(&lease->table, holder->owner, &claim)) {
		lease_claim_clear(&claim);
		return REFUSAL_BUSY;
	}
	lease_holder_reclaim(holder, &claim);
	pthread_cond_broadcast(&lease->changed); /* others may join */
	return REFUSAL_NONE;
}

enum refusal sweep_lease_enter(struct sweep_lease *lease, unsigned owner, const char *migration,
        const struct plan *plan, uint64_t *deadline_ns)
{
	struct lease_holder *holder;
	enum refusal refused;
	uint64_t now = monotonic_ns();
	LOCK_GUARD(&lease->lock);

	if (is_down_locked(lease))
		return REFUSAL_SHUTTING_DOWN;
	lease_table_end_due(&lease->table, now);
	holder = lease_table_holding(&lease->table, owner, migration, now);
	if (!holder)
		return REFUSAL_NO_LEASE;
	refused = plan ? take_over_locked(lease, holder, plan) : REFUSAL_NONE;
	if (refused)
		return refused;
	holder->is_working = true;
	*deadline_ns = holder->until_ns;
	return REFUSAL_NONE;
}

bool sweep_lease_is_held(struct sweep_lease *lease, unsigned owner, char *migration)
{
	struct lease_holder *holder;
	LOCK_GUARD(&lease->lock);

	holder = lease_table_of(&lease->table, owner);
	if (!holder || !holder->is_granted || monotonic_ns() >= holder->until_ns)
		return false;
	memcpy(migration, holder->migration, LEASE_NAME_BYTES);
	return true;
}

void sweep_lease_leave(struct sweep_lease *lease, unsigned owner)
{
	LOCK_GUARD(&lease->lock);

	lease_table_of(&lease->table, owner)->is_working = false;
	pthread_cond_broadcast(&lease->changed);
}

void sweep_lease_owe_sweep(struct sweep_lease *lease)
{
	osm_opensm_t *osm = lease->osm;

	osm->subn.force_heavy_sweep = TRUE;
	osm_sm_sweep(&osm->sm); /* which then waits for the lease to end */
}
