/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "notifier/relay/registration_state.h"

#include <errno.h>
#include <stdlib.h>

enum { HELLO_ADDRESSES = 1 << 14 }; /* what fits into a frame along with the rest */

struct address_list {
	struct address *addresses;
	size_t count;
};

static void address_append(void *context, const struct address *address)
{
	struct address_list *list = context;

	list->addresses[list->count++] = *address;
}

/* All that @member (0: anybody) holds. -ENOMEM */
static int held_list(const struct registration *r, uint32_t member, struct address_list *list)
{
	size_t count = interest_count(r->held, member);

	*list = (struct address_list){.addresses = calloc(count + 1, sizeof(*list->addresses))};
	if (!list->addresses)
		return -ENOMEM;
	interest_for_each(r->held, member, address_append, list);
	return 0;
}

static int addresses_decode(
        Tether__Address *const *wire, size_t count, const char *vm, struct address_list *list)
{
	*list = (struct address_list){.addresses = calloc(count + 1, sizeof(*list->addresses))};
	if (!list->addresses)
		return -ENOMEM;
	for (; list->count < count; list->count++) {
		struct address *address = &list->addresses[list->count];

		if (address_decode(wire[list->count], address))
			return -EINVAL;
		if (address_is_announcement(address))
			address->vm = vm ? vm : wire[list->count]->vm;
	}
	return 0;
}

/* A request of the relay's own, or one that stands for what a HELLO did not say any more. */
static void request_make(
        struct registration *r, uint32_t member, const struct address *address, bool drop)
{
	struct request *request = request_new(address->vm);

	if (!request)
		return;
	request->silent = true;
	request->drop = drop;
	request->address = *address;
	request->address.vm = request->asker;
	if (drop) {
		request->member = member;
		requests_put(&r->requests, request, REQUEST_HELD);
	} else {
		registration_ask_above(r, request, false);
	}
}

/* What does not fit was refused when it was registered. */
static void hello_take(
        struct registration *r, uint32_t member, unsigned weight, const struct address *address)
{
	if (!registration_may_announce(r, member, address->vm, address)) {
		registration_let_go(r, member, address);
		return;
	}
	if (!interest_holds(r->held, member, address) &&
	        registration_full(r, member, weight, address))
		return;
	if (interest_add(r->held, member, address) >= 0 && !registration_knows_above(r, address))
		request_make(r, 0, address, false);
}

static void hello_let_go(struct registration *r, uint32_t member, const struct address *address)
{
	if (barriers_hold(r->barriers, NULL, address))
		request_make(r, member, address, true);
	else
		registration_let_go(r, member, address);
}

/* Whoever comes again and again with others has no more than one quota of those of before. */
static void hello_hand_on(struct registration *r, uint32_t member, uint32_t keep, unsigned weight,
        const struct address *address)
{
	if (keep && !address_is_announcement(address) &&
	        !registration_full(r, keep, weight, address))
		interest_add(r->held, keep, address);
	hello_let_go(r, member, address);
}

void registration_let_all_go(struct registration *r, uint32_t member)
{
	struct address_list held;

	if (held_list(r, member, &held))
		return;
	requests_forget(&r->requests, member);
	for (size_t i = 0; i < held.count; i++)
		hello_let_go(r, member, &held.addresses[i]);
	free(held.addresses);
}

/* The set of @list, as a member's. */
static struct interest *set_of(const struct address_list *list)
{
	struct interest *set = interest_create_bare();

	for (size_t i = 0; set && i < list->count; i++) {
		if (interest_add(set, ABOVE, &list->addresses[i]) != -ENOMEM)
			continue;
		interest_destroy(set);
		set = NULL;
	}
	return set;
}

int registration_hello(struct registration *r, uint32_t member, unsigned weight, const char *vm,
        Tether__Address *const *addresses, size_t count, uint32_t keep)
{
	struct address_list before = {0}, now;
	int err = addresses_decode(addresses, count, vm, &now);
	struct interest *said = err ? NULL : set_of(&now);

	if (!err && (!said || held_list(r, member, &before)))
		err = -ENOMEM;
	if (!err) {
		requests_forget(&r->requests, member);
		for (size_t i = 0; i < now.count; i++)
			hello_take(r, member, weight, &now.addresses[i]);
		for (size_t i = 0; i < before.count; i++)
			if (!interest_holds(said, ABOVE, &before.addresses[i]))
				hello_hand_on(r, member, keep, weight, &before.addresses[i]);
	}
	interest_destroy(said);
	free(before.addresses);
	free(now.addresses);
	return err;
}

int registration_own(
        struct registration *r, uint32_t member, const struct address *address, bool drop)
{
	int err;

	if (drop) {
		registration_let_go(r, member, address);
		return 0;
	}
	err = interest_add(r->held, member, address);
	if (err > 0 && !registration_knows_above(r, address))
		request_make(r, 0, address, false);
	return err < 0 ? err : 0;
}

void registration_member_gone(struct registration *r, uint32_t member)
{
	struct address_list held;

	requests_forget(&r->requests, member);
	if (held_list(r, member, &held))
		return;
	for (size_t i = 0; i < held.count; i++)
		registration_let_go(r, member, &held.addresses[i]);
	free(held.addresses);
}

int registration_hello_up(struct registration *r, struct address **addresses, size_t *count)
{
	struct interest *above = interest_create_bare();
	struct address_list held;

	if (!above || held_list(r, 0, &held)) {
		interest_destroy(above);
		return -ENOMEM;
	}
	for (size_t i = 0; i < held.count && i < HELLO_ADDRESSES; i++)
		interest_add(above, ABOVE, &held.addresses[i]);
	interest_destroy(r->above);
	r->above = above;
	r->parent_is_up = false;
	requests_unask(&r->requests);
	/* Whatever this relay had still to ask by itself is in the HELLO or among these. */
	requests_forget(&r->requests, 0);
	for (size_t i = HELLO_ADDRESSES; i < held.count; i++)
		request_make(r, 0, &held.addresses[i], false);
	*addresses = held.addresses;
	*count = held.count < HELLO_ADDRESSES ? held.count : HELLO_ADDRESSES;
	return 0;
}

static void drop_if_unheld(void *context, const struct address *address)
{
	struct registration *r = ((void **)context)[0];
	struct address_list *stale = ((void **)context)[1];

	if (!interest_is_held(r->held, address))
		address_append(stale, address);
}

/* What was let go between the HELLO and its answer was told to nobody yet. */
static void above_align(struct registration *r)
{
	struct address_list stale = {
	        .addresses = calloc(interest_count(r->above, 0) + 1, sizeof(*stale.addresses))};
	void *context[] = {r, &stale};

	if (!stale.addresses)
		return;
	interest_for_each(r->above, 0, drop_if_unheld, context);
	for (size_t i = 0; i < stale.count; i++)
		registration_drop_above(r, &stale.addresses[i]);
	free(stale.addresses);
}

void registration_parent_up(struct registration *r)
{
	struct request_list *waiting = &r->requests.of_state[REQUEST_WAITING];
	struct request *request;

	r->parent_is_up = true;
	above_align(r);
	while ((request = TAILQ_FIRST(waiting))) {
		requests_take(&r->requests, request);
		if (request->member)
			registration_process(r, request);
		else if (registration_knows_above(r, &request->address))
			free(request);
		else
			registration_ask_above(r, request, false);
	}
}
