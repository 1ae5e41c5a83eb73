/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "sm-side/directory/directory_state.h"

#include <errno.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>

static int by_host_and_name(const void *a, const void *b)
{
	const struct directory_slot *one = a, *other = b;

	if (one->of != other->of)
		return strcmp(one->of->name, other->of->name);
	return strcmp(one->name, other->name);
}

static int by_key(const void *a, const void *b)
{
	const struct slot_key *one = a, *other = b;

	if (one->guid != other->guid)
		return one->guid < other->guid ? -1 : 1;
	return (one->port > other->port) - (one->port < other->port);
}

struct directory_slot *directory_slot_find(
        const struct directory *directory, const struct directory_host *host, const char *name)
{
	const struct directory_slot wanted = {.of = host, .name = name};
	struct directory_slot **found = tfind(&wanted, &directory->slots, by_host_and_name);

	return found ? *found : NULL;
}

void directory_slot_free(void *at)
{
	struct directory_slot *slot = at;

	free((char *)slot->name);
	free(slot);
}

struct directory_slot *directory_slot_make(
        struct directory *directory, struct directory_host *host, const char *name)
{
	struct directory_slot *slot = directory_slot_find(directory, host, name);

	if (slot)
		return slot;
	slot = calloc(1, sizeof(*slot));
	if (!slot)
		return NULL;
	slot->of = slot->host = host;
	slot->name = strdup(name);
	if (!slot->name || !tsearch(slot, &directory->slots, by_host_and_name)) {
		directory_slot_free(slot);
		return NULL;
	}
	slot->next = host->slots;
	host->slots = slot;
	return slot;
}

void directory_slot_tidy(struct directory *directory, struct directory_slot *slot)
{
	struct directory_slot **at = &slot->host->slots;

	if (slot->known || slot->held_by || slot->is_owed || slot->ours[0] || slot->ours[1])
		return;
	while (*at != slot)
		at = &(*at)->next;
	*at = slot->next;
	tdelete(slot, &directory->slots, by_host_and_name);
	directory_slot_free(slot);
}

/* ---- places and GUIDs ---- */

static struct slot_key *key_find(void *const *tree, uint64_t guid, uint32_t port)
{
	const struct slot_key wanted = {guid, port, NULL};
	struct slot_key **found = tfind(&wanted, tree, by_key);

	return found ? *found : NULL;
}

static struct slot_key *key_make(void **tree, uint64_t guid, uint32_t port)
{
	struct slot_key *key = key_find(tree, guid, port);

	if (key)
		return key;
	key = calloc(1, sizeof(*key));
	if (!key)
		return NULL;
	key->guid = guid;
	key->port = port;
	if (tsearch(key, tree, by_key))
		return key;
	free(key);
	return NULL;
}

static void key_tidy(void **tree, struct slot_key *key)
{
	if (key->first)
		return;
	tdelete(key, tree, by_key);
	free(key);
}

/* Where the list of @guid goes on behind @slot. */
static struct directory_slot **link_of(struct directory_slot *slot, bool shown)
{
	return shown ? &slot->next_shown : &slot->next_there;
}

static void key_leave(
        void **tree, uint64_t guid, uint32_t port, struct directory_slot *slot, bool shown)
{
	struct slot_key *key = guid ? key_find(tree, guid, port) : NULL;
	struct directory_slot **at = key ? &key->first : NULL;

	while (at && *at && *at != slot)
		at = link_of(*at, shown);
	if (!at || !*at)
		return;
	*at = *link_of(slot, shown);
	*link_of(slot, shown) = NULL;
	key_tidy(tree, key);
}

static int key_join(
        void **tree, uint64_t guid, uint32_t port, struct directory_slot *slot, bool shown)
{
	struct slot_key *key = guid ? key_make(tree, guid, port) : NULL;

	if (!guid)
		return 0;
	if (!key)
		return -ENOMEM;
	*link_of(slot, shown) = key->first;
	key->first = slot;
	return 0;
}

/* A slot of another host there, or that shows it; NULL: none. */
static const struct directory_host *key_holder(void *const *tree, uint64_t guid, uint32_t port,
        const struct directory_host *host, bool shown)
{
	const struct slot_key *key = guid ? key_find(tree, guid, port) : NULL;
	struct directory_slot *slot = key ? key->first : NULL;

	while (slot && slot->host == host)
		slot = *link_of(slot, shown);
	return slot ? slot->host : NULL;
}

/* ---- what is believed ---- */

static void owe(struct directory *directory, struct directory_slot *slot)
{
	if (slot->is_owed)
		return;
	slot->is_owed = true;
	slot->next_owed = NULL;
	*directory->owed_slots_end = slot;
	directory->owed_slots_end = &slot->next_owed;
}

