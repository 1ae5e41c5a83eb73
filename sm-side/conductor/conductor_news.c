/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * "This VM has moved": said to whoever had interest in its address when it was done, so that he
 * looks again at what he keeps of that address. No migration waits for it, and whoever does not
 * come for so long as a migration may take is told nothing any more. The record of the end has to
 * whom it is to be said, another one that it has been: who is started again in between says it once
 * more, under the same epoch, by which those who know it see that they do.
 */
#include "sm-side/conductor/conductor_state.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "notifier/base/cleanup.h"
#include "notifier/base/die_point.h"
#include "notifier/base/log.h"
#include "notifier/base/monotonic.h"
#include "sm-side/migration/orders.h"

/* At @names, whose blanks become ends; NULL: no memory. The caller frees the array. */
static char **names_split(char *names, size_t *count)
{
	size_t blanks = 0;
	char **split, *rest;

	for (const char *at = names; *at; at++)
		blanks += *at == ' ';
	split = calloc(blanks + 1, sizeof(*split));
	*count = 0;
	for (char *name = split ? strtok_r(names, " ", &rest) : NULL; name;
	        name = strtok_r(NULL, " ", &rest))
		split[(*count)++] = name;
	return split;
}

void news_find(struct drive *d)
{
	struct order order;
	char *servers;

	if (drive_migration(d)->state != STATE_DONE)
		return;
	order_fill_moved(&order, drive_migration(d), monotonic_us());
	/* So that whoever reads the record says it under the same number. */
	drive_migration(d)->sequence--;
	servers = root_concerned(d->conductor->root, &order.event);
	if (!servers)
		log_error("migration",
		        "%" PRIu64 "/%" PRIu64 " no memory to tell that %s has moved",
		        drive_migration(d)->intent.id, drive_migration(d)->intent.epoch,
		        drive_migration(d)->intent.vm);
	free(d->entry->servers);
	d->entry->servers = servers && *servers ? servers : NULL;
	if (!d->entry->servers)
		free(servers);
}

static int news_send(struct conductor *c, struct ledger_entry *entry)
{
	CLEANUP_FREE char *names = strdup(entry->servers);
	CLEANUP_FREE char **servers = NULL;
	struct order order;

	order_fill_moved(&order, &entry->migration, monotonic_us());
	if (names)
		servers = names_split(names, &order.event.n_expected);
	if (!servers)
		return -ENOMEM;
	order.event.expected = servers;
	return root_send(c->root, &order.event);
}

static bool is_left_to_say(const struct ledger_entry *entry)
{
	return entry->servers && !entry->news_are_out && !entry->news_are_said;
}

void news_say(struct conductor *c, struct ledger_entry *entry)
{
	const struct migration_intent *intent = &entry->migration.intent;

	if (!is_left_to_say(entry))
		return;
	entry->news_are_out = true;
	if (news_send(c, entry)) {
		log_error("migration",
		        "%" PRIu64 "/%" PRIu64 " no memory to tell that %s has moved", intent->id,
		        intent->epoch, intent->vm);
		entry->news_are_out = false;
	}
	die_point(DIE_SMD_NEWS, "sent");
}

/* The oldest first. Where a VM has gone its address may be another's. */
static void say_left(struct conductor *c, struct ledger_entry *entry)
{
	if (!entry)
		return;
	say_left(c, entry->older);
	if (is_left_to_say(entry) && migration_ended(&entry->migration) &&
	        !vm_changes_has_gone(vm_changer_changes(c->vms), entry->migration.intent.vm,
	                entry->migration.intent.asked_wall_us))
		news_say(c, entry);
}

void news_say_left(struct conductor *c)
{
	say_left(c, c->ledger->newest);
}

static void log_missing(const struct migration_intent *intent, const Tether__Answer *answer)
{
	for (size_t i = 0; i < answer->n_missing; i++)
		log_warn("migration",
		        "%" PRIu64 "/%" PRIu64 " %s has not said that it knows that %s has moved",
		        intent->id, intent->epoch, answer->missing[i], intent->vm);
}

bool news_answered(struct conductor *c, const Tether__Answer *answer)
{
	struct ledger_entry *entry;
	struct record record;

	if (answer->step != TETHER__STEP__STEP_MOVED)
		return false;
	entry = ledger_find(c->ledger, answer->migration);
	if (!entry || !entry->news_are_out)
		return true;
	die_point(DIE_SMD_NEWS, "answered");
	log_missing(&entry->migration.intent, answer);
	entry->news_are_out = false;
	entry->news_are_said = true;
	/* With the end, where that is owed; where it is not taken a successor says it once more. */
	record = ledger_news_record(entry);
	if (!entry->end_is_owed)
		conductor_append(c, &record, 1, false);
	die_point(DIE_SMD_NEWS, "written");
	return true;
}
