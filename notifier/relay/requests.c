/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "notifier/relay/requests.h"

#include <errno.h>
#include <stdlib.h>

enum { BUCKETS_FIRST = 16 };

static struct request_list *lists_create(size_t count)
{
	struct request_list *lists = calloc(count, sizeof(*lists));

	for (size_t i = 0; lists && i < count; i++)
		TAILQ_INIT(&lists[i]);
	return lists;
}

struct request *request_new(const char *asker)
{
	size_t size = asker ? strlen(asker) + 1 : 0;
	struct request *request = calloc(1, sizeof(*request) + size);

	if (request && asker)
		request->asker = memcpy(request + 1, asker, size);
	return request;
}

int requests_begin(struct requests *requests)
{
	*requests = (struct requests){.buckets_count = BUCKETS_FIRST};
	for (size_t i = 0; i < REQUEST_STATES; i++)
		TAILQ_INIT(&requests->of_state[i]);
	requests->by_id = lists_create(BUCKETS_FIRST);
	requests->by_address = lists_create(BUCKETS_FIRST);
	return requests->by_id && requests->by_address ? 0 : -ENOMEM;
}

void requests_clear(struct requests *requests)
{
	for (size_t i = 0; i < REQUEST_STATES; i++) {
		struct request *request;

		while ((request = TAILQ_FIRST(&requests->of_state[i]))) {
			TAILQ_REMOVE(&requests->of_state[i], request, in_state);
			free(request);
		}
	}
	free(requests->by_id);
	free(requests->by_address);
	count_clear(&requests->of_member);
	count_clear(&requests->of_vm);
	count_clear(&requests->freed_of_member);
}

/* Whoever floods is refused by these counts each time, so they must cost nothing. */
size_t requests_count(const struct requests *requests, uint32_t member)
{
	return count_of(&requests->of_member, member_slot(member));
}

size_t requests_count_of_vm(const struct requests *requests, uint32_t member)
{
	return member_vm(member) ? count_of(&requests->of_vm, member_vm(member)) : 0;
}

bool requests_has_freed(const struct requests *requests, uint32_t member)
{
	return count_of(&requests->freed_of_member, member_slot(member));
}

int requests_reserve(struct requests *requests, uint32_t member)
{
	int err = count_reserve(&requests->of_member, member_slot(member));

	return err ? err : count_reserve(&requests->of_vm, member_vm(member));
}

static bool is_reserved(const struct requests *requests, uint32_t member)
{
	return member_slot(member) < requests->of_member.room &&
	       member_vm(member) < requests->of_vm.room;
}

static void count_note(struct requests *requests, uint32_t member, int by)
{
	requests->of_member.counts[member_slot(member)] += by;
	requests->of_vm.counts[member_vm(member)] += by;
}

bool request_asks_something(const struct request *request)
{
	return request->remote_qpn || request->datagrams || request->address.qpn;
}

static struct request_list *bucket_of_id(const struct requests *requests, uint32_t id)
{
	return &requests->by_id[id & (requests->buckets_count - 1)];
}

/* Who asks something is apart: it may be many thousands that ask of one address, among whom nobody
 * is looked for who asks nothing. */
static struct request_list *bucket_of_address(
        const struct requests *requests, const struct address *address, bool asks)
{
	size_t hash = address_hash(address) * 2 + asks;

	return &requests->by_address[hash & (requests->buckets_count - 1)];
}

static void index_put(struct requests *requests, struct request *request)
{
	struct request_list *of_address =
	        bucket_of_address(requests, &request->address, request_asks_something(request));

	TAILQ_INSERT_TAIL(bucket_of_id(requests, request->id), request, of_id);
	if (!request->superseded)
		TAILQ_INSERT_TAIL(of_address, request, of_address);
}

static void address_take(struct requests *requests, struct request *request)
{
	struct request_list *of_address =
	        bucket_of_address(requests, &request->address, request_asks_something(request));

	if (!request->superseded)
		TAILQ_REMOVE(of_address, request, of_address);
}

static void index_grow(struct requests *requests)
{
	size_t count = requests->buckets_count * 2;
	struct request_list *by_id = lists_create(count), *by_address = lists_create(count);
	struct request *request;

	if (!by_id || !by_address) {
		free(by_id);
		free(by_address);
		return; /* longer chains, the same answers */
	}
	free(requests->by_id);
	free(requests->by_address);
	requests->by_id = by_id;
	requests->by_address = by_address;
	requests->buckets_count = count;
	TAILQ_FOREACH(request, &requests->of_state[REQUEST_ASKED], in_state)
	index_put(requests, request);
}

