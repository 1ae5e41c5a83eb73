/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "notifier/relay/vm_places.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "notifier/relay/name_hash.h"
#include "notifier/wire/message.h"

enum { BUCKETS_FIRST = 16, PKEY_FULL = 0x8000, PKEY_PARTITION = 0x7fff };

/* One place under one of its keys. */
struct vm_place_at {
	struct vm_place_at *next; /* in its bucket */
	uint64_t hash;
	const Tether__VmPlace *place;
};

/* What has a key is found by it; several may have the same. */
struct keyed {
	struct vm_place_at **buckets; /* a power of two of them */
	size_t buckets_count;
	size_t count;
};

struct vm_places {
	struct keyed by_vm, by_host, by_lid;
	uint64_t changes;
};

static uint64_t hash_of(const char *name)
{
	return name_hash(name, strlen(name));
}

static struct vm_place_at **bucket(const struct keyed *keyed, uint64_t hash)
{
	return &keyed->buckets[hash & (keyed->buckets_count - 1)];
}

static int keyed_grow(struct keyed *keyed)
{
	struct keyed grown = {
	        .buckets_count = keyed->buckets_count ? keyed->buckets_count * 2 : BUCKETS_FIRST};

	grown.buckets = calloc(grown.buckets_count, sizeof(struct vm_place_at *));
	if (!grown.buckets)
		return -ENOMEM;
	for (size_t i = 0; i < keyed->buckets_count; i++) {
		while (keyed->buckets[i]) {
			struct vm_place_at *at = keyed->buckets[i];
			struct vm_place_at **to = bucket(&grown, at->hash);

			keyed->buckets[i] = at->next;
			at->next = *to;
			*to = at;
		}
	}
	free(keyed->buckets);
	keyed->buckets = grown.buckets;
	keyed->buckets_count = grown.buckets_count;
	return 0;
}

static int keyed_add(struct keyed *keyed, uint64_t hash, const Tether__VmPlace *place)
{
	struct vm_place_at *at;

	if (keyed->count >= keyed->buckets_count && keyed_grow(keyed) && !keyed->buckets)
		return -ENOMEM; /* else longer chains, the same answers */
	at = malloc(sizeof(*at));
	if (!at)
		return -ENOMEM;
	*at = (struct vm_place_at){*bucket(keyed, hash), hash, place};
	*bucket(keyed, hash) = at;
	keyed->count++;
	return 0;
}

/* If it is there. */
static void keyed_remove(struct keyed *keyed, uint64_t hash, const Tether__VmPlace *place)
{
	struct vm_place_at **at = keyed->buckets ? bucket(keyed, hash) : NULL, *gone;

	while (at && *at && ((*at)->hash != hash || (*at)->place != place))
		at = &(*at)->next;
	if (!at || !*at)
		return;
	gone = *at;
	*at = gone->next;
	keyed->count--;
	free(gone);
}

static const struct vm_place_at *keyed_next(
        const struct keyed *keyed, uint64_t hash, const struct vm_place_at *after)
{
	const struct vm_place_at *at = after            ? after->next
	                               : keyed->buckets ? *bucket(keyed, hash)
	                                                : NULL;

	while (at && at->hash != hash)
		at = at->next;
	return at;
}

static void keyed_clear(struct keyed *keyed)
{
	for (size_t i = 0; i < keyed->buckets_count; i++) {
		while (keyed->buckets[i]) {
			struct vm_place_at *at = keyed->buckets[i];

			keyed->buckets[i] = at->next;
			free(at);
		}
	}
	free(keyed->buckets);
}

struct vm_places *vm_places_create(void)
{
	return calloc(1, sizeof(struct vm_places));
}

static void place_free(const Tether__VmPlace *place)
{
	tether__vm_place__free_unpacked((Tether__VmPlace *)place, NULL);
}

void vm_places_destroy(struct vm_places *places)
{
	if (!places)
		return;
	for (size_t i = 0; i < places->by_vm.buckets_count; i++)
		for (struct vm_place_at *at = places->by_vm.buckets[i]; at; at = at->next)
			place_free(at->place);
	keyed_clear(&places->by_vm);
	keyed_clear(&places->by_host);
	keyed_clear(&places->by_lid);
	free(places);
}

