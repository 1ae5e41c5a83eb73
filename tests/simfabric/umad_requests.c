/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "simfabric/umad_requests.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "simfabric/mad_fields.h"
#include "simfabric/messages.h"

void umad_requests_init(struct umad_requests *requests)
{
	requests->waiting = NULL;
	requests->expired = NULL;
	requests->expired_end = &requests->expired;
}

static void free_list(struct umad_request *request)
{
	while (request) {
		struct umad_request *next = request->next;

		free(request);
		request = next;
	}
}

void umad_requests_clear(struct umad_requests *requests)
{
	free_list(requests->waiting);
	free_list(requests->expired);
	umad_requests_init(requests);
}

static bool is_same(const uint8_t *a, const uint8_t *b)
{
	return a[MAD_CLASS] == b[MAD_CLASS] && !memcmp(a + MAD_TID, b + MAD_TID, 8);
}

/* The link that leads to the request of @mad, or to the end. */
static struct umad_request **find(struct umad_request **link, const uint8_t *mad)
{
	while (*link && !is_same((*link)->mad, mad))
		link = &(*link)->next;
	return link;
}

bool umad_requests_has(const struct umad_requests *requests, const uint8_t *mad)
{
	struct umad_request *first = requests->waiting;

	return *find(&first, mad);
}

static void insert(struct umad_requests *requests, struct umad_request *request)
{
	struct umad_request **link = &requests->waiting;

	while (*link && (*link)->due_ns <= request->due_ns)
		link = &(*link)->next;
	request->next = *link;
	*link = request;
}

int umad_requests_add(struct umad_requests *requests, const struct umad_request *like,
        const uint8_t *mad, uint64_t now)
{
	size_t room = like->bytes < MAD_BYTES ? MAD_BYTES : like->bytes;
	struct umad_request *request = calloc(1, sizeof(*request) + room);

	if (!request)
		return -ENOMEM;
	*request = *like;
	memcpy(request->mad, mad, like->bytes);
	request->due_ns = now + like->timeout_ns;
	insert(requests, request);
	return 0;
}

bool umad_requests_answer(struct umad_requests *requests, const uint8_t *mad)
{
	struct umad_request **link = find(&requests->waiting, mad), *request = *link;

	if (!request)
		return false;
	*link = request->next;
	free(request);
	return true;
}

static void expire(struct umad_requests *requests, struct umad_request *request)
{
	request->next = NULL;
	*requests->expired_end = request;
	requests->expired_end = &request->next;
}

struct umad_request *umad_requests_take_due(struct umad_requests *requests, uint64_t now)
{
	struct umad_request *request;

	while ((request = requests->waiting) && request->due_ns <= now) {
		requests->waiting = request->next;
		if (request->tries_left)
			return request;
		expire(requests, request);
	}
	return NULL;
}

void umad_requests_again(struct umad_requests *requests, struct umad_request *request, uint64_t now)
{
	request->tries_left--;
	request->due_ns = now + request->timeout_ns;
	insert(requests, request);
}

struct umad_request *umad_requests_take_expired(struct umad_requests *requests)
{
	struct umad_request *request = requests->expired;

	if (!request)
		return NULL;
	requests->expired = request->next;
	if (!requests->expired)
		requests->expired_end = &requests->expired;
	return request;
}

uint64_t umad_requests_next_ns(const struct umad_requests *requests)
{
	if (requests->expired)
		return 0;
	return requests->waiting ? requests->waiting->due_ns : UINT64_MAX;
}
