/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * What a relay knows; shared by relay.c (its making, its parent, time), relay_events.c (events as
 * they come), relay_handing.c (who is handed them), relay_answers.c (their answers),
 * relay_links.c (links from below), relay_hello.c (who is at their other end), relay_children.c
 * (what comes from there), relay_ended.c (processes that have ended), relay_renewal.c (events that
 * are asked anew), relay_behind.c (hosts behind agents between), relay_returning.c (agents between
 * that come back), relay_absence.c (VMs without a device), relay_numbers.c (numbers that are taken
 * in a VM), relay_moved.c (VMs that have moved), relay_quarantine.c (who is late), relay_places.c
 * (where VMs are), relay_partings.c (connections of rdma_cm that are let go of), relay_partitions.c
 * (who may talk to whom), relay_reports.c (how the agents are), relay_versions.c (what is spoken
 * with whom), relay_holders.c (who holds a device), relay_missed.c (ends that somebody has missed)
 * and relay_guests.c (agents in VMs that are about to come), and by nobody else.
 */
#ifndef TETHER_RELAY_STATE_H
#define TETHER_RELAY_STATE_H

#include "notifier/relay/children.h"
#include "notifier/relay/lid_claims.h"
#include "notifier/relay/registration.h"
#include "notifier/relay/relay.h"
#include "notifier/relay/requests.h"
#include "notifier/relay/roster.h"
#include "notifier/relay/tally.h"
#include "notifier/relay/vm_places.h"
#include "notifier/wire/pieces.h"

enum { RELAY_NAME_BYTES = 255, RELAY_BEGUN_MAX = 32, RELAY_VMS_MAX = 4096 };

struct open_event {
	struct open_event *next;
	const Tether__Event *event; /* in pieces, but for those whom it expects */
	struct pieces pieces;
	struct roster *roster; /* whom the event expects; NULL: nobody is named */
	struct tally *tally;
	struct tally *before; /* of those that were renewed, the one that tells of the most */
	struct {
		char **names; /* the event's, of the child that was looked at last */
		size_t count, room;
	} of_child;
	/* Who holds the device and is not here, when all others had answered first. */
	struct strangers {
		uint32_t *pids;
		size_t count, room;
		bool looked;
	} strangers;
	uint64_t due_ms;      /* the answer goes up */
	uint64_t children_ms; /* theirs should be here */
	uint64_t overall_ms;  /* when the overall deadline is over; 0: not said */
	unsigned renewals;    /* so often everybody was asked anew */
};

/* What was answered, for repeats. */
struct answered {
	struct answered *next;
	struct event_key key;
	size_t told; /* of so many names */
	size_t size;
	uint8_t packed[];
};

struct ended_name {
	uint64_t hash;
	char *text;
};

/* Processes of a VM that have ended: events go on expecting them to the end of the migration. */
struct ended {
	struct ended *next_vm;
	struct ended_name *names;
	size_t count, room;
	size_t next; /* where no room is left: the oldest */
	char vm[];
};

struct vm_numbers {
	uint32_t *qpns; /* in order */
	size_t count;
};

struct vm_state {
	struct vm_state *next;
	bool is_here;
	uint64_t epoch; /* of its last event */
	uint64_t migration;
	Tether__Event *released; /* RELEASE, until RESUME: who starts now opens no device */
	uint64_t released_until_ms;
	Tether__Event *end;        /* of its last migration that has ended here; NULL: none */
	uint64_t guest_until_ms;   /* so long the agent in it has to come; 0: none is to */
	struct vm_numbers numbers; /* that a new QP may not have */
	uint32_t order_sequence;   /* of its last order for us in this epoch */
	uint64_t moved_epoch;      /* of the last news that it has moved */
	uint64_t held_epoch;       /* of the last event that was refused for who holds its device */
	char name[];
};

struct relay {
	struct relay_settings settings;
	char *name;
	const struct relay_outputs *outputs;
	void *owner;
	struct children children;
	struct registration *registration;
	struct vm_places *places;
	struct {
		uint32_t *pkeys; /* of the address that was looked at last */
		size_t count, room;
	} pkeys_at;
	struct vm_state *vms;
	struct open_event *open;   /* in the order in which they came */
	struct rosters rosters;    /* of those that came last */
	struct answered *answered; /* the newest first */
	struct ended *ended;       /* of each VM that had any */
	struct event_key last;     /* migration 0: none under way */
	uint64_t
	        begun[RELAY_BEGUN_MAX]; /* migrations whose end has not come by, the oldest first */
	size_t begun_count;
	uint64_t epoch;
	uint32_t parent_version;
	bool parent_is_up;     /* it has answered HELLO; the root's owner never does */
	uint64_t welcome_ms;   /* when it did so first; 0: never */
	uint64_t settled_ms;   /* when it was last looked at what can be answered */
	uint32_t report_asked; /* the latest question for reports */
	unsigned reports_due;  /* children from whom more may come */
	struct relay_counts counts;
	uint64_t silence_ms;   /* when the first host behind a child that is away, or is to come
	                          back, has been it for too long: not later than that */
	bool may_return;       /* an agent between is waited for so; false: none is */
	bool silence_is_stale; /* what follows may have made it earlier, or it is over */
};

