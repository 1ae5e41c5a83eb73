/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "notifier/relay/interest.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "notifier/relay/count_table.h"
#include "notifier/relay/gid_book.h"
#include "notifier/relay/name_hash.h"

enum { BUCKETS_FIRST = 64 };

struct holding {
	struct address address;
	struct holding *next; /* in its bucket */
	uint32_t *members;    /* in order */
	size_t count, room;
	uint32_t *pkeys; /* NULL: not known */
	size_t pkeys_count;
};

struct interest {
	struct holding **buckets; /* a power of two of them */
	size_t buckets_count;
	size_t count; /* addresses held */
	/* How many, by a member's slot and by VM: addresses, announcements. */
	struct count_table of_member[2], of_vm[2];
	struct count_table holdings_of_vm; /* each as often as it is held */
	struct gid_book *names;            /* of the addresses that are held; NULL: it is bare */
};

static const struct address no_address;

static bool gid_is_set(const struct address *address)
{
	return memcmp(address->gid, no_address.gid, GID_BYTES) != 0;
}

int address_decode(const Tether__Address *wire, struct address *address)
{
	struct address decoded = {0};

	if (!wire || (wire->gid.len && wire->gid.len != GID_BYTES) ||
	        !gid_name_fits(wire->lid, wire->gid.data, wire->gid.len))
		return -EINVAL;
	decoded.lid = wire->lid;
	decoded.qpn = wire->qpn;
	decoded.context = wire->context;
	if (wire->gid.len)
		memcpy(decoded.gid, wire->gid.data, GID_BYTES);
	if (!decoded.lid)
		decoded.lid = gid_name(decoded.gid);
	if (!decoded.lid)
		return -EINVAL;
	*address = decoded;
	return 0;
}

void address_encode(const struct address *address, Tether__Address *wire)
{
	tether__address__init(wire);
	wire->lid = address->lid;
	wire->qpn = address->qpn;
	wire->context = address->context;
	if (gid_is_set(address)) {
		wire->gid.len = GID_BYTES;
		wire->gid.data = (uint8_t *)address->gid;
	}
}

/* A queue pair is the same whatever context it is said to be of. */
static bool is_same_thing(const struct address *a, const struct address *b)
{
	return a->qpn == b->qpn && (a->qpn || a->context == b->context);
}

static bool is_same_key(const struct address *a, const struct address *b)
{
	if (!is_same_thing(a, b))
		return false;
	return a->lid ? a->lid == b->lid : !b->lid && !memcmp(a->gid, b->gid, GID_BYTES);
}

bool address_matches(const struct address *asked, const struct address *held)
{
	if (!is_same_thing(held, asked))
		return false;
	if (held->lid)
		return held->lid == asked->lid;
	return gid_is_set(asked) && !memcmp(asked->gid, held->gid, GID_BYTES);
}

size_t address_hash(const struct address *address)
{
	struct {
		uint8_t gid[GID_BYTES];
		uint32_t lid, qpn, context;
	} key = {.lid = address->lid, .qpn = address->qpn};

	if (!address->lid)
		memcpy(key.gid, address->gid, GID_BYTES);
	if (!address->qpn)
		key.context = address->context;
	return name_hash((const char *)&key, sizeof(key));
}

struct interest *interest_create_bare(void)
{
	struct interest *interest = calloc(1, sizeof(*interest));

	if (!interest)
		return NULL;
	interest->buckets_count = BUCKETS_FIRST;
	interest->buckets = calloc(BUCKETS_FIRST, sizeof(*interest->buckets));
	if (interest->buckets)
		return interest;
	free(interest);
	return NULL;
}

struct interest *interest_create(void)
{
	struct interest *interest = interest_create_bare();

	if (!interest)
		return NULL;
	interest->names = gid_book_create();
	if (interest->names)
		return interest;
	interest_destroy(interest);
	return NULL;
}

static void holding_destroy(struct holding *holding)
{
	free(holding->members);
	free(holding->pkeys);
	free(holding);
}

void interest_destroy(struct interest *interest)
{
	if (!interest)
		return;
	for (size_t i = 0; i < interest->buckets_count; i++) {
		while (interest->buckets[i]) {
			struct holding *holding = interest->buckets[i];

			interest->buckets[i] = holding->next;
			holding_destroy(holding);
		}
	}
	free(interest->buckets);
	for (size_t i = 0; i < 2; i++) {
		count_clear(&interest->of_member[i]);
		count_clear(&interest->of_vm[i]);
	}
	count_clear(&interest->holdings_of_vm);
	gid_book_destroy(interest->names);
	free(interest);
}

static struct holding **bucket(const struct interest *interest, const struct address *address)
{
	return &interest->buckets[address_hash(address) & (interest->buckets_count - 1)];
}

