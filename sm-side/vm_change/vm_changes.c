/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "sm-side/vm_change/vm_changes.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { CHANGES_MAX = 1000 };

void vm_changes_init(struct vm_changes *changes, const struct deadlines *deadlines)
{
	*changes = (struct vm_changes){.deadlines = deadlines};
}

void vm_changes_clear(struct vm_changes *changes)
{
	while (changes->newest) {
		struct vm_change *change = changes->newest;

		changes->newest = change->older;
		free(change);
	}
	changes->count = 0;
}

const struct vm_change *vm_changes_standing(const struct vm_changes *changes, const char *vm)
{
	const struct vm_change *change = changes ? changes->newest : NULL;

	while (change && (change->state == CHANGE_REFUSED || strcmp(change->intent.vm, vm)))
		change = change->older;
	return change;
}

/* The slot in which its VM ends gets its own GUIDs back then; until then no slot shows them. */
static bool is_owed(const struct vm_changes *changes, const struct vm_change *change)
{
	return change->state != CHANGE_ABSENT &&
	       vm_changes_standing(changes, change->intent.vm) == change;
}

/* Its VM keeps GUIDs, LID or link until it is asked to end again. */
static bool is_left(const struct vm_changes *changes, const struct vm_change *change)
{
	return change->state == CHANGE_LEFT && change->intent.dynamic &&
	       vm_changes_standing(changes, change->intent.vm) == change;
}

/* However long ago it was: the journal keeps the same ones (OWING in journal.c). */
static bool is_needed(const struct vm_changes *changes, const struct vm_change *change)
{
	return is_left(changes, change) ||
	       (change->intent.own.port_guid && is_owed(changes, change));
}

static void forget_oldest_ended(struct vm_changes *changes)
{
	struct vm_change **found = NULL, *change;

	for (struct vm_change **c = &changes->newest; *c; c = &(*c)->older)
		if (vm_change_ended(*c) && !is_needed(changes, *c))
			found = c;
	if (!found)
		return;
	change = *found;
	*found = change->older;
	free(change);
	changes->count--;
}

struct vm_change *vm_changes_add(struct vm_changes *changes, const struct vm_change_intent *intent)
{
	struct vm_change *change = malloc(sizeof(*change));

	if (!change)
		return NULL;
	if (changes->count >= CHANGES_MAX)
		forget_oldest_ended(changes);
	vm_change_init(change, intent, changes->deadlines);
	change->older = changes->newest;
	changes->newest = change;
	changes->count++;
	if (intent->id > changes->last_id)
		changes->last_id = intent->id;
	if (intent->epoch > changes->epoch)
		changes->epoch = intent->epoch;
	return change;
}

struct vm_change *vm_changes_find(const struct vm_changes *changes, uint64_t id)
{
	struct vm_change *change = changes->newest;

	while (change && change->intent.id != id)
		change = change->older;
	return change;
}

struct vm_change *vm_changes_latest(const struct vm_changes *changes, const char *vm)
{
	struct vm_change *change = changes->newest;

	while (change && strcmp(change->intent.vm, vm))
		change = change->older;
	return change;
}

/* ---- under way ---- */

const struct vm_change *vm_changes_of_vm(const struct vm_changes *changes, const char *vm)
{
	for (const struct vm_change *c = changes ? changes->newest : NULL; c; c = c->older)
		if (!vm_change_ended(c) && !strcmp(c->intent.vm, vm))
			return c;
	return NULL;
}

const struct vm_change *vm_changes_of_slot(
        const struct vm_changes *changes, const char *host, const char *slot)
{
	for (const struct vm_change *c = changes ? changes->newest : NULL; c; c = c->older)
		if (!vm_change_ended(c) && !strcmp(c->intent.place.host, host) &&
		        !strcmp(c->intent.place.slot, slot))
			return c;
	return NULL;
}

