/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Holds OpenSM's sweeps off for the short time in which identities change places, and tells when
 * OpenSM is at rest.
 *
 * OpenSM has one sweeper thread, which takes up what is signalled to it only between two sweeps.
 * A signal that asks for nothing and has been taken up therefore proves that whatever ran before is
 * over, also after one of the sweep's early returns, which raise no event. A heavy sweep that
 * begins while a lease is held waits in sweep_lease_sweep_begins, on the sweeper's own thread;
 * light sweeps only read, and a forced reroute works on what the model says at that moment, under
 * the lock.
 *
 * A lease belongs to an owner (a connection) and a migration. It ends by release, by its time, with
 * its owner. Several hold it at once where what they move is known and not the same. From the
 * moment that a sweep waits nobody joins them, so it waits until the last of those who hold it then
 * has ended: for SWEEP_LEASE_MAX_MS from when that one was granted it or has renewed it.
 *
 * All functions but sweep_lease_sweep_begins are for the plugin's own threads; none may
 * be called with OpenSM's lock held.
 */
#ifndef TETHER_SWEEP_LEASE_H
#define TETHER_SWEEP_LEASE_H

#include <stdbool.h>
#include <stdint.h>

#include "sm-side/plugin/lease_table.h"
#include "sm-side/plan/refusal.h"

struct osm_opensm;
struct sweep_lease;

enum {
	SWEEP_LEASE_MAX_MS = 10000,
};

struct sweep_lease *sweep_lease_create(struct osm_opensm *osm);
/* Nobody may be inside any more; OpenSM's sweeper has ended. */
void sweep_lease_destroy(struct sweep_lease *lease);
/* From now on nothing is held and every wait ends at once. */
void sweep_lease_shut_down(struct sweep_lease *lease);

struct lease_wish {
	const char *migration;
	unsigned ms, wait_ms;
	struct lease_claim claim; /* the caller's to clear; taken over where it is needed */
	uint64_t meets;           /* port GUID of who moves under another's lease. 0: nobody */
};

/*
 * Take the lease for @wish->ms, waiting up to @wish->wait_ms for holders that exclude it to let go,
 * and for OpenSM to come to rest where nobody else holds it. Where OpenSM owes a sweep (an error, a
 * change seen), that is let through first. Who holds it already for that migration has it for so
 * long from now on, and for that plan, where nobody else holds it for some of that. BUSY,
 * NOT_MASTER, SHUTTING_DOWN. @owner is not 0.
 */
enum refusal sweep_lease_take(struct sweep_lease *lease, unsigned owner, struct lease_wish *wish);
/* Returns whether it was held. */
bool sweep_lease_release(struct sweep_lease *lease, unsigned owner, const char *migration);
void sweep_lease_owner_gone(struct sweep_lease *lease, unsigned owner);

/*
 * Begin work under the lease; sweeps stay held off until sweep_lease_leave, even if the time runs
 * out meanwhile, so be done by *@deadline_ns. @plan: what is carried out, and what the lease is
 * held for from now on; NULL: nothing is moved. NO_LEASE; NO_MEMORY; BUSY: another one holds the
 * lease to move some of that.
 */
enum refusal sweep_lease_enter(struct sweep_lease *lease, unsigned owner, const char *migration,
        const struct plan *plan, uint64_t *deadline_ns);
void sweep_lease_leave(struct sweep_lease *lease, unsigned owner);
/* Have OpenSM sweep as soon as the last of those who hold the lease now has ended. */
void sweep_lease_owe_sweep(struct sweep_lease *lease);
/* For which migration @owner holds it: @migration, LEASE_NAME_BYTES. */
bool sweep_lease_is_held(struct sweep_lease *lease, unsigned owner, char *migration);

/* Wait until the sweeper has carried out what was signalled before; true also where it waits for
 * us. False: not by the deadline. */
bool sweep_lease_sweeper_caught_up(struct sweep_lease *lease, uint64_t deadline_ns);

/* A sweep waits for the lease to end. */
bool sweep_lease_sweep_waits(struct sweep_lease *lease);
/* Master, configured, and the sweeper idle within @wait_ms. */
bool sweep_lease_is_quiet(struct sweep_lease *lease, unsigned wait_ms);
/* Master, and the subnet has been configured once. */
bool sweep_lease_is_master(const struct sweep_lease *lease);

/* HEAVY_SWEEP_START, on the sweeper's thread: returns when the sweep may go on. */
void sweep_lease_sweep_begins(struct sweep_lease *lease);

#endif
