/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * The relay: an event comes once from above, goes once to each child that is concerned, and ONE
 * answer goes back. The same code at each level: in tether-smd (the root), in the agent of a
 * physical server, in the agent of a guest. Pure: no descriptors, no clock (time is passed in, in
 * milliseconds of any monotonic clock), all output through `struct relay_outputs`. One thread.
 *
 * Who is concerned by an event (tether.proto): with `to_vm` the children of that VM, with
 * `to_peers` those with interest in its address that are not of that VM and have one that may talk
 * to it (`pkeys`), and whoever `expected` names, as soon as they are there. A child's copy says
 * only what is meant for it: `to_vm` where it has the VM, `to_peers` where it has the interest, of
 * `expected` the names of its own VMs. An `order` is for this relay's owner if it names this
 * relay's host, otherwise for the child of that name.
 *
 * The owner may call the relay again from inside parent_send, child_answered, order, hello and
 * host, not from inside child_send and child_close.
 */
#ifndef TETHER_RELAY_H
#define TETHER_RELAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "notifier/relay/interest.h"
#include "tether.pb-c.h"

struct relay;

enum {
	GUEST_BEATS = 10,  /* heartbeats of a server in one of a guest, which is paused, and
	                      starved, for longer */
	GUEST_WEIGHT = 16, /* quotas of a process that a guest has, which speaks for many */
};

/* Of the children that are there at one time no two have the same slot. */
enum { RELAY_CHILD_SLOTS = 1 << 14 };

static inline uint32_t relay_child_slot(uint32_t child)
{
	return child % RELAY_CHILD_SLOTS;
}

struct relay_settings {
	const char *name; /* of this relay; prefixed to `who` on the way up; "" at the root */
	Tether__Role role;
	uint64_t epoch;         /* highest ever seen (persisted); the root: its own */
	unsigned heartbeat_ms;  /* told to children that are relays; processes need none on a local
	                           socket */
	unsigned away_ms;       /* so long a child that lost its link keeps its interests */
	unsigned hello_ms;      /* so long a new link may keep silent; 0: the default */
	unsigned children_max;  /* quotas, each 0: the default */
	unsigned processes_max; /* links of processes, per VM */
	unsigned interests_max; /* per child */
	unsigned requests_max;  /* registrations under way, per child */
};

struct relay_outputs {
	/* @frame is the relay's; copy or encode it before returning. */
	void (*child_send)(void *owner, uint32_t child, const Tether__Frame *frame);
	/* End the link of @child; the relay has forgotten it already. */
	void (*child_close)(void *owner, uint32_t child, const char *why);
	/* Answers and Interests; what the owner needs of @frame it takes before it calls the relay
	 * again. At the root: this is where the migration gets its answer, and
	 * where registrations ask to be acknowledged (relay_parent_frame). While there is no parent
	 * it may drop what it gets: the relay says it again after relay_parent_frame(HelloAnswer).
	 */
	void (*parent_send)(void *owner, const Tether__Frame *frame);
	/* A child has answered an event that others have not answered yet. NULL: not wanted. */
	void (*child_answered)(void *owner, const Tether__Answer *answer);
	/* Carry out event->order and call relay_order_done. NULL: orders for this relay are
	 * refused. */
	void (*order)(void *owner, const Tether__Event *event);
	/* A VM has moved, in whose address somebody here has interest: once for each epoch. NULL:
	 * not wanted. */
	void (*moved)(void *owner, const Tether__Event *event);
	/* A higher epoch than ever before; store it for good. Not 0: the event is refused. NULL:
	 * not wanted. */
	int (*epoch_save)(void *owner, uint64_t epoch);
	/* A child has said who it is. Not 0: refuse it, with *@reason (a name) and *@text. NULL:
	 * all are welcome. Comes before anything else of that child. */
	int (*hello)(void *owner, uint32_t child, const Tether__Hello *hello, const char **reason,
	        const char **text);
	/* A host is here that is @child or behind it, new or with other VMs and slots; as with
	 * hello, after it. NULL: not wanted. */
	int (*host)(void *owner, uint32_t child, const Tether__HostBehind *host,
	        const char **reason, const char **text);
	/* It is not any more. NULL: not wanted. */
	void (*host_away)(void *owner, const char *host);
	/* The link of an agent below has ended: it answers no question any more. NULL: not wanted.
	 */
	void (*agent_away)(void *owner, const char *name, Tether__Role role);
	/* Who has the device of @event's VM open, which is here, as far as can be seen: by the
	 * numbers that relay_child_numbered takes. @forked_by: it has what that one has, since it
	 * has not called exec; 0: it has. NULL: nobody can tell. */
	void (*holders)(void *owner, const Tether__Event *event,
	        void (*each)(void *context, uint32_t pid, uint32_t forked_by, const char *program),
	        void *context);
	/* The owner is asked how it is: its Report goes to its parent with that number. NULL: it
	 * does not say. */
	void (*report)(void *owner, uint32_t request);
};

