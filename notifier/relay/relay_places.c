/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Where VMs are, by the root's word. Each place is told to the agents that have the VM, are about
 * to or have had it, or have such a host behind them; to a host that comes anew all that are its.
 * What is nobody's here any more is forgotten, but by the root.
 */
#include "notifier/relay/relay_state.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "notifier/relay/lid_claims.h"

enum {
	TOLD_MOST = 4, /* two hosts before, two now */
	FRAME_BYTES = 256 << 10,
};

/* A place that is new, and the agents whom it concerns. */
struct told {
	const Tether__VmPlace *place;
	const struct child *to[TOLD_MOST];
	size_t count;
	bool was_below;
};

/* A frame's worth of places for one child. */
struct batch {
	Tether__VmPlace **places;
	size_t count, bytes;
};

static void batch_send(struct relay *relay, const struct child *child, struct batch *batch)
{
	Tether__Whereabouts whereabouts = TETHER__WHEREABOUTS__INIT;
	Tether__Frame frame = TETHER__FRAME__INIT;

	if (!batch->count)
		return;
	whereabouts.vms = batch->places;
	whereabouts.n_vms = batch->count;
	frame.body_case = TETHER__FRAME__BODY_WHEREABOUTS;
	frame.whereabouts = &whereabouts;
	relay_child_say(relay, child, &frame);
	batch->count = batch->bytes = 0;
}

/* batch->places has room. */
static void batch_add(struct relay *relay, const struct child *child, struct batch *batch,
        const Tether__VmPlace *place)
{
	batch->places[batch->count++] = (Tether__VmPlace *)place;
	batch->bytes += tether__vm_place__get_packed_size(place);
	if (batch->bytes >= FRAME_BYTES)
		batch_send(relay, child, batch);
}

/* Who has a host. */
struct holder {
	const char *host; /* NULL: of none */
	const struct child *child;
};

/* Places of one host come in a row: the last that was looked for is often the next. @last goes on
 * with @host as long as it is used. */
static const struct child *child_with_host(
        const struct relay *relay, const char *host, struct holder *last)
{
	if (!*host)
		return NULL;
	if (!last->host || strcmp(last->host, host) != 0)
		*last = (struct holder){host, children_by_host(&relay->children, host, NULL)};
	return last->child;
}

static void told_add(struct told *told, const struct child *child)
{
	for (size_t i = 0; i < told->count; i++)
		if (told->to[i] == child)
			return;
	if (child)
		told->to[told->count++] = child;
}

static void told_fill(const struct relay *relay, struct told *told, const Tether__VmPlace *place,
        struct holder *last)
{
	if (!place)
		return;
	told_add(told, child_with_host(relay, place->host, last));
	told_add(told, child_with_host(relay, place->host_next, last));
}

static bool is_told(const struct told *told, const struct child *child)
{
	if (child->vm)
		return child->is_guest && !strcmp(child->vm, told->place->vm);
	for (size_t i = 0; i < told->count; i++)
		if (told->to[i] == child)
			return true;
	return false;
}

static void places_tell(
        struct relay *relay, const struct child *child, const struct told *told, size_t count)
{
	struct batch batch = {0};

	for (size_t i = 0; i < count; i++) {
		if (!is_told(&told[i], child))
			continue;
		if (!batch.places)
			batch.places = calloc(count, sizeof(*batch.places));
		if (!batch.places)
			return; /* nothing is checked there then */
		batch_add(relay, child, &batch, told[i].place);
	}
	batch_send(relay, child, &batch);
	free(batch.places);
}

/* The VM is somebody's here. */
static bool is_ours(const struct relay *relay, const struct told *told)
{
	switch (relay->settings.role) {
	case TETHER__ROLE__ROLE_HOST:
		return vm_place_is_of(told->place, relay->name);
	case TETHER__ROLE__ROLE_RELAY:
		return children_by_host(&relay->children, told->place->host, NULL) ||
		       children_by_host(&relay->children, told->place->host_next, NULL);
	default:
		return true;
	}
}

static int place_keep(struct relay *relay, const struct told *told)
{
	Tether__VmPlace nowhere = TETHER__VM_PLACE__INIT;

	nowhere.vm = told->place->vm;
	return vm_places_put(relay->places, is_ours(relay, told) ? told->place : &nowhere);
}

/* Who has the VM may have become concerned by what is open. */
static void events_hand(struct relay *relay, const struct told *told, uint64_t now_ms)
{
	for (const struct child *child = relay->children.first; child; child = child->next)
		if (child->name && (is_told(told, child) ||
		                           (child->vm && !strcmp(child->vm, told->place->vm))))
			relay_events_hand(relay, child, false, now_ms);
}

/* Where a VM has left all that are behind an agent between, the end of its migration need not come
 * by. */