static void freed_put(struct requests *requests, struct request *request)
{
	struct count_table *freed = &requests->freed_of_member;

	request->is_behind = !count_reserve(freed, member_slot(request->member));
	if (request->is_behind)
		freed->counts[member_slot(request->member)]++;
}

static void freed_take(struct requests *requests, struct request *request)
{
	if (request->is_behind)
		requests->freed_of_member.counts[member_slot(request->member)]--;
	request->is_behind = false;
}

void requests_put(struct requests *requests, struct request *request, enum request_state state)
{
	request->state = state;
	request->is_counted = is_reserved(requests, request->member);
	if (request->is_counted)
		count_note(requests, request->member, 1);
	if (state == REQUEST_ASKED) {
		if (requests->asked_count >= requests->buckets_count)
			index_grow(requests);
		requests->asked_count++;
		index_put(requests, request);
	}
	if (state == REQUEST_FREED)
		freed_put(requests, request);
	TAILQ_INSERT_TAIL(&requests->of_state[state], request, in_state);
}

static void index_take(struct requests *requests, struct request *request)
{
	TAILQ_REMOVE(bucket_of_id(requests, request->id), request, of_id);
	address_take(requests, request);
	requests->asked_count--;
}

void requests_take(struct requests *requests, struct request *request)
{
	if (request->state == REQUEST_ASKED)
		index_take(requests, request);
	freed_take(requests, request);
	TAILQ_REMOVE(&requests->of_state[request->state], request, in_state);
	if (request->is_counted)
		count_note(requests, request->member, -1);
	request->is_counted = false;
}

void requests_forget(struct requests *requests, uint32_t member)
{
	for (size_t i = 0; i < REQUEST_STATES; i++) {
		struct request *request = TAILQ_FIRST(&requests->of_state[i]), *next;

		for (; request; request = next) {
			next = TAILQ_NEXT(request, in_state);
			if (request->member != member)
				continue;
			requests_take(requests, request);
			free(request);
		}
	}
}

static struct request *with_id(struct request *request, uint32_t id)
{
	while (request && request->id != id)
		request = TAILQ_NEXT(request, of_id);
	return request;
}

struct request *requests_by_id(const struct requests *requests, uint32_t id)
{
	return id ? with_id(TAILQ_FIRST(bucket_of_id(requests, id)), id) : NULL;
}

struct request *request_next_of_id(const struct request *request)
{
	return with_id(TAILQ_NEXT(request, of_id), request->id);
}

/* The first in the bucket of @key. */
static struct request *of_key(const struct requests *requests, const struct address *key, bool asks,
        const struct address *asked)
{
	struct request *request = TAILQ_FIRST(bucket_of_address(requests, key, asks));

	while (request && (request_asks_something(request) != asks ||
	                          !address_matches(asked, &request->address)))
		request = TAILQ_NEXT(request, of_address);
	return request;
}

/* The first that @asked finds: by LID, or by GID where it is held under that. */
static struct request *of_address(
        const struct requests *requests, const struct address *asked, bool asks)
{
	struct address by_gid = *asked;
	struct request *request = asked->lid ? of_key(requests, asked, asks, asked) : NULL;

	by_gid.lid = 0;
	return request ? request : of_key(requests, &by_gid, asks, asked);
}

struct request *requests_alike(const struct requests *requests, const struct request *request)
{
	return of_address(requests, &request->address, false);
}

static bool member_asks(
        const struct requests *requests, uint32_t member, const struct address *address, bool asks)
{
	const struct request *request;

	TAILQ_FOREACH(request, bucket_of_address(requests, address, asks), of_address)
	if (request->member == member && address_matches(address, &request->address))
		return true;
	return false;
}

bool requests_member_asks(
        const struct requests *requests, uint32_t member, const struct address *address)
{
	return member_asks(requests, member, address, false) ||
	       member_asks(requests, member, address, true);
}

void requests_supersede(struct requests *requests, const struct address *address)
{
	struct request *request;

	for (int asks = 0; asks < 2; asks++) {
		while ((request = of_address(requests, address, asks))) {
			address_take(requests, request);
			request->superseded = true;
		}
	}
}

void requests_unask(struct requests *requests)
{
	struct request_list *asked = &requests->of_state[REQUEST_ASKED];
	struct request_list *waiting = &requests->of_state[REQUEST_WAITING];
	struct request *request;

	TAILQ_FOREACH(request, asked, in_state)
	{
		index_take(requests, request);
		request->id = 0;
		request->held_above = request->superseded = false;
		request->state = REQUEST_WAITING;
	}
	/* They came before those that wait already. */
	TAILQ_CONCAT(asked, waiting, in_state);
	TAILQ_CONCAT(waiting, asked, in_state);
}
