/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * What the rooms of the conductor share: conductor.c begins migrations and ends them on request,
 * conductor_places.c tells the directory of them, conductor_release.c what the operator says of it,
 * conductor_drive.c performs what a state machine puts out, conductor_turn.c keeps those apart that
 * concern the same processes, conductor_lease.c lets them wait for each other's lease,
 * conductor_ask.c asks and takes answers, conductor_recovery.c deals with what was before;
 * vm_changer.c and its rooms drive VMs that get or give up a VF (vm_changer_state.h).
 */
#ifndef TETHER_CONDUCTOR_STATE_H
#define TETHER_CONDUCTOR_STATE_H

#include <event2/util.h>

#include "sm-side/conductor/conductor.h"
#include "sm-side/directory/directory_locator.h"
#include "sm-side/root/root.h"
#include "sm-side/root/sm_link.h"
#include "sm-side/vm_change/vm_changer.h"

enum { US_PER_S = 1000000 };

/* One migration that is being driven. */
struct drive {
	struct conductor *conductor;
	struct ledger_entry *entry; /* NULL: none */
	struct sm_link *sm;         /* of its own, since the lease is a link's; NULL: no fabric */
	struct event *timer, *retry;
	/* What is asked now and not answered. */
	uint32_t tree_sequence, host_sequence;
	uint64_t sm_id;
	uint64_t places_asked; /* LOCATING: locator_ask_all; 0: not yet */
	bool sm_carried;
	uint64_t sm_turn;   /* by which it asked for something to be applied or undone */
	bool lease_is_lost; /* the SM went away since it was asked for one */
	bool apply_asked;   /* so what the SM has done, or not, is not known here */
	enum migration_action sm_action;
	size_t findings_logged;
	const char *host;                  /* who has host_sequence */
	enum migration_action held_action; /* waits for its host to connect */
};

struct conductor {
	struct event_base *base;
	struct vm_changer *vms; /* those that get or give up a VF */
	const struct deadlines *deadlines;
	struct ledger *ledger;
	const struct evacuations *evacuations;
	struct journal *journal;
	struct directory *directory;
	struct locator *locator; /* NULL: no fabric */
	struct root *root;
	struct event *next, *turn;
	struct drive *drives;
	unsigned drive_count;
	uint64_t sm_turns;           /* the last one's */
	uint64_t ended[STATE_COUNT]; /* so many migrations since the start, by their end */
	bool has_fabric;
	bool closing; /* nothing new begins */
	/* A slot's GUIDs that are being set right outside of any migration; epoch 0: none. */
	struct mending *mendings;
	struct mending_again *mendings_again; /* hosts that are told again by time */
	void (*changed)(void *owner);
	void *owner;
};

#define EACH_DRIVE(c, d)                                                                           \
	for (struct drive *d = (c)->drives; d < (c)->drives + (c)->drive_count; d++)
#define EACH_AT_WORK(c, d)                                                                         \
	EACH_DRIVE(c, d)                                                                           \
	if (d->entry)

/* conductor.c */

/* One that has nothing to do; NULL: all have. */
struct drive *conductor_free_drive(const struct conductor *c);

/* conductor_drive.c */

/* Its migration, or NULL. */
struct migration *drive_migration(const struct drive *d);
void drive_perform(struct drive *d, struct migration_output output);
/* Be called when the migration's next deadline is due. */
void drive_timer_arm(struct drive *d);
/* The same for any event's timer; @due in us of the monotonic clock, 0: not at all. */
void conductor_timer_arm(struct event *timer, uint64_t due);
/* Feed an event; NULL, or the name of why it was refused. */
const char *drive_feed(struct drive *d, enum migration_event event);
/* Callbacks of its events. */
void drive_timer_due(evutil_socket_t unused, short what, void *drive);
void drive_retry_due(evutil_socket_t unused, short what, void *drive);
/* By which GIDs the VM is known, where it has no LID, before anybody is asked. False: by too many,
 * or they could not be kept; it has ended there. */
bool drive_gids_find(struct drive *drive);
/* Note what has been found here, for the migration's status. */
void conductor_find(struct migration *migration, const char *reason, const char *text);
/* From now on the VM's numbers at each of its addresses are those of its rows, or there are none.
 */
void conductor_numbers_set(struct conductor *c, const struct migration *m);
void conductor_numbers_clear(struct conductor *c, const struct migration *m);
/* Keep of an ended migration what late peers ask for, and let the rest go. */
void conductor_rows_let_go(struct conductor *c, struct migration *migration);

/* conductor_log.c: lines of the log about its migration */

void drive_log_asked(const struct drive *d);
/* What has been found and is not in the log yet. */
void drive_log_findings(struct drive *d);
/* The state that it has entered, after what led there. */
void drive_log_state(struct drive *d);
void drive_log_end(struct drive *d);
/* @refused: the name of why it is not obeyed; NULL: it is. */
void drive_log_said(const struct drive *d, const char *what, const char *refused);
void drive_log_reported(const struct drive *d, enum migration_report report, const char *refused);