/* relay.c */
struct vm_state *relay_vm_find(const struct relay *relay, const char *name);
/* NULL: no memory. */
struct vm_state *relay_vm_make(struct relay *relay, const char *name);
/* What @migration's barrier held goes on; also who has been away for too long is forgotten now. */
void relay_barrier_lift(struct relay *relay, uint64_t migration);
/* False: a higher epoch could not be stored. */
bool relay_epoch_raise(struct relay *relay, uint64_t epoch);
void relay_open_destroy(struct open_event *open);

/* relay_events.c */
struct open_event *relay_open_find(const struct relay *relay, const struct event_key *key);
/* Everybody whom it concerns is asked anew. */
void relay_open_renew(struct relay *relay, struct open_event *open, uint64_t now_ms);
/* It is about to be answered; where not all were in time to answer anew what was known before may
 * be more. */
void relay_open_close(struct open_event *open);

/* relay_renewal.c */
/* What is open here of @event, or was answered, names fewer: it is forgotten, to be asked anew. */
void relay_narrower_forget(struct relay *relay, const Tether__Event *event);
/* @host is behind @child now. */
void relay_host_came(
        struct relay *relay, const struct child *child, struct host_behind *host, uint64_t now_ms);
/* @child has answered @open, maybe a copy that did not name all who are behind it now. */
void relay_answer_look(
        struct relay *relay, const struct child *child, struct open_event *open, uint64_t now_ms);

/* relay_quarantine.c */
/* @child's answer to @event is waited for. */
bool relay_waits_for(const struct child *child, const Tether__Event *event);
/* @open is about to be answered: who has been handed it and has not answered is late. */
void relay_late_note(struct relay *relay, struct open_event *open);
/* @child has said something. */
void relay_heard(struct child *child);

/* relay_moved.c */
/* It moves nothing and ends nothing. */
bool step_is_news(Tether__Step step);
/* News that this relay has had; it is answered then. */
bool relay_moved_is_known(struct relay *relay, const Tether__Event *event);
/* To the owner, if it is news. */
void relay_moved_say(struct relay *relay, const Tether__Event *event);

/* relay_handing.c */
/* Everybody whom @open concerns: who is here is handed it, who is expected is waited for. */
void relay_hand_out(struct relay *relay, struct open_event *open, uint64_t now_ms);
/*
 * @child is here, again, or has got a VM: it gets what is open and concerns it. What it was handed
 * over a link that it has lost since, it gets again (@again).
 */
void relay_events_hand(struct relay *relay, const struct child *child, bool again, uint64_t now_ms);
/* @child has said that it has interest in something: news that wait for it to come may be of that.
 */
void relay_news_hand(struct relay *relay, const struct child *child, uint64_t now_ms);
/* Whether it has it already or not. */
void relay_event_hand(
        struct relay *relay, const struct child *child, struct open_event *open, uint64_t now_ms);
/* It has interest in the VM's address, or those behind it had that are to come back. */
bool relay_is_known_to(
        const struct relay *relay, const struct child *child, const Tether__Event *event);
/* It has an order for this relay's owner. */
bool relay_order_is_ours(const struct relay *relay, const Tether__Event *event);
/* The owner may finish the order, and with it the event, before this returns. */
void relay_order_start(struct relay *relay, struct open_event *open, uint64_t now_ms);

/* relay_ended.c */
/* The process @name of @vm has ended, and is not waited for. */
void relay_ended_note(struct relay *relay, const char *vm, const char *name);
/* Another of that name, in a VM that was started again. */
void relay_ended_lives(struct relay *relay, const char *name);
bool relay_has_ended(struct relay *relay, const char *name);
void relay_ended_clear(struct relay *relay);

/* relay_answers.c */
bool step_ends_migration(Tether__Step step);
void relay_answer_up(struct relay *relay, const Tether__Answer *answer);
void relay_refuse_up(
        struct relay *relay, const Tether__Event *event, const char *reason, const char *text);