struct relay *relay_create(
        const struct relay_settings *settings, const struct relay_outputs *outputs, void *owner);
void relay_destroy(struct relay *relay);

/*
 * A link from below stands; nothing is said to it before its HELLO. @vm: the VM that the channel
 * belongs to; such a child is a process of that VM whatever it says. NULL: a relay over a channel
 * that names no VM (a host, or an agent between); what VMs it has stands in HELLOs, HostBehinds and
 * HostResults. Child ids are never 0 nor used again. -EUSERS: quota; -ENOMEM.
 */
int relay_child_add(struct relay *relay, const char *vm, uint64_t now_ms, uint32_t *child);

/* The same for the channel of the agent in @vm, which speaks for all processes there. */
int relay_guest_add(struct relay *relay, const char *vm, uint64_t now_ms, uint32_t *child);

/* The process of @child is @pid as our kernel numbers it, where its link says so; what it says of
 * itself may be a number of another PID namespace. Unknown ids are fine. */
void relay_child_numbered(struct relay *relay, uint32_t child, uint32_t pid);

/* @child has shown a certificate of @role and @name: its HELLO must say the same. -ENOENT, -ENOMEM.
 */
int relay_child_certified(struct relay *relay, uint32_t child, Tether__Role role, const char *name);

/* What came from @child. Not 0: the link is not worth keeping (the owner closes it, and tells the
 * relay with relay_child_gone): -EPROTO no or a second HELLO, -EACCES refused, -ENOENT. */
int relay_child_frame(
        struct relay *relay, uint32_t child, const Tether__Frame *frame, uint64_t now_ms);

/* Its link has ended. @ended: its process has too, so nobody need wait for it. Unknown ids are
 * fine. */
void relay_child_gone(struct relay *relay, uint32_t child, bool ended, uint64_t now_ms);

/* Why the link of a child has ended, or was not taken (connection.h): counted, where it is to
 * blame.
 */
void relay_link_ended(struct relay *relay, int reason);

/* @vm is here (its socket or channel stands): names of it that an event expects are waited for. The
 * root has every VM. -ENOMEM */
int relay_vm_here(struct relay *relay, const char *vm);

/* The channel of the agent in @vm, which is here, stands: that agent, which need not be there, has
 * as long to come as a child has to come back; once, until @vm leaves. */
void relay_guest_due(struct relay *relay, const char *vm, uint64_t now_ms);

/* @vm is not here any more: its children's links are closed, nothing is waited for from them. */
void relay_vm_left(struct relay *relay, const char *vm, uint64_t now_ms);

/* From now on; in HelloAnswers, too. 0: as it was. */
void relay_times_set(struct relay *relay, unsigned heartbeat_ms, unsigned away_ms);

/* What came from above: HelloAnswer, Event, InterestAnswer, HostBehind, Whereabouts, Parting (the
 * rest is ignored). Not 0: the parent is not to be obeyed (-ESTALE: its epoch is older than one
 * seen, which is no matter to a guest: the next host may have seen less); close the link. */
int relay_parent_frame(struct relay *relay, const Tether__Frame *frame, uint64_t now_ms);
/* Of the protocol, as its HelloAnswer has it. */
uint32_t relay_parent_version(const struct relay *relay);
/* Its link has ended. */
void relay_parent_lost(struct relay *relay);

