/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "sm-side/directory/directory_state.h"

#include <errno.h>
#include <search.h>
#include <stdio.h>
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
	if (vm->host || vm->next || vm->claims || vm->moves || vm->is_owed || vm->is_news)
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

static void owe(struct directory *directory, struct directory_vm *vm)
{
	if (vm->is_owed)
		return;
	vm->is_owed = true;
	vm->next_owed = NULL;
	*directory->owed_vms_end = vm;
	directory->owed_vms_end = &vm->next_owed;
}

static void make_news(struct directory *directory, struct directory_vm *vm)
{
	if (vm->is_news)
		return;
	vm->is_news = true;
	vm->next_news = NULL;
	*directory->news_end = vm;
	directory->news_end = &vm->next_news;
}

/* Who of those that say they have it is not believed; after each change of whose it is. */
static void judge(struct directory *directory, struct directory_vm *vm)
{
	for (struct vm_claim *c = vm->claims; c; c = c->next) {
		bool was_refused = c->refused;

		c->refused = c->word && !may_have(vm, c->host);
		if (c->refused != was_refused)
			c->host->is_stale = true;
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
		vm->host->is_stale = true;
	if (host)
		host->is_stale = true;
	vm->host = host;
	owe(directory, vm);
	make_news(directory, vm);
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

	while (claim && !claim->host->here)
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
	make_news(directory, vm);
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
	if (!vm->host && (!vm->moves || host == vm->next))
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
	make_news(directory, vm);
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
	make_news(directory, vm);
	if (at)
		give(directory, vm, at);
	if (!vm->host || has_let_go(vm))
		pass_on(directory, vm);
	judge(directory, vm);
}

enum directory_release directory_release(struct directory *directory, const char *name)
{
	struct directory_vm *vm = directory_vm_find(directory, name);
	struct directory_host *host = vm ? vm->host : NULL;

	if (!host)
		return RELEASE_UNKNOWN;
	if (vm->moves)
		return RELEASE_MOVING;
	if (host->here && claim_of(vm, host) && vm->claims->next == NULL)
		return RELEASE_HELD;
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
	        (!may_have(vm, had->host) && !claim_of(vm, had->host)))
		return;
	had->err = vm->moves && may_have(vm, had->host) ? -EBUSY : had_add(had, vm);
}

int directory_vms_forget(struct directory *directory, struct directory_host *host)
{
	struct had had = {.host = host};

	twalk_r(directory->vms, had_look, &had);
	for (size_t i = 0; i < had.count && !had.err; i++) {
		claim_end(had.at[i], host);
		if (had.at[i]->host == host)
			pass_on(directory, had.at[i]);
		judge(directory, had.at[i]);
	}
	free(had.at);
	return had.err;
}

/* ---- what the SM says ---- */

static bool are_numbers(const uint32_t *at, size_t count, const uint32_t *numbers, size_t wanted)
{
	return count == wanted && (!count || !memcmp(at, numbers, count * sizeof(*at)));
}

static bool is_located_so(const struct directory_vm *vm, const struct directory_place *place)
{
	return vm->located == place->located && vm->shared_port == place->shared_port &&
	       vm->port == place->port &&
	       are_numbers(vm->lids, vm->lid_count, place->lids, place->lid_count) &&
	       are_numbers(vm->pkeys, vm->pkey_count, place->pkeys, place->pkey_count);
}

/* As a list for the journal, and for people. */
static char *numbers_print(const char *format, const uint32_t *numbers, size_t count)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		return NULL;
	for (size_t i = 0; i < count; i++) {
		if (i)
			fputc(' ', out);
		fprintf(out, format, numbers[i]);
	}
	if (!fclose(out))
		return text;
	free(text);
	return NULL;
}

static int numbers_put(uint32_t **at, size_t *count, char **text, const char *format,
        const uint32_t *numbers, size_t wanted)
{
	uint32_t *grown = reallocarray(*at, wanted ? wanted : 1, sizeof(*grown));
	char *printed;

	if (!grown)
		return -ENOMEM;
	*at = grown;
	*count = wanted;
	if (wanted)
		memcpy(grown, numbers, wanted * sizeof(*grown));
	printed = numbers_print(format, numbers, wanted);
	if (!printed)
		return -ENOMEM;
	free(*text);
	*text = printed;
	return 0;
}

int directory_vm_locate(
        struct directory *directory, struct directory_vm *vm, const struct directory_place *place)
{
	size_t lids = place->lid_count < DIRECTORY_LIDS ? place->lid_count : DIRECTORY_LIDS;
	size_t pkeys = place->pkey_count < DIRECTORY_PKEYS ? place->pkey_count : DIRECTORY_PKEYS;
	int err = numbers_put(&vm->lids, &vm->lid_count, &vm->lids_text, "%u", place->lids, lids);

	if (!err)
		err = numbers_put(&vm->pkeys, &vm->pkey_count, &vm->pkeys_text, "0x%04x",
		        place->pkeys, pkeys);
	vm->port = place->port;
	vm->located = place->located && !err;
	vm->shared_port = place->shared_port;
	make_news(directory, vm);
	return err;
}

int directory_locate(struct directory *directory, const struct directory_place *place)
{
	struct directory_vm *vm = directory_vm_find(directory, place->vm);

	if (!vm || is_located_so(vm, place))
		return 0;
	owe(directory, vm);
	return directory_vm_locate(directory, vm, place);
}

static struct directory_place place_of(const struct directory_vm *vm)
{
	return (struct directory_place){.vm = vm->name,
	        .host = vm->host ? vm->host->name : "",
	        .next = vm->next ? vm->next->name : "",
	        .port = vm->port,
	        .located = vm->located,
	        .shared_port = vm->shared_port,
	        .lids = vm->lids,
	        .pkeys = vm->pkeys,
	        .lid_count = vm->lid_count,
	        .pkey_count = vm->pkey_count};
}

bool directory_place_of(
        const struct directory *directory, const char *name, struct directory_place *place)
{
	const struct directory_vm *vm = directory_vm_find(directory, name);

	if (vm)
		*place = place_of(vm);
	return vm;
}

struct places_walk {
	void (*each)(void *context, const struct directory_place *place);
	void *context;
};

static void place_look(const void *node, VISIT visit, void *context)
{
	const struct places_walk *walk = context;
	struct directory_place place;

	if (visit != postorder && visit != leaf)
		return;
	place = place_of(*(const struct directory_vm *const *)node);
	walk->each(walk->context, &place);
}

void directory_each(const struct directory *directory,
        void (*each)(void *context, const struct directory_place *place), void *context)
{
	struct places_walk walk = {each, context};

	twalk_r(directory->vms, place_look, &walk);
}

void directory_news(struct directory *directory,
        void (*each)(void *context, const struct directory_place *place), void *context)
{
	directory_tidy(directory);
	for (struct directory_vm *vm = directory->news; vm; vm = vm->next_news) {
		struct directory_place place = place_of(vm);

		each(context, &place);
	}
	directory->told = directory->news;
	directory->news = NULL;
	directory->news_end = &directory->news;
}

void directory_tidy(struct directory *directory)
{
	while (directory->told) {
		struct directory_vm *vm = directory->told;

		directory->told = vm->next_news;
		vm->is_news = false;
		directory_vm_tidy(directory, vm);
	}
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
