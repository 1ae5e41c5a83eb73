/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * One migration: the table of migration_states.def and what it needs to be driven. Pure: what
 * happens comes in as events and answers with the time they came at (microseconds of any monotonic
 * clock), what has to be done goes out as a struct migration_output; no I/O, no clock. Belongs to
 * the conductor and its thread.
 *
 * After the commit a step of the tree counts as done when the VM's own processes have done it.
 * RELEASE: all of them, since one may hold the device. Later: unless its host is missing, or all of
 * them could not; one that its host is there to miss has ended, or hangs. Whoever did not answer is
 * kept as a finding and left behind, since everybody else would have to wait for it.
 */
#ifndef TETHER_MIGRATION_H
#define TETHER_MIGRATION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "notifier/relay/interest.h"
#include "notifier/wire/gid_name.h"
#include "sm-side/migration/migration_table.h"
#include "sm-side/migration/testimony.h"

enum {
	MIGRATION_NAME_BYTES = 128, /* names of VMs, hosts and slots, with the final 0 */
	PLAN_WORD_BYTES = 16,       /* an order or a reach */
	MIGRATION_VFS_MAX = 4,      /* of a VM */
	MIGRATION_ALL_VFS = (1 << MIGRATION_VFS_MAX) - 1,
	PLAN_HASH_BYTES = 80,
	MIGRATION_GIDS_MAX = 64, /* that a VM without LIDs is known by */
};

struct identity {
	uint64_t node_guid, port_guid;
};

struct place {
	char host[MIGRATION_NAME_BYTES];
	char slot[MIGRATION_NAME_BYTES];
	uint64_t switch_guid; /* 0: not a vSwitch */
	unsigned switch_port;
	unsigned lid; /* Shared Port: of the port; else 0 */
};

/* One VF of the VM. */
#define MOVING_VF                                                                                  \
	struct place source, destination;                                                          \
	struct identity identity; /* moves with the VM */                                          \
	struct identity other;    /* was at the destination, comes to the source's slot */         \
	struct address address    /* the VM's; known from LOCATING on */

struct moving_vf {
	MOVING_VF;
};

/*
 * What a migration is about; all of it is in its first records of the journal. The first VF leads:
 * what is said of the migration's source, destination, identities and address is its.
 */
struct migration_intent {
	uint64_t id, epoch;
	char vm[MIGRATION_NAME_BYTES];
	union {
		struct {
			MOVING_VF;
		};
		struct moving_vf vfs[MIGRATION_VFS_MAX];
	};
	unsigned others;  /* VFs beside the first */
	bool fabric;      /* the SM has a part in it; else its states are stepped over */
	bool shared_port; /* the VM's LID is that of a port which it shares, and changes */
	bool dynamic;     /* dynamic LIDs: a slot without VM has no link and no LID (kind "copy") */
	bool force;
	uint64_t evacuation;                                 /* that it is part of; 0: none */
	char order[PLAN_WORD_BYTES], reach[PLAN_WORD_BYTES]; /* of its plan; "": as the SM does */
	bool called;   /* an orchestrator detaches, moves and attaches, and reports it */
	bool reattach; /* the VM is at the destination and has lost its VF; `source` shows its GUIDs
	                */
	int64_t asked_wall_us; /* microseconds since 1970 */
};

static inline unsigned migration_vf_count(const struct migration_intent *intent)
{
	return 1 + intent->others;
}

/* What peers and SM know the VM's port by goes with it to another slot. */
static inline bool migration_moves_guids(const struct migration_intent *intent)
{
	return intent->fabric || intent->shared_port;
}

/* Of its plan, for people. */
static inline const char *migration_kind(const struct migration_intent *intent)
{
	if (intent->shared_port)
		return "alias";
	return intent->dynamic ? "copy" : "swap";
}

struct migration_step {
	enum migration_state state;
	uint64_t started_us, ended_us; /* ended 0: under way */
};

struct migration_counts {
	unsigned lft_sets, lft_sets_physical, lft_sets_vswitch, pkey_sets, portinfo_sets, resent;
	unsigned lft_sets_shared; /* that are in another migration's lft_sets */
	unsigned sm_elapsed_us, copy_ms;
};

struct migration {
	struct migration_intent intent;
	const struct deadlines *deadlines;
	enum migration_state state;
	enum migration_state journalled; /* RECOVERING: what the last record says */
	enum migration_fact fact;        /* RECOVERING, LOOKING */
	unsigned awaited;                /* parties that have not answered in this state */
	bool failed;                     /* one that has answered could not */
	unsigned unlocated;      /* LOCATING: so many of its VFs, the first ones, the SM does not
	                            know */
	unsigned host_vf, sm_vf; /* which VF host and SM are asked for, one after the other */
	bool has_left; /* that VF the destination, where it may have come: before it is given back
	                */
	unsigned shown_at_source; /* VFs, as bits, whose slot at the source may show the VM's GUIDs:
	                             those leave it when the VM stays at the destination */
	unsigned may_be_there; /* VFs, as bits, that the destination was asked to attach, as far as
	                          that is known: those are taken back */
	enum migration_report awaited_report; /* before the host is asked */
	unsigned reports_taken;               /* as bits; not in the journal */
	bool waits_turn;                      /* PREPARING: nobody has been asked yet */
	bool yields;         /* all is given back for busy_with, then it begins again */
	bool abort_asked;    /* while it yields */
	unsigned waited_for; /* so many others have been let go first */
	bool committed;
	bool given_up; /* the VM's QPs were told to end with errors */
	bool applied;  /* GUIDs were touched: by APPLY or a sweep the fabric may have changed */
	bool vacated;  /* the source's slot may show other GUIDs than the VM's */
	bool unlinked; /* dynamic LIDs: its link may have gone down; the SM's sweep is to be waited
	                  for */
	unsigned leases_lost; /* how often one ran out under APPLY or UNDO */
	uint64_t busy_with; /* waits for this migration's end, or was refused because of it; 0: not
	                     */
	uint32_t sequence;
	uint64_t timer_us;                                  /* of this state; 0: none */
	uint64_t overall_us;                                /* 0: does not run yet */
	char plan_hash[MIGRATION_VFS_MAX][PLAN_HASH_BYTES]; /* of each VF; "": none */
	bool is_there[MIGRATION_VFS_MAX]; /* the SM carries it there: nothing is to be applied */
	/* Beside the address: of the other VFs, as far as they are known, or names of GIDs. */
	uint32_t other_lids[MIGRATION_GIDS_MAX];
	uint8_t (*gids)[GID_BYTES]; /* that the VM is known by, where it has no LID */
	size_t gid_count;
	struct testimony testimony;
	struct migration_step *steps;
	size_t step_count;
	struct migration_counts counts;
};