static void keys_leave(struct directory *directory, struct directory_slot *slot)
{
	if (!slot->known)
		return;
	key_leave(&directory->places, slot->switch_guid, slot->switch_port, slot, false);
	key_leave(&directory->guids, slot->port_guid, 0, slot, true);
	slot->known = false;
	directory->slot_let_go = true;
}

int directory_slot_put(struct directory *directory, struct directory_slot *slot,
        uint64_t switch_guid, uint32_t switch_port, uint64_t port_guid)
{
	keys_leave(directory, slot);
	slot->switch_guid = switch_guid;
	slot->switch_port = switch_port;
	slot->port_guid = port_guid;
	slot->known = true;
	if (key_join(&directory->places, switch_guid, switch_port, slot, false) ||
	        key_join(&directory->guids, port_guid, 0, slot, true))
		return -ENOMEM;
	return 0;
}

static bool is_as_known(const struct directory_slot *slot, const Tether__Slot *said)
{
	return slot->known && slot->switch_guid == said->switch_guid &&
	       slot->switch_port == said->switch_port && slot->port_guid == said->port_guid;
}

/* Whoever else shows it, so does this one by our doing, or it always has. */
static bool may_show(const struct directory_slot *slot, uint64_t guid)
{
	return (slot->known && slot->port_guid == guid) || slot->ours[0] == guid ||
	       slot->ours[1] == guid;
}

/* NULL: it may be believed. */
static const struct directory_host *holder_of(const struct directory *directory,
        const struct directory_slot *slot, const Tether__Slot *said, enum directory_thing *thing)
{
	const struct directory_host *holder = key_holder(
	        &directory->places, said->switch_guid, said->switch_port, slot->host, false);

	*thing = DIRECTORY_PLACE;
	if (holder || may_show(slot, said->port_guid))
		return holder;
	*thing = DIRECTORY_GUID;
	return key_holder(&directory->guids, said->port_guid, 0, slot->host, true);
}

static void held_set(struct directory_slot *slot, const struct directory_host *holder)
{
	slot->host->disputed += !!holder;
	slot->host->disputed -= !!slot->held_by;
	slot->held_by = holder;
}

static void slot_refuse(struct directory *directory, struct directory_slot *slot,
        const struct directory_host *holder, enum directory_thing thing)
{
	bool is_new = slot->held_by != holder || slot->held != thing;

	held_set(slot, holder);
	slot->held = thing;
	if (is_new)
		directory_refuse(directory, &(struct directory_claim){thing, slot->host->name,
		                                    slot->name, holder->name});
}

static int slot_take(
        struct directory *directory, struct directory_host *host, const Tether__Slot *said)
{
	struct directory_slot *slot = directory_slot_make(directory, host, said->name);
	const struct directory_host *holder;
	enum directory_thing thing;

	if (!slot)
		return -ENOMEM;
	slot->word = host->word;
	holder = is_as_known(slot, said) ? NULL : holder_of(directory, slot, said, &thing);
	if (holder) {
		slot_refuse(directory, slot, holder, thing);
		return 0;
	}
	held_set(slot, NULL);
	if (is_as_known(slot, said))
		return 0;
	owe(directory, slot);
	return directory_slot_put(
	        directory, slot, said->switch_guid, said->switch_port, said->port_guid);
}

static void slots_drop(struct directory *directory, struct directory_host *host)
{
	for (struct directory_slot *slot = host->slots, *next; slot; slot = next) {
		next = slot->next;
		if (slot->word == host->word)
			continue;
		if (slot->known) {
			keys_leave(directory, slot);
			owe(directory, slot);
		}
		held_set(slot, NULL);
		directory_slot_tidy(directory, slot);
	}
}

void directory_slots_forget(struct directory *directory, struct directory_host *host)
{
	/* None is of the next word. */
	host->word++;
	for (struct directory_slot *slot = host->slots; slot; slot = slot->next)
		memset(slot->ours, 0, sizeof(slot->ours));
	slots_drop(directory, host);
}

int directory_slots_take(struct directory *directory, struct directory_host *host)
{
	int err = 0;

	for (size_t i = 0; i < host->said->n_slots && !err; i++)
		err = slot_take(directory, host, host->said->slots[i]);
	if (!err)
		slots_drop(directory, host);
	return err;
}

int directory_slot_shows(
        struct directory *directory, const char *host, const char *name, const uint64_t guids[2])
{
	struct directory_host *h = directory_host_make(directory, host);
	struct directory_slot *slot = h ? directory_slot_make(directory, h, name) : NULL;

	if (!slot)
		return -ENOMEM;
	memcpy(slot->ours, guids, sizeof(slot->ours));
	return 0;
}