/* The link that points to @address's holding, or to NULL where it would be. */
static struct holding **find(const struct interest *interest, const struct address *address)
{
	struct holding **at = bucket(interest, address);

	while (*at && !is_same_key(&(*at)->address, address))
		at = &(*at)->next;
	return at;
}

/* Where @member is, or would be. */
static size_t member_place(const struct holding *holding, uint32_t member)
{
	size_t low = 0, high = holding->count;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (holding->members[middle] < member)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static bool is_held_by(const struct holding *holding, uint32_t member)
{
	size_t place = member_place(holding, member);

	return place < holding->count && holding->members[place] == member;
}

static void buckets_grow(struct interest *interest)
{
	struct interest grown = {.buckets_count = interest->buckets_count * 2};

	grown.buckets = calloc(grown.buckets_count, sizeof(*grown.buckets));
	if (!grown.buckets)
		return; /* longer chains, the same answers */
	for (size_t i = 0; i < interest->buckets_count; i++) {
		while (interest->buckets[i]) {
			struct holding *holding = interest->buckets[i];
			struct holding **at = bucket(&grown, &holding->address);

			interest->buckets[i] = holding->next;
			holding->next = *at;
			*at = holding;
		}
	}
	free(interest->buckets);
	interest->buckets = grown.buckets;
	interest->buckets_count = grown.buckets_count;
}

/* Who is not there yet. */
static int member_insert(struct holding *holding, uint32_t member)
{
	size_t place = member_place(holding, member);

	if (holding->count == holding->room) {
		size_t room = holding->room ? holding->room * 2 : 4;
		uint32_t *members = realloc(holding->members, room * sizeof(*members));

		if (!members)
			return -ENOMEM;
		holding->members = members;
		holding->room = room;
	}
	memmove(holding->members + place + 1, holding->members + place,
	        (holding->count - place) * sizeof(*holding->members));
	holding->members[place] = member;
	holding->count++;
	return 0;
}

/* Whose announcement @address is; NULL: it is none. */
static const char *announcer(const struct address *address)
{
	if (!address_is_announcement(address))
		return NULL;
	return address->vm ? address->vm : "";
}

static bool is_named(const struct interest *interest, const struct address *address)
{
	return interest->names && is_gid_name(address->lid);
}

int interest_check(const struct interest *interest, const struct address *address)
{
	if (!is_named(interest, address))
		return 0;
	return gid_book_check(interest->names, address->lid, address->gid, announcer(address));
}

static int holding_create(struct interest *interest, uint32_t member, const struct address *address)
{
	struct holding *holding = calloc(1, sizeof(*holding));
	struct holding **at;
	int err = holding ? member_insert(holding, member) : -ENOMEM;

	if (!err && is_named(interest, address))
		err = gid_book_hold(
		        interest->names, address->lid, address->gid, announcer(address));
	if (err) {
		if (holding)
			holding_destroy(holding);
		return err;
	}
	if (interest->count >= interest->buckets_count)
		buckets_grow(interest);
	holding->address = *address;
	holding->address.vm = NULL;
	at = bucket(interest, address);
	holding->next = *at;
	*at = holding;
	interest->count++;
	return 0;
}

static int counts_reserve(struct interest *interest, uint32_t member, bool announces)
{
	uint32_t vm = member_vm(member);

	return count_reserve(&interest->of_member[announces], member_slot(member)) ||
	                       count_reserve(&interest->of_vm[announces], vm) ||
	                       count_reserve(&interest->holdings_of_vm, vm)
	               ? -ENOMEM
	               : 0;
}

/* Members are in order, and so those of a VM are side by side. */
static bool vm_holds(const struct holding *holding, uint32_t vm)
{
	size_t place = member_place(holding, member_of(vm, 0));

	return vm && place < holding->count && member_vm(holding->members[place]) == vm;
}

/* @member has come or gone by @by; nobody else of its VM holds it if it @is_alone. */
static void count_note(
        struct interest *interest, uint32_t member, bool announces, bool is_alone, int by)
{
	uint32_t vm = member_vm(member);

	interest->of_member[announces].counts[member_slot(member)] += by;
	if (!vm)
		return;
	interest->holdings_of_vm.counts[vm] += by;
	if (is_alone)
		interest->of_vm[announces].counts[vm] += by;
}

int interest_add(struct interest *interest, uint32_t member, const struct address *address)
{
	struct holding *holding = *find(interest, address);
	bool is_alone = !holding || !vm_holds(holding, member_vm(member));
	int added = interest_check(interest, address);

	if (added)
		return added;
	if (holding)
		holding->address.context = address->context;
	if (holding && is_held_by(holding, member))
		return 0;
	if (counts_reserve(interest, member, address_is_announcement(address)))
		return -ENOMEM;
	added = holding ? member_insert(holding, member)
	                : holding_create(interest, member, address);
	if (added < 0)
		return added;
	count_note(interest, member, address_is_announcement(address), is_alone, 1);
	return holding ? 1 : 2;
}

int interest_drop(struct interest *interest, uint32_t member, const struct address *address)
{
	struct holding **at = find(interest, address);
	struct holding *holding = *at;
	size_t place;

	if (!holding || !is_held_by(holding, member))
		return 0;
	place = member_place(holding, member);
	holding->count--;
	memmove(holding->members + place, holding->members + place + 1,
	        (holding->count - place) * sizeof(*holding->members));
	count_note(interest, member, address_is_announcement(address),
	        !vm_holds(holding, member_vm(member)), -1);
	if (holding->count)
		return 1;
	*at = holding->next;
	if (is_named(interest, &holding->address))
		gid_book_let_go(interest->names, holding->address.lid,
		        address_is_announcement(&holding->address));
	holding_destroy(holding);
	interest->count--;
	return 2;
}

static bool key_is_held_by(
        const struct interest *interest, uint32_t member, const struct address *key)
{
	const struct holding *holding = *find(interest, key);

	return holding && (!member || is_held_by(holding, member));
}

bool interest_holds(const struct interest *interest, uint32_t member, const struct address *address)
{
	struct address by_gid = *address;

	if (address->lid && key_is_held_by(interest, member, address))
		return true;
	by_gid.lid = 0;
	return gid_is_set(&by_gid) && key_is_held_by(interest, member, &by_gid);
}

const struct address *interest_find(const struct interest *interest, const struct address *address)
{
	const struct holding *holding = *find(interest, address);

	return holding ? &holding->address : NULL;
}

/* By LID, or by GID where it is held under that. */
static struct holding *find_either(const struct interest *interest, const struct address *address)
{
	struct address by_gid = *address;
	struct holding *holding = address->lid ? *find(interest, address) : NULL;

	by_gid.lid = 0;
	return holding || !gid_is_set(&by_gid) ? holding : *find(interest, &by_gid);
}

int interest_pkeys_set(struct interest *interest, const struct address *address,
        const uint32_t *pkeys, size_t count)
{
	struct holding *holding = find_either(interest, address);
	uint32_t *copy;

	if (!holding)
		return -ENOENT;
	copy = count ? malloc(count * sizeof(*copy)) : NULL;
	if (count && !copy)
		return -ENOMEM;
	if (count)
		memcpy(copy, pkeys, count * sizeof(*copy));
	free(holding->pkeys);
	holding->pkeys = copy;
	holding->pkeys_count = count;
	return 0;
}

const uint32_t *interest_pkeys(
        const struct interest *interest, const struct address *address, size_t *count)
{
	const struct holding *holding = find_either(interest, address);

	*count = holding ? holding->pkeys_count : 0;
	return holding ? holding->pkeys : NULL;
}

bool interest_is_held(const struct interest *interest, const struct address *address)
{
	return interest_holds(interest, 0, address);
}

size_t interest_count(const struct interest *interest, uint32_t member)
{
	if (!member)
		return interest->count;
	return count_of(&interest->of_member[0], member_slot(member)) +
	       count_of(&interest->of_member[1], member_slot(member));
}

size_t interest_count_like(
        const struct interest *interest, uint32_t member, const struct address *address)
{
	return count_of(
	        &interest->of_member[address_is_announcement(address)], member_slot(member));
}

size_t interest_count_of_vm(
        const struct interest *interest, uint32_t member, const struct address *address)
{
	return count_of(&interest->of_vm[address_is_announcement(address)], member_vm(member));
}

bool interest_vm_holds(
        const struct interest *interest, uint32_t member, const struct address *address)
{
	const struct holding *holding = *find(interest, address);

	return holding && vm_holds(holding, member_vm(member));
}

size_t interest_vm_holdings(const struct interest *interest, uint32_t member)
{
	return count_of(&interest->holdings_of_vm, member_vm(member));
}

void interest_for_each(const struct interest *interest, uint32_t member,
        void (*each)(void *context, const struct address *address), void *context)
{
	for (size_t i = 0; i < interest->buckets_count; i++) {
		for (const struct holding *h = interest->buckets[i]; h; h = h->next) {
			struct address address = h->address;

			if (member && !is_held_by(h, member))
				continue;
			if (is_named(interest, &address) && address_is_announcement(&address))
				address.vm = gid_book_vm(interest->names, address.lid);
			each(context, &address);
		}
	}
}

const struct gid_book *interest_names(const struct interest *interest)
{
	return interest->names;
}
