/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "sm-side/conductor/evacuation_room.h"

#include <stdlib.h>
#include <string.h>

#include "notifier/base/cleanup.h"
#include "sm-side/vm_change/vm_changes.h"

bool evacuation_empties(const struct evacuations *evacuations, const char *host)
{
	for (const struct evacuation *e = evacuations->newest; e; e = e->older)
		if (!e->ended && !e->aborted && !strcmp(e->host, host))
			return true;
	return false;
}

/* ---- who needs a VF, and which there are ---- */

/* A VF of somebody who waits; he has one of these for each, one after the other. */
struct need {
	const struct evacuation *evacuation;
	const struct evacuee *evacuee;
	const Tether__Slot *left; /* the slot that he leaves; NULL: not known */
	size_t vfs;               /* that go together */
};

/* A free slot. */
struct seat {
	const char *host;
	const Tether__Slot *slot;
	uint64_t emptied; /* evacuations up to this one do without it */
	const struct need *taken;
	bool gone, seen, rejected;
};

struct room {
	struct need *needs;
	struct seat *seats;
	size_t need_count, seat_count;
};

static void room_clear(struct room *room)
{
	free(room->needs);
	free(room->seats);
}

/* The latest evacuation that went on while @host was being emptied. */
static uint64_t emptied_beside(const struct evacuations *evacuations, const char *host)
{
	uint64_t latest = 0;

	for (const struct evacuation *e = evacuations->newest; e; e = e->older) {
		uint64_t beside = e->ended ? e->ended_beside : UINT64_MAX;

		if (!e->aborted && !strcmp(e->host, host) && beside > latest)
			latest = beside;
	}
	return latest;
}

static bool may_take(const struct seat *seat, const struct need *need)
{
	const struct evacuation *e = need->evacuation;

	return strcmp(seat->host, e->host) && seat->emptied < e->id &&
	       (!*e->destinations || evacuation_names_have(e->destinations, seat->host)) &&
	       !evacuation_names_have(need->evacuee->refused_by, seat->host) &&
	       admission_slot_fits(seat->slot, need->left);
}

static size_t slots_all(const struct inventory *inventory)
{
	size_t count = 0;

	for (const struct inventory_host *h = inventory->hosts; h; h = h->next)
		count += h->said ? h->said->n_slots : 0;
	return count;
}

static void seats_fill(struct room *room, const struct evacuations *evacuations,
        const struct inventory *inventory, const struct under_way *under_way)
{
	for (const struct inventory_host *h = inventory->hosts; h; h = h->next) {
		uint64_t emptied = emptied_beside(evacuations, h->name);
		const Tether__Slot *slot = NULL;

		while (h->connected &&
		        (slot = admission_free_slot(inventory, under_way, h->name, slot)))
			room->seats[room->seat_count++] =
			        (struct seat){.host = h->name, .slot = slot, .emptied = emptied};
	}
}

static const struct migration *migration_of(const struct under_way *under_way, const char *vm)
{
	for (size_t i = 0; i < under_way->count; i++)
		if (!strcmp(under_way->migrations[i]->intent.vm, vm))
			return under_way->migrations[i];
	return NULL;
}

/* Who is on his way elsewhere has a slot there already, who is elsewhere or ends needs none. */
static bool is_to_leave(const struct evacuation *e, const struct evacuee *evacuee,
        const struct inventory_host *at, const struct under_way *under_way)
{
	const struct migration *m = migration_of(under_way, evacuee->vm);
	const struct vm_change *change = vm_changes_of_vm(under_way->changes, evacuee->vm);

	if (evacuee->state != EVACUEE_WAITING || (change && change->intent.destroys))
		return false;
	if (m)
		return !strcmp(m->intent.destination.host, e->host);
	return !at || !strcmp(at->name, e->host);
}

/* Who has no VF on his way here leaves the one that waits for him. */
static const Tether__Slot *slot_left(const struct inventory *inventory,
        const struct under_way *under_way, const char *host, const char *vm, const char *slot)
{
	const Tether__Slot *had = host ? inventory_slot(inventory, host, slot) : NULL;
	const struct migration *m = had ? NULL : migration_of(under_way, vm);

	return m ? inventory_slot(inventory, m->intent.destination.host, m->intent.destination.slot)
	         : had;
}