bool relay_was_answered(const struct relay *relay, const struct event_key *key);
/* The same again. */
void relay_answer_again(struct relay *relay, const struct event_key *key);
/* If it told of fewer than @names. */
void relay_answered_forget(struct relay *relay, const struct event_key *key, size_t names);
/* Answer what can be answered; after each change of a tally. */
void relay_settle(struct relay *relay, uint64_t now_ms);

/* What was begun here of @migration is over. */
void relay_migration_ends(struct relay *relay, uint64_t migration);

/* relay_missed.c */
/* @event has been answered here and ends its migration. */
void relay_missed_note(struct relay *relay, const Tether__Event *event);
void relay_missed_forget(struct vm_state *vm);
/* It has been given to children beside what is open. */
bool relay_missed_is(const struct relay *relay, const struct event_key *key);
/* @child, a process or an agent in a VM, is welcome: what it has missed. */
void relay_missed_tell(struct relay *relay, const struct child *child, const Tether__Hello *hello);
/* In a guest: where its VM is, by the root. */
void relay_missed_look(struct relay *relay, const Tether__VmPlace *place);

/* relay_guests.c */
/* PREPARE for a VM that is here waits for the agent in it. */
bool relay_guest_may_come(
        const struct relay *relay, const struct open_event *open, uint64_t now_ms);
/* Until when; UINT64_MAX: it does not. */
uint64_t relay_guest_next(const struct relay *relay, const struct open_event *open);

/* relay_absence.c */
/* @hello names @migration among those that are open there. */
bool hello_takes_part(const Tether__Hello *hello, uint64_t migration);
/* An event that was taken: RELEASE, ATTACH and the orders that bring the device begin @event's VM's
 * absence, every other step to it but RECONNECT ends it. */
void relay_absence_note(struct relay *relay, const Tether__Event *event, uint64_t until_ms);
void relay_absence_end(struct vm_state *vm);
/* Before the process @child is welcome; its HELLO names the migrations that it takes part in. */
void relay_absence_tell(struct relay *relay, const struct child *child, const Tether__Hello *hello,
        uint64_t now_ms);

/* For the HelloAnswer to a guest that has not been there: the RELEASE of its VM; NULL: it is not
 * without its device, or knows. The relay's. */
Tether__Event *relay_absence_unknown_to(struct relay *relay, const struct child *child,
        const Tether__Hello *hello, uint64_t now_ms);
/* From the HelloAnswer to this relay, in a guest. */
void relay_absence_learn(struct relay *relay, const Tether__Event *released, uint64_t now_ms);

/* relay_numbers.c */
/* An event that was taken, a HELLO that is accepted: what they say of numbers. */
void relay_numbers_note(struct relay *relay, const Tether__Event *event);
void relay_numbers_learn(
        struct relay *relay, const struct child *child, const Tether__Hello *hello);
/* For @child to know; the relay's. */
void relay_numbers_fill(
        const struct relay *relay, const struct child *child, Tether__HelloAnswer *answer);
void relay_numbers_clear(struct vm_state *vm);

/* relay_behind.c */
/* The host @name, or an agent of that name, is here and not (behind) @child. */
bool relay_host_is_elsewhere(
        const struct relay *relay, const struct child *child, const char *name);
/* The owner's, against a host that is or is behind the child of @link; NULL: none. */
const char *relay_host_objection(
        struct relay *relay, uint32_t link, const Tether__HostBehind *said, const char **text);
/* @child, if it is a host, has said HELLO. -ENOMEM */
int relay_host_here(
        struct relay *relay, struct child *child, const Tether__Hello *hello, uint64_t now_ms);
/* What @child says of a host behind it. -EPROTO: it is in no place to */
int relay_behind_take(
        struct relay *relay, struct child *child, const Tether__HostBehind *said, uint64_t now_ms);
/* What a host has now, by its own word; @is_asked: for it. */
void relay_result_take(struct relay *relay, struct child *child, const Tether__HostResult *result,
        bool is_asked, uint64_t now_ms);
/* A host that is or is behind any child has it. */
bool relay_vm_is_below(const struct relay *relay, const char *vm);
/* Its link has ended. */
void relay_hosts_lost(struct relay *relay, struct child *child, uint64_t now_ms);
/* The parent is new, or new again. */
void relay_hosts_say(struct relay *relay);
/* All that are here have been said to it, and what they hold. */
void relay_hosts_all(struct relay *relay);
/* The parent does not want it. */
void relay_host_refused(struct relay *relay, const Tether__HostBehind *said);
/* When the first that is away is forgotten; UINT64_MAX: none. */
uint64_t relay_hosts_next(const struct relay *relay);
void relay_hosts_tick(struct relay *relay, uint64_t now_ms);

