/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Whom this process talks to, and what is being asked about them: addresses with the number of
 * connections and address handles to each, and questions on their way to the agent and back, with
 * what announcements.h has for it. Everything here wants the lock of agent_link_state.h; no I/O.
 */
#ifndef TETHER_INTERESTS_H
#define TETHER_INTERESTS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "preload/announcements.h"
#include "preload/objects.h"
#include "tether.pb-c.h"

/* So many addresses are kept that no address handle leads to any more. */
/* And so many are asked for at a time without anybody waiting; agents take no more than a few times
 * that from one process. */
enum { IDLE_MAX = 256, UNDER_WAY_MAX = 128 };

/* One question, or announcement; the asking thread's, on its stack, until interests_done. */
struct interest_request {
	uint32_t id;
	struct remote remote; /* or where our own queue pair is */
	const struct announcement *own;
	bool heard;     /* makes no connection, so nothing holds it */
	bool datagrams; /* asks for all numbers of datagram queue pairs there */
	bool sent, answered, refused;
	bool held; /* by a migration, whose end the agent will tell */
	TAILQ_ENTRY(interest_request) link;
};

/* A connection to @remote is about to be made. */
void interests_ask(struct interest_request *request, const struct remote *remote);
/*
 * An address handle to @remote is about to be made. False: what it needs to know is known, and
 * @request is nothing. Such an interest stays for a while when nobody uses it any more.
 */
bool interests_ask_datagrams(struct interest_request *request, const struct remote *remote);
/* Datagrams come from @sender: from now on numbers there are of interest (heard_senders.h). However
 * often it is said. */
void interests_hear(const struct remote *sender);
/* And from there no more. True: there is something that the agent will hear. */
bool interests_unhear(const struct remote *sender);
/* Take what was learned into @remote. */
void interests_done(struct interest_request *request, struct remote *remote);
/* What a move has said of numbers there stays only if they are of interest. */
void interests_took_numbers(const struct remote *remote);
/* A connection or a handle is gone; true: there is something that the agent will hear. */
bool interests_drop(const struct remote *remote);

/* Those who connect to it are to know of @what, which outlives the answer. -ENOMEM */
int interests_announce(struct interest_request *request, const struct announcement *what);

/* The next frame to go up; false: none. @address belongs to the caller as well. */
bool interests_next(Tether__Interest *interest, Tether__Address *address, uint64_t now_ms);
/* In so many milliseconds there is one that was refused for a quota; -1: there is none. */
int64_t interests_wait(uint64_t now_ms);
void interests_answered(const Tether__InterestAnswer *answer, uint64_t now_ms);
/* What was sent may not have arrived: it goes again. */
void interests_link_lost(void);
/* In a child after fork. */
void interests_forget(void);

/* Every address that is of interest, and everything announced, for a HELLO. */
struct interest_list {
	Tether__Address **pointers;
	Tether__Address *addresses;
	uint8_t (*gids)[16];
	size_t count;
};
void interests_list(struct interest_list *list);
void interest_list_free(struct interest_list *list);

#endif
