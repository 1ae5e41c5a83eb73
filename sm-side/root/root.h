/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * The root of the tree: the links of the agents on the physical servers, the relay over them, their
 * inventories, and the numbers that late peers ask for. Lives in the thread of its event_base.
 * Callbacks come from the loop only, never from inside a call below.
 */
#ifndef TETHER_ROOT_H
#define TETHER_ROOT_H

#include <stdint.h>

#include "notifier/base/deadlines.h"
#include "notifier/relay/interest.h"
#include "sm-side/root/inventory.h"
#include "tether.pb-c.h"

struct agent_poll;
struct credentials;
struct directory;
struct gid_book;
struct event_base;
struct relay;
struct root;

struct root_callbacks {
	/* To an event of root_send. */
	void (*answer)(void *owner, const Tether__Answer *answer);
	/* Of one agent that has failed STOP, while others have not answered. */
	void (*agent_answer)(void *owner, const Tether__Answer *answer);
	/* @open: the migrations that are still open there by its own word. */
	void (*host_up)(void *owner, const char *host, const uint64_t *open, size_t count);
	/* The directory has changed: the journal takes what it is owed. Comes from inside whatever
	 * changed it, and may not call the root. NULL: there is none. */
	void (*places_changed)(void *owner);
};

/* Listen at @addresses (notifier/link/listener.h). @credentials: for TLS, else NULL. @directory:
 * says what is believed of what hosts say. Both outlive it. NULL with errno. */
struct root *root_create(struct event_base *base, const char *addresses,
        struct credentials *credentials, struct directory *directory,
        const struct deadlines *deadlines, uint64_t epoch, const struct root_callbacks *callbacks,
        void *owner);
void root_destroy(struct root *root);

/* New deadlines, for links that stand, too. */
void root_deadlines_set(struct root *root, const struct deadlines *deadlines);

/* The credentials have been read again: links whose host would not be taken now end. */
void root_credentials_changed(struct root *root);

/* Before any agent is here: have OpenSM tell them of events, which they ask for then; @epoch: this
 * start's. -errno */
int root_signal_by_mad(struct root *root, const char *sm_socket, const struct deadlines *deadlines,
        uint64_t epoch);

/* To all that are concerned; one answer comes back, at the latest when its deadline has passed.
 * -ENOMEM. */
int root_send(struct root *root, const Tether__Event *event);
/* The agents with a link of their own whom news of that event concern, with a blank between; the
 * caller's. NULL: no memory. */
char *root_concerned(struct root *root, const Tether__Event *event);
/* To @host alone, and no answer is expected: what it missed while it was away. -ENOTCONN. */
int root_tell(struct root *root, const char *host, const Tether__Event *event);

/* Until the end of @migration, or for @ms, nobody connects to @vm at @address, nor @vm to anybody;
 * @shared_port: nor at any LID that it is known by (root_numbers_set). */
void root_hold(struct root *root, uint64_t migration, const char *vm, const struct address *address,
        bool shared_port, unsigned ms);
/* @migration has ended, also where no step of the tree has said so. */
void root_let_go(struct root *root, uint64_t migration);

/* The directory has been changed by its owner: inventory and relays follow. Not from inside
 * places_changed. */
void root_places_changed(struct root *root);

struct inventory *root_inventory(struct root *root);
/* What it has counted (relay_report_fill). */
const struct relay *root_relay(const struct root *root);
/* Who asks the agents how they are. */
struct agent_poll *root_agents(const struct root *root);
/* A result of a host says what it has now. */
void root_result_take(struct root *root, const char *host, const Tether__HostResult *result);
/* Which GIDs the names that are said stand for, and which VM's processes announce which. */
const struct gid_book *root_gids(const struct root *root);
/* The VM at @address has moved: its numbers, for peers that connect later. Before RESUME is sent:
 * with its answer those are let go that were held meanwhile. */
void root_numbers_set(struct root *root, const struct address *address, bool shared_port,
        const Tether__QpRows *qps, const Tether__KeyRows *keys, const Tether__GidRows *gids);

#endif