/* conductor_record.c: 0, or what journal_append says, which has been logged */

int conductor_append(struct conductor *c, const struct record *records, size_t count, bool durable);
int conductor_record_epoch(struct conductor *c, uint64_t epoch);
/* After the ends that are owed. */
int conductor_record_intent(struct conductor *c, const struct migration_intent *intent);
/* The state that the migration has just entered. */
int drive_record_state(struct drive *d, bool durable);
/* Ends that the journal did not take when they came. Until it has, nothing new is written: what a
 * successor takes for under way would be led on though its VM has gone elsewhere since. */
int conductor_record_ends(struct conductor *c);
/* By which GIDs its VM is known. */
int drive_record_gids(struct drive *d);
/* The plan in the SM's @answer; it need not be on disk before a state that asks for its APPLY. */
int drive_record_plan(struct drive *d, struct json_object *answer);

/* conductor_places.c */

/* The journal takes what it is owed of whose things are. As journal_append; nothing is logged. */
int conductor_places_write(struct conductor *c);
/* A callback of the root. */
void conductor_places_changed(void *conductor);
void conductor_places_restore(struct conductor *c);
/* Whoever has no LIDs and P_Keys yet is asked for. */
void conductor_look(struct conductor *c);
/* What a host has now, by its result. */
void conductor_result_take(struct conductor *c, const char *host, const Tether__HostResult *result);
/* LIDs and P_Keys of all VMs are as the SM has them now, or it cannot say; else it is being asked,
 * and drive_places_known follows. */
bool conductor_places_are_known(struct drive *d);
extern const struct locator_callbacks conductor_locator_callbacks;
/* After its record; the end before it. */
void conductor_migration_begins(struct conductor *c, const struct migration *migration);
void conductor_migration_ends(struct conductor *c, const struct migration *migration);
void conductor_change_begins(struct conductor *c, const struct vm_change *change);
void conductor_change_ends(struct conductor *c, const struct vm_change *change);

/* conductor_turn.c */

/* It may ask to PREPARE. False: it waits for its turn, or has been refused. */
bool turn_take(struct drive *d);
/* Some process that has answered is in a VM that moves, too. It has been noted then. */
bool turn_is_shared(struct drive *d, const Tether__Answer *answer);
/* A migration has gone on: who waits, for a turn or for the lease, looks again, from the loop. */
void turns_may_have_come(struct conductor *c);
void turns_due(evutil_socket_t unused, short what, void *conductor);

/* conductor_lease.c */

/* Its migration asks the SM for the lease, for something that is done under it, or waits for a
 * sweep: others may come before it. */
bool sm_is_queued_for(struct drive *d);
/* It asks now. */
void sm_queue_join(struct drive *d);
/* Of one that does: its time runs, unless others come before. */
void sm_queue_time(struct drive *d);
/* One of ours has it, a migration or a VM that comes or goes. */
bool conductor_lease_is_taken(const struct conductor *c);

/* conductor_ask.c */

/* LOCATING goes on. */
void drive_places_known(struct drive *d);
/* Ask those of @parties that are awaited. */
void drive_ask(struct drive *d, enum migration_action action, unsigned parties);
/* Tell VM and peers that the VM's QPs end with errors. */
void drive_tell_error(struct drive *d);
extern const struct root_callbacks conductor_root_callbacks;
extern const struct sm_link_callbacks drive_sm_callbacks;

/* conductor_recovery.c */

/* As many as can be driven: go on with what was before the restart. */
void conductor_recover_next(struct conductor *c);
/* One that was under way before the restart and is not driven yet; NULL: all are. */
const struct migration *conductor_left_over(const struct conductor *c);
/* Numbers of VMs that have moved, from the journal. */
void conductor_numbers_restore(struct conductor *c);
/* @host has migration @id open. If it has ended here, or was never known: tell it how it ended. */
void conductor_tell_end(struct conductor *c, const char *host, uint64_t id);

/* conductor_news.c */

/* If it is done: whom its news concern. Before the record of that. */
void news_find(struct drive *d);
/* If there are any that are not said: say them. */
void news_say(struct conductor *c, struct ledger_entry *entry);
/* All that a predecessor, or a lack of memory, has left unsaid. */
void news_say_left(struct conductor *c);
/* Is it the answer to news? Then it has been taken. */
bool news_answered(struct conductor *c, const Tether__Answer *answer);

/* conductor_mending.c */

/* Where a free slot of @host still shows a GUID that a VM holds elsewhere, have it set right; not
 * where slot or VM is under way. As long as one does, it is looked at again by time. */
void conductor_mend_guids(struct conductor *c, const char *host);
/* Its link is another: what it was told it may not have heard, and what other hosts show may be a
 * GUID of its VMs. */
void conductor_mend_guids_again(struct conductor *c, const char *host);
/* Is it the answer to that? Then it has been taken. */
bool conductor_mended_guids(struct conductor *c, const Tether__Answer *answer);
void conductor_mendings_clear(struct conductor *c);

#endif