/* Slots with LIDs of their own may be of one node. */
static bool is_shared(const struct vm_change *change, struct identity a, struct identity b)
{
	return a.port_guid == b.port_guid ||
	       (change->intent.dynamic && a.node_guid && a.node_guid == b.node_guid);
}

const struct vm_change *vm_changes_of_identity(
        const struct vm_changes *changes, struct identity identity)
{
	for (const struct vm_change *c = changes ? changes->newest : NULL; c; c = c->older) {
		if (is_shared(c, c->intent.identity, identity) &&
		        (!vm_change_ended(c) || is_left(changes, c)))
			return c;
		if (is_shared(c, c->intent.own, identity) && is_owed(changes, c))
			return c;
	}
	return NULL;
}

const struct vm_change *vm_changes_left_in(
        const struct vm_changes *changes, const char *host, const char *slot, uint64_t port_guid)
{
	for (const struct vm_change *c = changes ? changes->newest : NULL; c; c = c->older) {
		const struct vm_change_intent *intent = &c->intent;

		if (is_left(changes, c) && !strcmp(intent->place.host, host) &&
		        !strcmp(intent->place.slot, slot) &&
		        (intent->identity.port_guid == port_guid ||
		                intent->own.port_guid == port_guid))
			return c;
	}
	return NULL;
}

size_t vm_changes_under_way(const struct vm_changes *changes)
{
	size_t count = 0;

	for (const struct vm_change *c = changes->newest; c; c = c->older)
		count += !vm_change_ended(c);
	return count;
}

size_t vm_changes_at_work(const struct vm_changes *changes)
{
	size_t count = 0;

	for (const struct vm_change *c = changes->newest; c; c = c->older)
		count += vm_change_has_place(c);
	return count;
}

/* ---- what has been ---- */

struct identity vm_changes_own(const struct vm_changes *changes, const char *vm, uint64_t port_guid)
{
	const struct vm_change *standing = vm_changes_standing(changes, vm);

	return standing && standing->intent.identity.port_guid == port_guid ? standing->intent.own
	                                                                    : (struct identity){0};
}

bool vm_changes_has_gone(const struct vm_changes *changes, const char *vm, int64_t since_us)
{
	const struct vm_change *latest = vm_changes_latest(changes, vm);

	return latest && latest->intent.destroys && latest->state == CHANGE_ABSENT &&
	       latest->intent.asked_wall_us >= since_us;
}

/* ---- the journal ---- */

struct record vm_change_record(const struct vm_change *change)
{
	struct record record = {.kind = RECORD_change_state};
	struct change_state_record *state = &record.value.change_state;

	state->change = change->intent.id;
	state->epoch = change->intent.epoch;
	strncpy(state->state, change_state_name(change->state), sizeof(state->state) - 1);
	state->lid = change->lid;
	state->touched = change->touched;
	state->ended = vm_change_ended(change);
	state->who = change->who;
	state->reason = change->reason;
	state->text = change->text;
	return record;
}

static int intent_take(struct vm_changes *changes, const struct vm_change_intent *intent)
{
	if (vm_changes_find(changes, intent->id))
		return -EBADMSG;
	return vm_changes_add(changes, intent) ? 0 : -ENOMEM;
}

static int state_take(struct vm_changes *changes, const struct change_state_record *state)
{
	struct vm_change *change = vm_changes_find(changes, state->change);

	if (!change || change_state_parse(state->state, &change->state) ||
	        vm_change_ended(change) != state->ended)
		return -EBADMSG;
	change->intent.epoch = state->epoch;
	if (state->epoch > changes->epoch)
		changes->epoch = state->epoch;
	change->lid = state->lid;
	change->touched = state->touched;
	change->changes++;
	vm_change_find(change, state->who, state->reason, state->text);
	return 0;
}

int vm_changes_take(struct vm_changes *changes, const struct record *record)
{
	switch (record->kind) {
	case RECORD_change:
		return intent_take(changes, &record->value.change);
	case RECORD_change_state:
		return state_take(changes, &record->value.change_state);
	default:
		return -EBADMSG;
	}
}