/* @vm is at @host and has @first, or waits for it; NULL: nowhere, or not known. */
static void need_add(struct room *room, const struct evacuation *e, const struct evacuee *evacuee,
        const struct inventory *inventory, const char *host, const Tether__HostVm *vm,
        const Tether__Slot *first)
{
	const Tether__Slot *left[MIGRATION_VFS_MAX] = {first};
	const Tether__Slot *other = NULL;
	size_t count = 1;

	/* What could not go with the first is refused when its turn comes. */
	while (vm && left[0] && count < MIGRATION_VFS_MAX &&
	        (other = inventory_other_slot_of_vm(inventory, host, vm->name, vm->slot, other)))
		if (!other->shared_port && admission_slot_fits(other, left[0]))
			left[count++] = other;
	for (size_t i = 0; i < count; i++)
		room->needs[room->need_count++] = (struct need){e, evacuee, left[i], count};
}

static void needs_add(struct room *room, const struct evacuation *e,
        const struct inventory *inventory, const struct under_way *under_way)
{
	for (size_t i = 0; i < e->count; i++) {
		const struct inventory_host *at = NULL;
		const Tether__HostVm *vm = inventory_vm(inventory, e->vms[i].vm, &at);

		if (is_to_leave(e, &e->vms[i], at, under_way))
			need_add(room, e, &e->vms[i], inventory, vm ? at->name : NULL, vm,
			        slot_left(inventory, under_way, vm ? at->name : NULL, e->vms[i].vm,
			                vm ? vm->slot : ""));
	}
}

/* Of all evacuations, with room for the needs of @most VMs of one that is none of them yet. That
 * all VFs of a VM find a place says not that they find one at one host: that is looked at when its
 * turn comes. */
static int room_make(struct room *room, const struct evacuations *evacuations, size_t most,
        const struct inventory *inventory, const struct under_way *under_way)
{
	for (const struct evacuation *e = evacuations->newest; e; e = e->older)
		most += e->count;
	room->needs = calloc(most * MIGRATION_VFS_MAX + 1, sizeof(*room->needs));
	room->seats = calloc(slots_all(inventory) + 1, sizeof(*room->seats));
	if (!room->needs || !room->seats)
		return -1;
	seats_fill(room, evacuations, inventory, under_way);
	for (const struct evacuation *e = evacuations->newest; e; e = e->older)
		if (!e->ended && !e->aborted)
			needs_add(room, e, inventory, under_way);
	return 0;
}

/* ---- a VF for each ---- */

static bool seat_take(struct room *room, const struct need *need)
{
	for (size_t i = 0; i < room->seat_count; i++) {
		struct seat *seat = &room->seats[i];

		if (seat->gone || seat->seen || !may_take(seat, need))
			continue;
		seat->seen = true;
		if (!seat->taken || seat_take(room, seat->taken)) {
			seat->taken = need;
			return true;
		}
	}
	return false;
}

/* Those who have one keep one. */
static bool place_find(struct room *room, const struct need *need)
{
	for (size_t i = 0; i < room->seat_count; i++)
		room->seats[i].seen = false;
	return seat_take(room, need);
}

/* For as many as can be; not for @but and what goes with it. */
static size_t places_find(struct room *room, const struct need *but)
{
	size_t count = 0;

	for (size_t i = 0; i < room->seat_count; i++)
		room->seats[i].taken = NULL;
	for (size_t i = 0; i < room->need_count; i++)
		count += !(but && room->needs[i].evacuee == but->evacuee) &&
		         place_find(room, &room->needs[i]);
	return count;
}

/* ---- choosing ---- */

/* The first seat of the host where @need finds the most. */
static struct seat *roomiest(const struct room *room, const struct need *need)
{
	struct seat *best = NULL, *first = NULL;
	size_t most = 0, count = 0;

	for (size_t i = 0; i < room->seat_count; i++) {
		struct seat *seat = &room->seats[i];

		if (seat->rejected || !may_take(seat, need))
			continue;
		if (!first || seat->host != first->host) {
			first = seat;
			count = 0;
		}
		if (++count > most && count >= need->vfs) {
			most = count;
			best = first;
		}
	}
	return best;
}

static void host_reject(struct room *room, const char *host)
{
	for (size_t i = 0; i < room->seat_count; i++)
		room->seats[i].rejected |= room->seats[i].host == host;
}

/* Those that it takes at @seat's host: the first. */
static void seats_go(struct room *room, const struct seat *seat, const struct need *need, bool gone)
{
	size_t left = need->vfs;

	for (size_t i = 0; i < room->seat_count && left; i++) {
		if (room->seats[i].host != seat->host || !may_take(&room->seats[i], need))
			continue;
		room->seats[i].gone = gone;
		left--;
	}
}

