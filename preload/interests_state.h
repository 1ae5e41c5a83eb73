/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* What interests.c (whom this process talks to), interest_questions.c (what goes up about them),
 * interest_replies.c (what comes back) and interest_hello.c (what a HELLO says) share, and nobody
 * else. */
#ifndef TETHER_INTERESTS_STATE_H
#define TETHER_INTERESTS_STATE_H

#include "preload/interest_room.h"
#include "preload/interests.h"
#include "preload/translation.h"

struct interest {
	struct remote to;
	unsigned users;  /* connections, and address handles */
	bool registered; /* it was accepted, and stays so when another question is refused */
	enum room_reason refused; /* the last question about it, why */
	bool to_be_dropped;       /* the agent is to hear that nobody is left */
	bool idle;                /* without users, and kept since handles come and go */
	/* Numbers of datagram queue pairs there: */
	bool datagrams;   /* somebody uses them */
	bool heard;       /* they come from there: it has a user for that, for good */
	bool known;       /* they are here, and stay right: RECONNECT says what changes */
	bool unsent;      /* they are to be asked for, without anybody waiting */
	uint32_t request; /* that does; 0: none is under way */
	bool held;        /* it is, by a migration, as the agent has said */
	TAILQ_ENTRY(interest) link;
	TAILQ_ENTRY(interest) idle_link;
};

struct all_interests {
	TAILQ_HEAD(, interest) list;
	struct number_table by_lid;  /* or name */
	TAILQ_HEAD(, interest) idle; /* the longest idle first */
	unsigned idle_count;
	unsigned under_way; /* of them those that have a request */
	struct interest_room room_above;
	TAILQ_HEAD(, interest_request) requests;
	uint32_t last_id;
};
extern struct all_interests all_interests;

/* NULL: it is of no interest. */
struct interest *interest_find(const struct remote *remote);
/* As the wire has it; its GID is that of @remote. */
void interest_address(const struct remote *remote, Tether__Address *address);
/* It is not among those that wait for room any more. */
void interest_accepted(struct interest *interest);
/* What was asked about it is answered, or nobody will. */
void interest_not_under_way(struct interest *interest);

#endif