static void vm_leave(struct relay *relay, const struct told *told, uint64_t now_ms)
{
	if (told->was_below && !relay_vm_is_below(relay, told->place->vm))
		relay_vm_left(relay, told->place->vm, now_ms);
}

/* Whom it concerns, and it counts from now on. */
static int place_take(struct relay *relay, struct told *told, struct holder *last)
{
	const Tether__VmPlace *before = vm_places_find(relay->places, told->place->vm);
	struct holder passing;

	told->was_below = relay->settings.role == TETHER__ROLE__ROLE_RELAY &&
	                  relay_vm_is_below(relay, told->place->vm);
	told_fill(relay, told, told->place, last);
	passing = *last; /* what it is called before is not kept */
	told_fill(relay, told, before, &passing);
	return place_keep(relay, told);
}

/* In a guest, and at the root while a host is being welcomed, it concerns nobody. */
static bool concerns_anybody(const struct relay *relay, const struct told *told, size_t count)
{
	bool has_guests = relay->settings.role == TETHER__ROLE__ROLE_HOST;

	for (size_t i = 0; i < count && !has_guests; i++)
		if (told[i].count)
			return true;
	return has_guests;
}

static void places_pass_on(
        struct relay *relay, const struct told *told, size_t count, uint64_t now_ms)
{
	const struct child *child = relay->children.first;

	if (!concerns_anybody(relay, told, count))
		child = NULL;
	for (; child; child = child->next)
		if (child->connected && child->name && !child_is_process(child))
			places_tell(relay, child, told, count);
	for (size_t i = 0; i < count && relay->open; i++)
		events_hand(relay, &told[i], now_ms);
	for (size_t i = 0; i < count; i++)
		vm_leave(relay, &told[i], now_ms);
}

int relay_whereabouts(struct relay *relay, const Tether__Whereabouts *whereabouts, uint64_t now_ms)
{
	struct told *told = calloc(whereabouts->n_vms + 1, sizeof(*told));
	struct holder last = {0};
	int err = told ? 0 : -ENOMEM;

	for (size_t i = 0; i < whereabouts->n_vms && !err; i++) {
		told[i].place = whereabouts->vms[i];
		err = place_take(relay, &told[i], &last);
		relay_missed_look(relay, told[i].place);
	}
	if (!err)
		places_pass_on(relay, told, whereabouts->n_vms, now_ms);
	free(told);
	relay_settle(relay, now_ms);
	return err;
}

void relay_places_say_host(struct relay *relay, const struct child *child, const char *host)
{
	const struct vm_place_at *at = NULL;
	struct batch batch = {0};
	size_t count = 0;

	while ((at = vm_places_of_host(relay->places, host, at)))
		count++;
	batch.places = count ? calloc(count, sizeof(*batch.places)) : NULL;
	while (batch.places && (at = vm_places_of_host(relay->places, host, at)))
		batch_add(relay, child, &batch, vm_place(at));
	batch_send(relay, child, &batch);
	free(batch.places);
}

void relay_places_say_guest(struct relay *relay, const struct child *child)
{
	const Tether__VmPlace *place = vm_places_find(relay->places, child->vm);
	Tether__VmPlace *places[1];
	struct batch batch = {.places = places};

	if (!place)
		return;
	batch_add(relay, child, &batch, place);
	batch_send(relay, child, &batch);
}

struct lid_owners relay_lid_owners(const struct relay *relay)
{
	return (struct lid_owners){relay->places, registration_names(relay->registration)};
}

/* Another child has it by the root's word, and this one does not. An agent between says what is
 * held behind it before it says who is. */
static bool vm_is_elsewhere(struct relay *relay, const struct child *child, const char *vm)
{
	const Tether__VmPlace *place = vm_places_find(relay->places, vm);
	const struct child *here =
	        place ? children_by_host(&relay->children, place->host, NULL) : NULL;

	if (child->vm)
		return strcmp(child->vm, vm) != 0;
	return here && here != child && !child_has_vm(child, vm) &&
	       children_by_host(&relay->children, place->host_next, NULL) != child;
}

bool relay_may_announce(void *at, uint32_t member, const char *asker, const struct address *address)
{
	struct relay *relay = at;
	const struct child *child = children_by_member(&relay->children, member);
	struct lid_owners owners;

	if (!child)
		return true;
	if (is_gid_name(address->lid)) {
		if (!asker || !*asker || !vm_is_elsewhere(relay, child, asker))
			return true;
		relay->counts.foreign_lids++;
		return false;
	}
	if (!asker || !child_has_vm(child, asker))
		asker = child->vm;
	owners = relay_lid_owners(relay);
	if (!lid_is_foreign(&owners, child, asker, address->lid))
		return true;
	relay->counts.foreign_lids++;
	return false;
}