struct migration_output {
	bool entered; /* write a record of the state before anything else */
	bool durable; /* and have it on disk */
	bool give_up; /* send ERROR to VM and peers, wait for nobody */
	bool retry;   /* perform the action after a short while, not now */
	bool again;   /* LOCATING once more, and needs an epoch for that */
	enum migration_action action;
	unsigned parties;    /* who is asked; 0: all that are awaited */
	const char *refused; /* the name of why the event is not obeyed; nothing else is set */
};

void migration_init(struct migration *migration, const struct migration_intent *intent,
        const struct deadlines *deadlines);
void migration_clear(struct migration *migration);

/* Begin with LOCATING; a reattach where the VM's memory is at the destination already. */
struct migration_output migration_start(struct migration *migration, uint64_t now_us);
/*
 * Begin after a restart, with RECOVERING. @left_ms: of the overall deadline; counts after the
 * commit only. When the parties of LOOK have answered, `fact` says where the VM is.
 */
struct migration_output migration_recover(struct migration *migration,
        enum migration_state journalled, bool given_up, unsigned left_ms, uint64_t now_us);

struct migration_output migration_event(
        struct migration *migration, enum migration_event event, uint64_t now_us);

/* A party has answered: done or not. One that is not awaited is ignored. */
struct migration_output migration_answered(
        struct migration *migration, unsigned party, bool done, uint64_t now_us);
/* The SM says that there is nothing to plan for the VF of which it was asked: it is there. */
struct migration_output migration_is_there(struct migration *migration, uint64_t now_us);
/* The same for the tree; the answer's rows and findings are taken in. */
struct migration_output migration_tree_answered(
        struct migration *migration, const Tether__Answer *answer, uint64_t now_us);

/* What the orchestrator of a called migration says: its host is asked then, or the step has failed.
 * One that was taken before is taken again, and changes nothing: its answer may have been lost.
 * Refused where it is not awaited. */
struct migration_output migration_reported(
        struct migration *migration, enum migration_report report, uint64_t now_us);

/* TIMEOUT or OVERALL if one of them is due. */
struct migration_output migration_tick(struct migration *migration, uint64_t now_us);
/* When to call that; 0: never. */
uint64_t migration_next_us(const struct migration *migration);

/* PREPARE has to wait for its turn; the step's time begins when that comes. */
void migration_turn_wait(struct migration *migration);
void migration_turn_take(struct migration *migration, uint64_t now_us);

/*
 * Migration @other moves the other end of its connections: it waits for the end of that. Who has
 * been asked already is told to drop it, or to open again: in place of the end that this leads to
 * it begins again, with an epoch of its own. An abort meanwhile is the end.
 */
void migration_turn_yield(struct migration *migration, uint64_t other);

/* The step waits for another migration, which has its own deadlines. When it does so no more it has
 * all of its time; if it had not been stopped, that runs on. */
void migration_time_stop(struct migration *migration);
void migration_time_run(struct migration *migration, uint64_t now_us);

bool migration_ended(const struct migration *migration);

/* Of several VFs some may have come to the destination: on the way back each of those has to leave
 * its slot there before that gets its own GUIDs. That is to be asked of the host now. */
bool migration_takes_back(const struct migration *migration);
/* The host is asked to attach the VF of which it is asked now, or in a called migration the
 * orchestrator has done so for all. */
void migration_note_attach(struct migration *migration);
/* The first VF from @vf on that the host is asked of in its state; migration_vf_count: none. */
unsigned migration_vf_from(const struct migration *migration, unsigned vf);
/* How many orders, one after the other, @state is for the same party: each has its own time. */
unsigned migration_orders_of(const struct migration *migration, enum migration_state state);
/* It has no LID: its processes announce by which GIDs it is known (gid_name.h). */
static inline bool migration_is_by_gids(const struct migration_intent *intent)
{
	return is_gid_name(intent->address.lid);
}

/* The VM is known by @gid, too, from now on, if it was not. -ENOSPC: by too many; -ENOMEM */
int migration_gid_add(struct migration *migration, const uint8_t gid[GID_BYTES]);
/* Of one of these. */
static inline struct address migration_gid_address(const struct migration *migration, size_t index)
{
	struct address address = {.lid = gid_name(migration->gids[index])};

	memcpy(address.gid, migration->gids[index], GID_BYTES);
	return address;
}

/* Fill in `other_lids`; how many. They are the testimony's, too, from then on. */
size_t migration_other_lids(struct migration *migration);

#endif
