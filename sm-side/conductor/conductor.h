/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Drives migrations, several at a time where they do not concern each other: performs what the
 * state machine puts out (journal, tree, hosts, SM, timers) and feeds back what happens. At start
 * it first brings to its end what the journal says was under way. Owns the root of the tree and the
 * link to the SM; the ledger and the journal are its caller's and must outlive it. Lives in the
 * thread of its event_base.
 */
#ifndef TETHER_CONDUCTOR_H
#define TETHER_CONDUCTOR_H

#include "sm-side/conductor/evacuation.h"
#include "sm-side/journal/journal.h"
#include "sm-side/journal/ledger.h"

struct agent_poll;
struct credentials;
struct event_base;
struct relay;
struct conductor;
struct directory;
struct vm_changer;
struct vm_changes;

struct conductor_settings {
	const char *listen;              /* addresses for agents (notifier/link/listener.h) */
	struct credentials *credentials; /* of its TLS; NULL: none. Outlive the conductor */
	const char *sm_socket;           /* NULL: there is no SM */
	bool signal_mad;                 /* agents are told of events by notices, through the SM */
	const struct deadlines *deadlines;
	unsigned migrations_max;               /* at a time */
	const struct evacuations *evacuations; /* hosts that are being emptied take nobody */
	struct vm_changes *changes;            /* from the journal */
	struct directory *directory;           /* the same; outlives the conductor */
};

/* @changed, from the loop or from inside conductor_migrate and conductor_abort: something is new in
 * a migration. NULL with errno. */
struct conductor *conductor_create(struct event_base *base,
        const struct conductor_settings *settings, struct ledger *ledger, struct journal *journal,
        void (*changed)(void *owner), void *owner);
/* Begin nothing any more, and bring what is under way to its end: what is not committed is aborted.
 */
void conductor_close(struct conductor *conductor);
/* Is anything being driven that somebody has been asked for? */
bool conductor_is_at_work(const struct conductor *conductor);
/* What the settings point to is another: for links that stand, too. */
void conductor_deadlines_changed(struct conductor *conductor);
/* The credentials have been read again (root.h). */
void conductor_credentials_changed(struct conductor *conductor);
/* What is under way stays in the journal. */
void conductor_destroy(struct conductor *conductor);

struct conductor_wish {
	const char *vm, *to;       /* to this host */
	const char *order, *reach; /* of its plan; NULL: as the SM does */
	bool force;
	bool called;         /* by whoever detaches, moves and attaches, and reports that */
	uint64_t evacuation; /* that it is part of; 0: none */
};

/* Begin to move a VM. */
struct admission conductor_migrate(
        struct conductor *conductor, const struct conductor_wish *wish, uint64_t *id);
/* A new evacuation, which nobody has begun yet (evacuation.h). */
struct admission conductor_evacuation(
        struct conductor *conductor, const struct evacuation_wish *wish, struct evacuation **made);
/* Where this VM of it is to go, in *@host. "busy": as many as may be are under way. */
struct admission conductor_destination(const struct conductor *conductor,
        const struct evacuation *evacuation, const struct evacuee *evacuee, const char **host);
/* The orchestrator of a called migration reports. NULL, or the name of why it is not obeyed. */
const char *conductor_report(
        struct conductor *conductor, uint64_t id, enum migration_report report);
/* NULL: it will be aborted (or is being so); otherwise the name of why not. */
const char *conductor_abort(struct conductor *conductor, uint64_t id);

/* The VMs that get or give up a VF. */
struct vm_changer *conductor_vms(const struct conductor *conductor);

/* What has not ended; its list is the caller's to free. False: no memory. */
bool conductor_under_way(const struct conductor *conductor, struct under_way *under_way);
/* Microseconds since 1970. */
int64_t conductor_wall_us(void);
/* How many migrations have ended since the start, by state (STATE_COUNT of them). */
const uint64_t *conductor_ended(const struct conductor *conductor);
/* The relay at the root of the tree. */
const struct relay *conductor_relay(const struct conductor *conductor);
/* Who asks the agents how they are. */
struct agent_poll *conductor_agents(const struct conductor *conductor);
/* Who has which VM and slot, and who says so besides. */
const struct directory *conductor_directory(const struct conductor *conductor);
/* By the operator's word @vm is not its host's any more; in *@host whose it is then, "" nobody's.
 * Not for longer than the next call. */
struct admission conductor_release(
        struct conductor *conductor, const char *vm, bool force, const char **host);
/* By the operator's word that server will not come back: nothing is its any more. */
struct admission conductor_forget(struct conductor *conductor, const char *host);
const struct inventory *conductor_inventory(const struct conductor *conductor);
/* Which VM's processes announce which GIDs. */
const struct gid_book *conductor_gids(const struct conductor *conductor);
bool conductor_has_fabric(const struct conductor *conductor);
bool conductor_sm_is_up(const struct conductor *conductor);
const struct ledger *conductor_ledger(const struct conductor *conductor);

#endif