/* relay_returning.c */
/* @child has said HELLO: the member that keeps what it does not name any more; 0: nothing does. */
uint32_t relay_returning_member(struct relay *relay, struct child *child, uint64_t now_ms);
/* When the first that are not back are not waited for any more; UINT64_MAX: none. */
uint64_t relay_returning_next(const struct relay *relay);
/* Hosts have come back, with what they hold, or are not expected any more. */
void relay_returning_look(struct relay *relay, uint64_t now_ms);

/* relay_reports.c */
/* Its link has ended. */
void relay_reports_gone(struct relay *relay, struct child *child);
/* @child is forgotten. */
void relay_reports_forget(struct relay *relay, struct child *child);
/* @child answers the latest question, for itself or for somebody behind it. */
void relay_report_take(struct relay *relay, struct child *child, const Tether__Report *report);

/* relay_partings.c */
/* @child says it. */
void relay_parting_take(
        struct relay *relay, const struct child *child, const Tether__Parting *parting);
/* The parent does. */
void relay_parting_hand(struct relay *relay, const Tether__Parting *parting);

/* relay_places.c */
/* @host has come, which is @child or behind it; the agent in a VM has. */
void relay_places_say_host(struct relay *relay, const struct child *child, const char *host);
void relay_places_say_guest(struct relay *relay, const struct child *child);
/* By what is known here. Until something of it changes. */
struct lid_owners relay_lid_owners(const struct relay *relay);
/* For the registrations (registration.h); @at: the relay. */
bool relay_may_announce(
        void *at, uint32_t member, const char *asker, const struct address *address);

/* relay_partitions.c */
/* For the registrations (registration.h); @at: the relay. */
const uint32_t *relay_pkeys_at(void *at, const struct address *address, size_t *count);
bool relay_may_ask(void *at, const struct request *request, const uint32_t *pkeys, size_t count);
/* One of @child's VMs may talk to the VM of @event, or nobody knows. */
bool relay_may_hear(
        const struct relay *relay, const struct child *child, const Tether__Event *event);

/* relay_hello.c */
/* The first that @child says. -EACCES: it is refused, and has been told. */
int relay_hello_take(
        struct relay *relay, struct child *child, const Tether__Hello *said, uint64_t now_ms);
/* For how many it speaks: quotas are so many times a child's. */
unsigned relay_child_weight(const struct child *child);
/* A HELLO is refused, or one that was accepted is not any more; the link is the caller's to end. */
int relay_hello_refuse(
        struct relay *relay, const struct child *child, const char *reason, const char *text);
bool relay_name_is_clean(const char *name);

/* relay_holders.c */
/* PREPARE or SETTLE for a VM that is here is about to be answered: whoever holds its device and is
 * not here is refused. */
void relay_holders_refuse(struct relay *relay, struct open_event *open);
/* Not yet: some who hold it may be on their way back to this relay, which was started again. */
bool relay_holders_may_come(struct relay *relay, struct open_event *open, uint64_t now_ms);
/* Until when they are waited for; UINT64_MAX: nobody is. */
uint64_t relay_holders_next(const struct relay *relay, const struct open_event *open);
/* @child has said HELLO. */
void relay_holders_came(struct relay *relay, const struct child *child);

/* relay_versions.c */
/* What @child does not know of it is left out. */
void relay_child_say(struct relay *relay, const struct child *child, const Tether__Frame *frame);
/* -EACCES: none is known to both, and @child has been told. */
int relay_version_agree(struct relay *relay, struct child *child, const Tether__Hello *hello);
/* @child takes part in @event by speaking less than that needs: its answer is given in its stead.
 */
bool relay_needs_refuse(
        const struct relay *relay, const struct child *child, struct open_event *open);
/* The oldest that is spoken with a process of @vm; 0: there are none. */
uint32_t relay_oldest_of(const struct relay *relay, const char *vm);

/* relay_children.c */
enum { RELAY_LABEL_BYTES = RELAY_NAME_BYTES + 128 };
/* Stands for `who` where a refusal names nobody: "vm1/4711 ib_write_bw", or a relay's name. */
void relay_child_label(const struct child *child, char *label, size_t size);
void relay_child_forget(struct relay *relay, struct child *child);
/* It is not here any more, whether it has ended or lives on elsewhere: nobody waits for it. */
void relay_child_left(struct relay *relay, struct child *child);

#endif