static size_t places_beside(struct room *room, struct seat *seat, const struct need *need)
{
	size_t count;

	seats_go(room, seat, need, true);
	count = places_find(room, need);
	seats_go(room, seat, need, false);
	return count;
}

/* With it there, as many find a VF as can be. */
static const char *host_choose(struct room *room, const struct need *need)
{
	size_t all = places_find(room, NULL);
	struct seat *seat;

	while ((seat = roomiest(room, need)) && places_beside(room, seat, need) + need->vfs < all)
		host_reject(room, seat->host);
	return seat ? seat->host : NULL;
}

static const struct need *need_of(const struct room *room, const struct evacuee *evacuee)
{
	for (size_t i = 0; i < room->need_count; i++)
		if (room->needs[i].evacuee == evacuee)
			return &room->needs[i];
	return NULL;
}

struct admission evacuation_destination(const struct evacuations *evacuations,
        const struct evacuation *e, const struct evacuee *evacuee,
        const struct inventory *inventory, const struct under_way *under_way, const char **host)
{
	__attribute__((cleanup(room_clear))) struct room room = {0};
	const struct need *need;

	if (room_make(&room, evacuations, 0, inventory, under_way))
		return admission_refuse("no-memory", "tether-smd is out of memory");
	need = need_of(&room, evacuee);
	*host = need ? host_choose(&room, need) : NULL;
	if (*host)
		return (struct admission){0};
	return admission_refuse("no-free-vf",
	        "no host that may take %s has a VF free that others do not wait for", evacuee->vm);
}

/* ---- room for all ---- */

static size_t vms_count(const struct room *room, size_t first)
{
	size_t count = 0;

	for (size_t i = first; i < room->need_count; i++)
		count += i == first || room->needs[i].evacuee != room->needs[i - 1].evacuee;
	return count;
}

/* Those of the evacuation who find none, from @first on; false: all do. */
static bool who_finds_none(
        struct room *room, size_t first, char *names, size_t size, size_t *needed)
{
	const struct evacuee *named = NULL;

	*needed = vms_count(room, first);
	for (size_t i = first; i < room->need_count; i++) {
		const struct evacuee *evacuee = room->needs[i].evacuee;

		if (place_find(room, &room->needs[i]) || evacuee == named)
			continue;
		evacuation_name_append(names, size, evacuee->vm);
		named = evacuee;
	}
	return named;
}

/* What it could have and no other needs. */
static size_t seats_left(const struct room *room, const struct need *need)
{
	size_t count = 0;

	for (size_t i = 0; i < room->seat_count; i++) {
		const struct seat *seat = &room->seats[i];

		count += may_take(seat, need) &&
		         (!seat->taken || seat->taken->evacuation == need->evacuation);
	}
	return count;
}

static struct admission refuse_others(const struct room *room, const struct evacuation *made)
{
	const struct evacuation *e = room->needs[0].evacuation;

	return admission_refuse("no-capacity",
	        "%zu VMs of other hosts that are being evacuated (%s is one) need the free VFs of "
	        "%s, which would take nobody; nothing was changed",
	        vms_count(room, 0), e->host, made->host);
}

static void host_close(struct room *room, const char *host)
{
	for (size_t i = 0; i < room->seat_count; i++)
		room->seats[i].gone |= !strcmp(room->seats[i].host, host);
}

struct admission evacuation_room(const struct evacuations *evacuations,
        const struct evacuation *made, const struct inventory *inventory,
        const struct under_way *under_way)
{
	__attribute__((cleanup(room_clear))) struct room room = {0};
	size_t others, placed, needed;
	char names[128] = "";

	if (room_make(&room, evacuations, made->count, inventory, under_way))
		return admission_refuse("no-memory", "tether-smd is out of memory");
	placed = places_find(&room, NULL);
	host_close(&room, made->host);
	if (places_find(&room, NULL) < placed)
		return refuse_others(&room, made);
	others = room.need_count;
	needs_add(&room, made, inventory, under_way);
	if (!who_finds_none(&room, others, names, sizeof(names), &needed))
		return (struct admission){0};
	return admission_refuse("no-capacity",
	        "%zu VMs would have to leave and there are %zu free VFs; no place for %s; nothing "
	        "was changed",
	        needed, seats_left(&room, &room.needs[others]), names);
}
