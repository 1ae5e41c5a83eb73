/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "sm-side/directory/directory_state.h"

#include <errno.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void directory_vm_make_news(struct directory *directory, struct directory_vm *vm)
{
	if (vm->is_news)
		return;
	vm->is_news = true;
	vm->next_news = NULL;
	*directory->news_end = vm;
	directory->news_end = &vm->next_news;
}

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
	directory_vm_make_news(directory, vm);
	return err;
}

int directory_locate(struct directory *directory, const struct directory_place *place)
{
	struct directory_vm *vm = directory_vm_find(directory, place->vm);

	if (!vm || is_located_so(vm, place))
		return 0;
	directory_vm_owe(directory, vm);
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
	        .moves = vm->moves,
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
