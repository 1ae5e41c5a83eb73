/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "notifier/relay/barrier.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct barrier {
	struct barrier *next;
	uint64_t migration;
	uint64_t until_ms;
	uint32_t last_id;
	struct address address;
	char vm[];
};

/* Under Shared Port, or with several VFs, a VM is known under several addresses, and has a barrier
 * at each. */
static struct barrier *barrier_find(
        const struct barrier *barriers, uint64_t migration, const struct address *address)
{
	while (barriers &&
	        (barriers->migration != migration || !address_matches(address, &barriers->address)))
		barriers = barriers->next;
	return (struct barrier *)barriers;
}

int barrier_set(struct barrier **barriers, uint64_t migration, const char *vm,
        const struct address *address, uint32_t last_id, uint64_t until_ms)
{
	struct barrier *barrier = barrier_find(*barriers, migration, address);

	if (!barrier) {
		barrier = calloc(1, sizeof(*barrier) + strlen(vm) + 1);
		if (!barrier)
			return -ENOMEM;
		strcpy(barrier->vm, vm);
		barrier->migration = migration;
		barrier->last_id = last_id;
		barrier->next = *barriers;
		*barriers = barrier;
	}
	barrier->address = *address;
	barrier->until_ms = until_ms;
	return 0;
}

void barrier_extend(struct barrier *barriers, uint64_t migration, uint64_t until_ms)
{
	for (; barriers; barriers = barriers->next)
		if (barriers->migration == migration && barriers->until_ms < until_ms)
			barriers->until_ms = until_ms;
}

bool barrier_lift(struct barrier **barriers, uint64_t migration)
{
	bool lifted = false;

	while (*barriers) {
		struct barrier *barrier = *barriers;

		if (barrier->migration != migration) {
			barriers = &barrier->next;
			continue;
		}
		*barriers = barrier->next;
		free(barrier);
		lifted = true;
	}
	return lifted;
}

void barriers_clear(struct barrier **barriers)
{
	while (*barriers)
		barrier_lift(barriers, (*barriers)->migration);
}

bool barriers_hold(const struct barrier *barriers, const char *vm, const struct address *address)
{
	for (; barriers; barriers = barriers->next)
		if (address_matches(&barriers->address, address) ||
		        (vm && !strcmp(barriers->vm, vm)))
			return true;
	return false;
}

/* Numbers wrap after four thousand million registrations; the order of two near ones stays. */
static bool is_before(uint32_t id, uint32_t other)
{
	return (int32_t)(id - other) <= 0;
}

bool barrier_came_after(const struct barrier *barriers, uint64_t migration, uint32_t id,
        const struct address *address)
{
	for (; barriers; barriers = barriers->next)
		if (barriers->migration == migration && is_before(id, barriers->last_id) &&
		        address_matches(&barriers->address, address))
			return true;
	return false;
}

uint64_t barriers_next(const struct barrier *barriers)
{
	uint64_t next = UINT64_MAX;

	for (; barriers; barriers = barriers->next)
		if (barriers->until_ms < next)
			next = barriers->until_ms;
	return next;
}

bool barriers_overdue(const struct barrier *barriers, uint64_t now_ms, uint64_t *migration)
{
	while (barriers && barriers->until_ms > now_ms)
		barriers = barriers->next;
	if (barriers)
		*migration = barriers->migration;
	return barriers;
}