/* As far as it is in them. */
static void indexes_remove(struct vm_places *places, const Tether__VmPlace *place)
{
	keyed_remove(&places->by_vm, hash_of(place->vm), place);
	keyed_remove(&places->by_host, hash_of(place->host), place);
	keyed_remove(&places->by_host, hash_of(place->host_next), place);
	for (size_t i = 0; i < place->n_lids; i++)
		keyed_remove(&places->by_lid, place->lids[i], place);
}

static int indexes_add(struct vm_places *places, const Tether__VmPlace *place)
{
	bool has_next = *place->host_next && strcmp(place->host_next, place->host) != 0;
	int err = keyed_add(&places->by_vm, hash_of(place->vm), place);

	if (!err)
		err = keyed_add(&places->by_host, hash_of(place->host), place);
	if (!err && has_next)
		err = keyed_add(&places->by_host, hash_of(place->host_next), place);
	for (size_t i = 0; i < place->n_lids && !err; i++)
		err = keyed_add(&places->by_lid, place->lids[i], place);
	if (err)
		indexes_remove(places, place);
	return err;
}

static bool has_same_hosts(const Tether__VmPlace *place, const Tether__VmPlace *said)
{
	return place && !strcmp(place->host, said->host) &&
	       !strcmp(place->host_next, said->host_next);
}

int vm_places_put(struct vm_places *places, const Tether__VmPlace *said)
{
	const Tether__VmPlace *before = vm_places_find(places, said->vm);
	Tether__VmPlace *place;

	if (*said->host) {
		place = message_copy(&said->base);
		if (!place)
			return -ENOMEM;
		if (indexes_add(places, place)) {
			place_free(place);
			return -ENOMEM;
		}
	}
	places->changes += !has_same_hosts(before, said);
	if (before) {
		indexes_remove(places, before);
		place_free(before);
	}
	return 0;
}

bool vm_places_are_none(const struct vm_places *places)
{
	return !places->by_vm.count;
}

const Tether__VmPlace *vm_places_find(const struct vm_places *places, const char *vm)
{
	const struct vm_place_at *at = NULL;
	uint64_t hash;

	if (!places || !places->by_vm.count)
		return NULL;
	hash = hash_of(vm);
	do
		at = keyed_next(&places->by_vm, hash, at);
	while (at && strcmp(at->place->vm, vm) != 0);
	return at ? at->place : NULL;
}

const struct vm_place_at *vm_places_of_host(
        const struct vm_places *places, const char *host, const struct vm_place_at *after)
{
	uint64_t hash = hash_of(host);

	do
		after = keyed_next(&places->by_host, hash, after);
	while (after && !vm_place_is_of(after->place, host));
	return after;
}

const struct vm_place_at *vm_places_at_lid(
        const struct vm_places *places, uint32_t lid, const struct vm_place_at *after)
{
	return keyed_next(&places->by_lid, lid, after);
}

const Tether__VmPlace *vm_place(const struct vm_place_at *at)
{
	return at->place;
}

uint64_t vm_places_changes(const struct vm_places *places)
{
	return places ? places->changes : 0;
}

bool vm_place_may_claim(const struct vm_places *places, const char *vm, const char *host)
{
	const Tether__VmPlace *place = vm_places_find(places, vm);

	return !place || vm_place_is_of(place, host);
}

bool vm_place_is_of(const Tether__VmPlace *place, const char *host)
{
	return *host && (!strcmp(place->host, host) || !strcmp(place->host_next, host));
}

bool vm_place_has_lid(const Tether__VmPlace *place, uint32_t lid)
{
	for (size_t i = 0; i < place->n_lids; i++)
		if (place->lids[i] == lid)
			return true;
	return false;
}

static bool are_one_partition(uint32_t a, uint32_t b)
{
	return (a & PKEY_PARTITION) && (a & PKEY_PARTITION) == (b & PKEY_PARTITION) &&
	       ((a | b) & PKEY_FULL);
}

bool pkeys_may_talk(const uint32_t *a, size_t a_count, const uint32_t *b, size_t b_count)
{
	for (size_t i = 0; i < a_count; i++)
		for (size_t j = 0; j < b_count; j++)
			if (are_one_partition(a[i], b[j]))
				return true;
	return false;
}
