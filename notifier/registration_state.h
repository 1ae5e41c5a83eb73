/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * What a registration room knows; shared by registration.c (what members ask, and the barriers),
 * registration_above.c (what the parent knows and is asked), registration_hello.c (who says HELLO,
 * to us and we to the parent) and registration_requests.c (what is not answered yet), and by nobody
 * else.
 */
#ifndef TETHER_REGISTRATION_STATE_H
#define TETHER_REGISTRATION_STATE_H

#include "notifier/barrier.h"
#include "notifier/registration.h"

enum { ABOVE = 1 }; /* the one member of the set of what is acknowledged above */

/* One registration that is not answered yet. */
struct request {
	struct request *next;
	uint32_t id;     /* of the Interest that went up for it; 0: none has */
	uint32_t member; /* who asks; 0: this relay itself, after a HELLO */
	bool in_barrier; /* waits for a barrier here */
	bool held_above;
	bool told_held;  /* its member waits for as long as it takes */
	bool silent;     /* nobody waits for its answer */
	bool superseded; /* a drop went up after it: its acknowledgement says nothing any more */
	bool drop;
	bool is_counted;  /* in of_member */
	uint32_t request; /* the asker's number for it */
	uint32_t remote_qpn;
	bool datagrams;
	bool heard;
	const char *vm; /* of the member, or NULL */
	struct address address;
};

struct registration {
	struct interest *held;
	struct interest *above;
	size_t interests_max, requests_max;
	struct request *requests; /* in the order in which they came */
	struct request *last;     /* of them */
	uint32_t *of_member;      /* how many, by member */
	size_t of_member_room;
	struct barrier *barriers;
	uint32_t last_id;
	bool parent_is_up;
	const struct registration_outputs *outputs;
	void *owner;
};

/* registration_requests.c: the list, and what those who ask are told */
size_t requests_count(const struct registration *r, uint32_t member);
/* Those of @member that come now are counted. -ENOMEM */
int requests_reserve(struct registration *r, uint32_t member);
void request_append(struct registration *r, struct request *request);
/* Nothing where it is not in the list. */
void request_unlink(struct registration *r, struct request *request);
/* All of @member. */
void requests_forget(struct registration *r, uint32_t member);
void request_reply(
        const struct registration *r, const struct request *request, Tether__Outcome outcome);
void request_say_held(const struct registration *r, struct request *request);
/* If it was said. */
void request_say_not_held(const struct registration *r, struct request *request);
void request_pass_down(const struct registration *r, const struct request *request,
        const Tether__InterestAnswer *answer);
/* Before there is one: it was @member's, under @number. */
void request_refuse(const struct registration *r, uint32_t member, uint32_t number,
        const char *reason, const char *text);

/* registration_above.c */
/* It is not enough that the parent knows the address: numbers are wanted, or a context is said. */
bool request_asks_something(const struct request *request);
bool registration_knows_above(const struct registration *r, const struct address *address);
/* Takes @request, which is answered later. @is_new: nobody held its address before. */
void registration_ask_above(struct registration *r, struct request *request, bool is_new);
/* @member holds @address no more; where nobody else does, neither does the parent for us. */
void registration_let_go(struct registration *r, uint32_t member, const struct address *address);
void registration_drop_above(struct registration *r, const struct address *address);

/* registration.c */
/* Takes @request, which no barrier holds (any more). */
void registration_process(struct registration *r, struct request *request);
bool registration_has_room(const struct registration *r, uint32_t member, unsigned weight,
        const struct address *address);

#endif
