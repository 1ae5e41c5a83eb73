/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * The requests of one open umad port that wait for an answer, as the kernel keeps them: each is
 * sent again when its time is up, and handed back as timed out after the last try. Process-local;
 * the caller holds the fabric's lock. Pure but for malloc.
 */
#ifndef SIMFABRIC_UMAD_REQUESTS_H
#define SIMFABRIC_UMAD_REQUESTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <infiniband/umad.h>

struct umad_request {
	struct umad_request *next;
	uint64_t due_ns;
	uint64_t timeout_ns;
	uint32_t tries_left;
	uint32_t agent;
	struct ib_mad_addr to;
	size_t bytes;
	uint8_t mad[]; /* with the agent's TID */
};

struct umad_requests {
	struct umad_request *waiting; /* the earliest due first */
	struct umad_request *expired; /* out of tries; in the order they became so */
	struct umad_request **expired_end;
};

void umad_requests_init(struct umad_requests *requests);
void umad_requests_clear(struct umad_requests *requests);

/* Is a request with this TID and class waiting already? */
bool umad_requests_has(const struct umad_requests *requests, const uint8_t *mad);
/* -ENOMEM. */
int umad_requests_add(struct umad_requests *requests, const struct umad_request *like,
        const uint8_t *mad, uint64_t now);
/* An answer has come: forget the request. False: none waits for it. */
bool umad_requests_answer(struct umad_requests *requests, const uint8_t *mad);

/*
 * The first request whose time is up, out of the list; the caller sends it again and gives it back
 * with umad_requests_again, or frees it if that was answered. NULL: none. One that has no tries
 * left goes to @expired instead.
 */
struct umad_request *umad_requests_take_due(struct umad_requests *requests, uint64_t now);
void umad_requests_again(
        struct umad_requests *requests, struct umad_request *request, uint64_t now);
struct umad_request *umad_requests_take_expired(struct umad_requests *requests);

/* When to look again; 0: at once, UINT64_MAX: nothing waits. */
uint64_t umad_requests_next_ns(const struct umad_requests *requests);

#endif
