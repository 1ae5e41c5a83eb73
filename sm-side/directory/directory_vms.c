/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "sm-side/directory/directory_state.h"

#include <errno.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>

#include "notifier/base/name.h"

static int by_name(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

struct directory_vm *directory_vm_find(const struct directory *directory, const char *name)
{
	struct directory_vm **found = tfind(&name, &directory->vms, by_name);

	return found ? *found : NULL;
}

void directory_vm_free(void *at)
{
	struct directory_vm *vm = at;

	while (vm->claims) {
		struct vm_claim *claim = vm->claims;

		vm->claims = claim->next;
		free(claim);
	}
	free(vm->lids);
	free(vm->pkeys);
	free(vm->lids_text);
	free(vm->pkeys_text);
	free((char *)vm->name);
	free(vm);
}

struct directory_vm *directory_vm_make(struct directory *directory, const char *name)
{
	struct directory_vm *vm = directory_vm_find(directory, name);

	if (vm)
		return vm;
	vm = calloc(1, sizeof(*vm));
	if (!vm)
		return NULL;
	vm->name = strdup(name);
	if (!vm->name || !tsearch(vm, &directory->vms, by_name)) {
		directory_vm_free(vm);
		return NULL;
	}
	return vm;
}

void directory_vm_tidy(struct directory *directory, struct directory_vm *vm)
{
	if (vm->host || vm->next || vm->barred || vm->claims || vm->moves || vm->is_owed ||
	        vm->is_news)
		return;
	tdelete(vm, &directory->vms, by_name);
	directory_vm_free(vm);
}

/* ---- whose it is ---- */

const char *directory_host_of_vm(const struct directory_vm *vm)
{
	if (vm->host)
		return vm->host->name;
	return vm->next ? vm->next->name : "";
}

static bool may_have(const struct directory_vm *vm, const struct directory_host *host)
{
	return host == vm->host || host == vm->next;
}

void directory_vm_owe(struct directory *directory, struct directory_vm *vm)
{
	if (vm->is_owed)
		return;
	vm->is_owed = true;
	vm->next_owed = NULL;
	*directory->owed_vms_end = vm;
	directory->owed_vms_end = &vm->next_owed;
}

/* Who of those that say they have it is not believed; after each change of whose it is. */
static void judge(struct directory *directory, struct directory_vm *vm)
{
	for (struct vm_claim *c = vm->claims; c; c = c->next) {
		bool was_refused = c->refused;

		c->refused = c->word && !may_have(vm, c->host);
		if (c->refused != was_refused)
			directory_host_stale(directory, c->host, true);
		if (c->refused && !was_refused)
			directory_refuse(
			        directory, &(struct directory_claim){DIRECTORY_VM, c->host->name,
			                           vm->name, directory_host_of_vm(vm)});
	}
}

static void give(struct directory *directory, struct directory_vm *vm, struct directory_host *host)
{
	if (vm->host == host)
		return;
	if (vm->host)
		directory_host_stale(directory, vm->host, true);
	if (host)
		directory_host_stale(directory, host, true);
	if (vm->barred == host)
		vm->barred = NULL;
	vm->host = host;
	directory_vm_owe(directory, vm);
	directory_vm_make_news(directory, vm);
}

static struct vm_claim *claim_of(const struct directory_vm *vm, const struct directory_host *host)
{
	struct vm_claim *claim = vm->claims;

	while (claim && claim->host != host)
		claim = claim->next;
	return claim;
}

/* To the first who waits and is here. */
static void pass_on(struct directory *directory, struct directory_vm *vm)
{
	const struct vm_claim *claim = vm->claims;

	while (claim && (!claim->host->here || claim->host == vm->barred))
		claim = claim->next;
	give(directory, vm, claim ? claim->host : NULL);
}

static struct vm_claim *claim_make(struct directory_vm *vm, struct directory_host *host)
{
	struct vm_claim **end = &vm->claims;
	struct vm_claim *claim = claim_of(vm, host);

	if (claim)
		return claim;
	while (*end)
		end = &(*end)->next;
	*end = calloc(1, sizeof(**end));
	if (*end)
		(*end)->host = host;
	return *end;
}

int directory_vm_put(
        struct directory *directory, struct directory_vm *vm, struct directory_host *host)
{
	vm->host = host;
	directory_vm_make_news(directory, vm);
	return claim_make(vm, host) ? directory_host_restored(host, vm->name) : -ENOMEM;
}

int directory_vm_claimed(struct directory *directory, struct directory_host *host, const char *name)
{
	struct directory_vm *vm;
	struct vm_claim *claim;

	if (!name_is_fit(name)) {
		directory->refused[DIRECTORY_VM]++;
		return 0;
	}
	vm = directory_vm_make(directory, name);
	claim = vm ? claim_make(vm, host) : NULL;
	if (!claim)
		return -ENOMEM;
	claim->word = host->word;
	if (!vm->host && host != vm->barred && (!vm->moves || host == vm->next))
		give(directory, vm, host);
	judge(directory, vm);
	return 0;
}

static void claim_end(struct directory_vm *vm, const struct directory_host *host)
{
	struct vm_claim **at = &vm->claims;
	struct vm_claim *claim;

	while (*at && (*at)->host != host)
		at = &(*at)->next;
	claim = *at;
	if (!claim)
		return;
	*at = claim->next;
	free(claim);
}

void directory_vm_unclaimed(
        struct directory *directory, struct directory_host *host, const char *name)
{
	struct directory_vm *vm = directory_vm_find(directory, name);
	const struct vm_claim *claim = vm ? claim_of(vm, host) : NULL;

	if (!claim || claim->word == host->word)
		return;
	claim_end(vm, host);
	/* On its way it is nobody else's, whatever its two hosts say. */
	if (vm->host == host && !vm->moves)
		pass_on(directory, vm);
	judge(directory, vm);
}

/* ---- our own changes ---- */

int directory_move_begins(
        struct directory *directory, const char *name, const char *from, const char *to)
{
	struct directory_host *source = from ? directory_host_make(directory, from) : NULL;
	struct directory_host *destination = directory_host_make(directory, to);
	struct directory_vm *vm = directory_vm_make(directory, name);

	if ((from && !source) || !destination || !vm)
		return -ENOMEM;
	vm->moves = true;
	if (source && vm->host != destination)
		give(directory, vm, source);
	vm->next = source && vm->host == destination ? source : destination;
	if (vm->next == vm->host)
		vm->next = NULL;
	directory_vm_make_news(directory, vm);
	judge(directory, vm);
	return 0;
}

/* Its own word has dropped it meanwhile. */
static bool has_let_go(const struct directory_vm *vm)
{
	return vm->host && vm->host->here && !claim_of(vm, vm->host);
}

void directory_move_ends(struct directory *directory, const char *name, const char *host)
{
	struct directory_vm *vm = directory_vm_find(directory, name);
	struct directory_host *at = host ? directory_host_find(directory, host) : NULL;

	if (!vm || !vm->moves)
		return;
	vm->moves = false;
	vm->next = NULL;
	directory_vm_make_news(directory, vm);
	if (at)
		give(directory, vm, at);
	if (!vm->host || has_let_go(vm))
		pass_on(directory, vm);
	judge(directory, vm);
}

enum directory_release directory_release(struct directory *directory, const char *name, bool force)
{
	struct directory_vm *vm = directory_vm_find(directory, name);
	struct directory_host *host = vm ? vm->host : NULL;

	if (!host)
		return RELEASE_UNKNOWN;
	if (vm->moves)
		return RELEASE_MOVING;
	if (force)
		vm->barred = host;
	else if (host->here && claim_of(vm, host) && vm->claims->next == NULL)
		return RELEASE_HELD;
	else
		claim_end(vm, host);
	pass_on(directory, vm);
	judge(directory, vm);
	return RELEASE_DONE;
}

/* VMs that @host has, or says to have. */
struct had {
	const struct directory_host *host;
	struct directory_vm **at;
	size_t count, room;
	int err;
};

static int had_add(struct had *had, struct directory_vm *vm)
{
	size_t room = had->room ? 2 * had->room : 16;
	struct directory_vm **grown = had->at;

	if (had->count == had->room) {
		grown = reallocarray(had->at, room, sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		had->at = grown;
		had->room = room;
	}
	had->at[had->count++] = vm;
	return 0;
}

static void had_look(const void *node, VISIT visit, void *context)
{
	struct directory_vm *vm = *(struct directory_vm *const *)node;
	struct had *had = context;

	if (had->err || (visit != postorder && visit != leaf) ||
	        (!may_have(vm, had->host) && !claim_of(vm, had->host) && vm->barred != had->host))
		return;
	had->err = vm->moves && may_have(vm, had->host) ? -EBUSY : had_add(had, vm);
}

int directory_vms_forget(struct directory *directory, struct directory_host *host)
{
	struct had had = {.host = host};

	twalk_r(directory->vms, had_look, &had);
	for (size_t i = 0; i < had.count && !had.err; i++) {
		claim_end(had.at[i], host);
		if (had.at[i]->barred == host)
			had.at[i]->barred = NULL;
		if (had.at[i]->host == host)
			pass_on(directory, had.at[i]);
		judge(directory, had.at[i]);
	}
	free(had.at);
	return had.err;
}

/* ---- asked ---- */

const char *directory_host_of(const struct directory *directory, const char *name)
{
	const struct directory_vm *vm = directory_vm_find(directory, name);

	return vm && vm->host ? vm->host->name : "";
}

const char *directory_next_of(const struct directory *directory, const char *name)
{
	const struct directory_vm *vm = directory_vm_find(directory, name);

	return vm && vm->next ? vm->next->name : "";
}

bool directory_has(const struct directory *directory, const char *host, const char *name)
{
	const struct directory_vm *vm = directory_vm_find(directory, name);
	const struct directory_host *h = directory_host_find(directory, host);

	return vm && h && may_have(vm, h);
}
