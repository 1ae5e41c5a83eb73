/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Registrations that are not answered yet: those that a barrier here holds, those that it held
 * until now, those that wait for a parent, and those that the parent has been asked. The last are
 * found by number and by address however many there are, since whoever floods makes many. Pure;
 * part of a registration and of its thread.
 */
#ifndef TETHER_REQUESTS_H
#define TETHER_REQUESTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "notifier/relay/count_table.h"
#include "notifier/relay/interest.h"

enum request_state {
	REQUEST_HELD,    /* by a barrier here */
	REQUEST_FREED,   /* by none any more; it is carried out when those before it have been */
	REQUEST_WAITING, /* for a parent */
	REQUEST_ASKED,
	REQUEST_STATES,
};

struct request {
	TAILQ_ENTRY(request) in_state, of_id, of_address;
	enum request_state state;
	uint32_t id;     /* of the Interest that went up for it; 0: none has */
	uint32_t member; /* who asks; 0: this relay itself, after a HELLO */
	bool held_above;
	bool told_held;  /* its member waits for as long as it takes */
	bool silent;     /* nobody waits for its answer */
	bool superseded; /* a drop went up after it: its acknowledgement says nothing any more */
	bool drop;
	bool is_counted;  /* among its member's and its VM's */
	bool is_behind;   /* among those of its member that are freed */
	uint32_t request; /* the asker's number for it */
	uint32_t remote_qpn;
	bool datagrams;
	bool heard;
	bool added;        /* its member did not hold the address before */
	bool sent;         /* an Interest went up for it, and not for another that it waits with */
	const char *vm;    /* of the member, or NULL */
	const char *asker; /* whose process asks: the member's, or what it says; NULL: its own */
	struct address address;
};

TAILQ_HEAD(request_list, request);

struct requests {
	struct request_list of_state[REQUEST_STATES]; /* in the order in which they came */
	struct request_list *by_id, *by_address;      /* of those that are asked */
	size_t buckets_count, asked_count;
	struct count_table of_member, of_vm; /* how many, by a member's slot and by VM */
	struct count_table freed_of_member;  /* by its slot */
};

/* One of @asker's (NULL: of nobody's), whose name lies behind it, since who says it may be gone
 * when it is answered. */
struct request *request_new(const char *asker);

/* -ENOMEM */
int requests_begin(struct requests *requests);
void requests_clear(struct requests *requests);

/* So many are @member's, and of all members of its VM (none, where it is of none). */
size_t requests_count(const struct requests *requests, uint32_t member);
size_t requests_count_of_vm(const struct requests *requests, uint32_t member);
/* Those of @member that come now are counted. -ENOMEM */
int requests_reserve(struct requests *requests, uint32_t member);

/* Some of @member's are freed. */
bool requests_has_freed(const struct requests *requests, uint32_t member);

/* Takes @request, which is in none; with an id it is asked. */
void requests_put(struct requests *requests, struct request *request, enum request_state state);
/* It is the caller's again. */
void requests_take(struct requests *requests, struct request *request);
/* All of @member are freed. */
void requests_forget(struct requests *requests, uint32_t member);

/* The first that was asked under @id; NULL: none. */
struct request *requests_by_id(const struct requests *requests, uint32_t id);
/* The next one of the same id. */
struct request *request_next_of_id(const struct request *request);
/* It is not enough that the parent knows the address: numbers are wanted, or a context is said. */
bool request_asks_something(const struct request *request);
/* One that is asked for what @request is, no drop has gone up after, and asks for no numbers. */
struct request *requests_alike(const struct requests *requests, const struct request *request);
/* @member has asked for @address, and no drop has gone up since. */
bool requests_member_asks(
        const struct requests *requests, uint32_t member, const struct address *address);
/* A drop of @address goes up. */
void requests_supersede(struct requests *requests, const struct address *address);
/* What was asked was asked in vain: all of it waits for a parent. */
void requests_unask(struct requests *requests);

#endif