/* What is announced under @address (interest.h); NULL: nothing. Until the next call. */
const struct address *relay_announced(const struct relay *relay, const struct address *address);
/* Which names of GIDs are held, and whose (gid_book.h). */
const struct gid_book *relay_names(const struct relay *relay);

/* Hold registrations from now on as a PREPARE does: its migration was under way before this relay
 * was made. -ENOMEM */
int relay_hold(struct relay *relay, uint64_t migration, const char *vm,
        const struct address *address, uint64_t until_ms);
void relay_let_go(struct relay *relay, uint64_t migration);

/* The root's own event, and a copy of it is kept. The answer comes through parent_send, maybe
 * before this returns. -ENOMEM */
int relay_event(struct relay *relay, const Tether__Event *event, uint64_t now_ms);

/* The children, here or away, with interest in @event's address that are not of its VM. For news
 * (STEP_MOVED): their names are its `expected` then, and nobody else is handed it. */
void relay_concerned_each(const struct relay *relay, const Tether__Event *event,
        void (*each)(void *context, const char *name), void *context);

/* This relay's owner itself wants to hear of @address, or no more: it makes no connection, so no
 * barrier holds it. -ENOMEM */
int relay_own_interest(struct relay *relay, const struct address *address, bool drop);

/* To @host alone, wherever in the tree it is, and no answer is expected: what it missed while it
 * was away. -ENOTCONN; -EIO: its epoch could not be stored */
int relay_tell_host(struct relay *relay, const char *host, const Tether__Event *event);

/*
 * Where VMs are from now on, by the root; what it does not name stays as it is. It is kept, and
 * told to the hosts that have them or had them, and to each that comes anew. The root's owner may
 * call it from inside host, for a host that is being welcomed, too. Also what comes from above goes
 * this way. -ENOMEM: part of it may have been taken.
 */
int relay_whereabouts(struct relay *relay, const Tether__Whereabouts *whereabouts, uint64_t now_ms);

/* Fill epoch, migrations, step, sequence and addresses of a HELLO upward, to be said on each new
 * link; the rest is the owner's. relay_hello_clear frees what was filled in. -ENOMEM. */
int relay_hello_fill(struct relay *relay, Tether__Hello *hello);
void relay_hello_clear(Tether__Hello *hello);

/* The order of the event with @answer's key has been carried out: outcome, refusals and result of
 * @answer count as this relay's own. -ENOENT: nobody waits for it any more. */
int relay_order_done(struct relay *relay, const Tether__Answer *answer, uint64_t now_ms);

/* Milliseconds from @now_ms to the next relay_tick that matters; -1: none. */
int64_t relay_next_ms(struct relay *relay, uint64_t now_ms);
void relay_tick(struct relay *relay, uint64_t now_ms);

/* How much earlier than @deadline_ms a relay gives its answer, so that it is there in time. */
uint32_t relay_margin_ms(uint32_t deadline_ms);

/* Since its making, by kind: what came, and what was not obeyed. */
struct relay_counts {
#define COUNT(name, meaning) uint64_t name;
#include "notifier/relay/relay_counts.def"
};
struct relay_counts relay_counts(const struct relay *relay);

/* A line about somebody who is refused was left out of the log: counted. */
void relay_line_unsaid(struct relay *relay);

/* A host has asked for what waits for it (Pull), which is its owner's to answer; @forged: because
 * of a notice that nobody has given. Counted. */
void relay_pulled(struct relay *relay, bool forged);

/*
 * Ask all agents below how they are (Report); their answers come through parent_send, each once,
 * and only for who gives it or is behind him. A question that comes from above is passed on so, and
 * the owner is asked too (outputs->report).
 */
void relay_reports_ask(struct relay *relay, uint32_t request);
/* Each of those that are asked. */
void relay_agents_each(const struct relay *relay,
        void (*each)(void *context, const char *name, Tether__Role role), void *context);
/* All of a Report but its number and whom it is behind; names in it are the relay's, until it is
 * told anything. relay_report_clear frees what was filled in. -ENOMEM */
int relay_report_fill(const struct relay *relay, Tether__Report *report);
void relay_report_clear(Tether__Report *report);

#endif
