/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "sm-side/directory/directory_state.h"

#include <errno.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>

static int by_name(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

struct directory_host *directory_host_find(const struct directory *directory, const char *name)
{
	struct directory_host **found = tfind(&name, &directory->hosts, by_name);

	return found ? *found : NULL;
}

static void restored_clear(struct directory_host *host)
{
	while (host->restored_count)
		free(host->restored[--host->restored_count]);
	free(host->restored);
	host->restored = NULL;
	host->restored_room = 0;
}

int directory_host_restored(struct directory_host *host, const char *vm)
{
	size_t room = host->restored_room ? 2 * host->restored_room : 16;
	char **grown = host->restored;

	if (host->restored_count == host->restored_room) {
		grown = reallocarray(host->restored, room, sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		host->restored = grown;
		host->restored_room = room;
	}
	grown[host->restored_count] = strdup(vm);
	if (!grown[host->restored_count])
		return -ENOMEM;
	host->restored_count++;
	return 0;
}

static void host_free(void *at)
{
	struct directory_host *host = at;

	restored_clear(host);
	if (host->said)
		tether__hello__free_unpacked(host->said, NULL);
	free((char *)host->name);
	free(host);
}

struct directory_host *directory_host_make(struct directory *directory, const char *name)
{
	struct directory_host *host = directory_host_find(directory, name);

	if (host)
		return host;
	host = calloc(1, sizeof(*host));
	if (!host)
		return NULL;
	host->name = strdup(name);
	if (!host->name || !tsearch(host, &directory->hosts, by_name)) {
		host_free(host);
		return NULL;
	}
	host->next = directory->host_list;
	directory->host_list = host;
	return host;
}

struct directory *directory_create(const struct directory_outputs *outputs, void *owner)
{
	struct directory *directory = calloc(1, sizeof(*directory));

	if (!directory)
		return NULL;
	directory->outputs = outputs;
	directory->owner = owner;
	directory->owed_vms_end = &directory->owed_vms;
	directory->news_end = &directory->news;
	directory->owed_slots_end = &directory->owed_slots;
	return directory;
}

static void key_free(void *key)
{
	free(key);
}

void directory_destroy(struct directory *directory)
{
	if (!directory)
		return;
	tdestroy(directory->vms, directory_vm_free);
	tdestroy(directory->slots, directory_slot_free);
	tdestroy(directory->places, key_free);
	tdestroy(directory->guids, key_free);
	tdestroy(directory->hosts, host_free);
	free(directory);
}

void directory_refuse(struct directory *directory, const struct directory_claim *claim)
{
	directory->refused[claim->thing]++;
	directory->outputs->refused(directory->owner, claim);
}

uint64_t directory_refused(const struct directory *directory, enum directory_thing thing)
{
	return directory->refused[thing];
}

void directory_host_stale(struct directory *directory, struct directory_host *host, bool stale)
{
	directory->stale += stale - host->is_stale;
	host->is_stale = stale;
}

/* ---- words of hosts ---- */

static int vms_take(
        struct directory *directory, struct directory_host *host, const Tether__Hello *before)
{
	int err = 0;

	for (size_t i = 0; i < host->said->n_vms && !err; i++)
		err = directory_vm_claimed(directory, host, host->said->vms[i]->name);
	for (size_t i = 0; before && i < before->n_vms && !err; i++)
		directory_vm_unclaimed(directory, host, before->vms[i]->name);
	for (size_t i = 0; i < host->restored_count && !err; i++)
		directory_vm_unclaimed(directory, host, host->restored[i]);
	if (!err)
		restored_clear(host);
	return err;
}

/* Who waited for what another one has let go of. */
static int slots_look_again(struct directory *directory)
{
	int err = 0;

	directory->slot_let_go = false;
	for (struct directory_host *h = directory->host_list; h && !err; h = h->next) {
		if (!h->disputed || !h->here)
			continue;
		err = directory_slots_take(directory, h);
		directory_host_stale(directory, h, true);
	}
	return err;
}

int directory_host_says(struct directory *directory, const char *name, Tether__HostVm **vms,
        size_t vm_count, Tether__Slot **slots, size_t slot_count)
{
	struct directory_host *host = directory_host_make(directory, name);
	Tether__Hello *said =
	        host ? directory_word_copy(directory, vms, vm_count, slots, slot_count) : NULL;
	Tether__Hello *before;
	int err;

	if (!said)
		return -ENOMEM;
	before = host->said;
	host->said = said;
	host->word++;
	err = vms_take(directory, host, before);
	if (!err)
		err = directory_slots_take(directory, host);
	if (!err && directory->slot_let_go)
		err = slots_look_again(directory);
	directory_host_stale(directory, host, false);
	if (before)
		tether__hello__free_unpacked(before, NULL);
	return err;
}

int directory_host_here(struct directory *directory, const char *name, bool here)
{
	struct directory_host *host =
	        here ? directory_host_make(directory, name) : directory_host_find(directory, name);

	if (host) {
		host->here = here;
		host->is_forgotten &= !here;
	}
	return host || !here ? 0 : -ENOMEM;
}

bool directory_knows(const struct directory *directory, const char *name)
{
	const struct directory_host *host = directory_host_find(directory, name);

	return host && !host->is_forgotten;
}

bool directory_forget(struct directory *directory, const char *name)
{
	struct directory_host *host = directory_host_find(directory, name);

	if (!host || host->here || directory_vms_forget(directory, host))
		return false;
	directory_slots_forget(directory, host);
	if (host->said)
		tether__hello__free_unpacked(host->said, NULL);
	host->said = NULL;
	restored_clear(host);
	directory_host_stale(directory, host, false);
	host->is_forgotten = true;
	if (slots_look_again(directory))
		directory->slot_let_go = true; /* at the next word */
	return true;
}

const char *directory_stale(struct directory *directory)
{
	struct directory_host *h = directory->host_list;

	for (; directory->stale && h; h = h->next) {
		if (!h->is_stale)
			continue;
		directory_host_stale(directory, h, false);
		if (h->said)
			return h->name;
	}
	return NULL;
}

/* ---- what is believed ---- */

int directory_view(const struct directory *directory, const char *name, struct directory_view *view)
{
	const struct directory_host *host = directory_host_find(directory, name);
	const Tether__Hello *said = host ? host->said : NULL;

	*view = (struct directory_view){0};
	if (!said)
		return 0;
	view->vms = calloc(said->n_vms + 1, sizeof(*view->vms));
	view->slots = calloc(said->n_slots + 1, sizeof(*view->slots));
	if (!view->vms || !view->slots) {
		directory_view_clear(view);
		return -ENOMEM;
	}
	for (size_t i = 0; i < said->n_vms; i++)
		if (directory_has(directory, name, said->vms[i]->name))
			view->vms[view->vm_count++] = said->vms[i];
	for (size_t i = 0; i < said->n_slots; i++) {
		const struct directory_slot *slot =
		        directory_slot_find(directory, host, said->slots[i]->name);

		if (slot && !slot->held_by)
			view->slots[view->slot_count++] = said->slots[i];
	}
	return 0;
}

void directory_view_clear(struct directory_view *view)
{
	free(view->vms);
	free(view->slots);
	*view = (struct directory_view){0};
}

struct claims_walk {
	void (*each)(void *context, const struct directory_claim *claim);
	void *context;
};

static void claims_of(const struct directory_vm *vm, const struct claims_walk *walk)
{
	for (const struct vm_claim *c = vm->claims; c; c = c->next)
		if (c->refused)
			walk->each(walk->context,
			        &(struct directory_claim){DIRECTORY_VM, c->host->name, vm->name,
			                directory_host_of_vm(vm)});
}

static void vm_claims(const void *node, VISIT visit, void *context)
{
	if (visit == postorder || visit == leaf)
		claims_of(*(const struct directory_vm *const *)node, context);
}

void directory_vm_claims(const struct directory *directory, const char *name,
        void (*each)(void *context, const struct directory_claim *claim), void *context)
{
	const struct claims_walk walk = {each, context};
	const struct directory_vm *vm = directory_vm_find(directory, name);

	if (vm)
		claims_of(vm, &walk);
}

static void slot_claims(const void *node, VISIT visit, void *context)
{
	const struct directory_slot *slot = *(const struct directory_slot *const *)node;
	const struct claims_walk *walk = context;

	if ((visit == postorder || visit == leaf) && slot->held_by)
		walk->each(walk->context, &(struct directory_claim){slot->held, slot->host->name,
		                                  slot->name, slot->held_by->name});
}

void directory_claims(const struct directory *directory,
        void (*each)(void *context, const struct directory_claim *claim), void *context)
{
	struct claims_walk walk = {each, context};

	twalk_r(directory->vms, vm_claims, &walk);
	twalk_r(directory->slots, slot_claims, &walk);
}
