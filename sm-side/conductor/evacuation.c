/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "sm-side/conductor/evacuation.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "notifier/base/cleanup.h"
#include "sm-side/conductor/evacuation_room.h"
#include "sm-side/vm_change/vm_changes.h"

enum { UNPAIRED_MAX = 10, SM_TURNS_MAX = 8 };

void evacuation_free(struct evacuation *evacuation)
{
	if (!evacuation)
		return;
	for (size_t i = 0; i < evacuation->count; i++)
		free(evacuation->vms[i].refused_by);
	free(evacuation->destinations);
	free(evacuation->vms);
	free(evacuation);
}

void evacuations_clear(struct evacuations *evacuations)
{
	while (evacuations->newest) {
		struct evacuation *e = evacuations->newest;

		evacuations->newest = e->older;
		evacuation_free(e);
	}
}

struct evacuation *evacuations_find(const struct evacuations *evacuations, uint64_t id)
{
	struct evacuation *e = evacuations->newest;

	while (e && e->id != id)
		e = e->older;
	return e;
}

struct evacuation *evacuations_find_open(const struct evacuations *evacuations, const char *host)
{
	struct evacuation *e = evacuations->newest;

	while (e && (e->ended || strcmp(e->host, host)))
		e = e->older;
	return e;
}

void evacuations_add(struct evacuations *evacuations, struct evacuation *evacuation)
{
	evacuation->older = evacuations->newest;
	evacuations->newest = evacuation;
	if (evacuation->id > evacuations->last_id)
		evacuations->last_id = evacuation->id;
}

size_t evacuation_count(const struct evacuation *evacuation, enum evacuee_state state)
{
	size_t count = 0;

	for (size_t i = 0; i < evacuation->count; i++)
		count += evacuation->vms[i].state == state;
	return count;
}

const char *evacuee_state_name(enum evacuee_state state)
{
	static const char *const names[EVACUEE_STATE_COUNT] = {
	        [EVACUEE_WAITING] = "waiting",
	        [EVACUEE_MOVING] = "moving",
	        [EVACUEE_DONE] = "done",
	        [EVACUEE_FAILED] = "failed",
	        [EVACUEE_LEFT] = "left",
	};

	return names[state];
}

/* ---- names ---- */

void evacuation_name_append(char *names, size_t size, const char *name)
{
	size_t length = strlen(names);

	if (length + strlen(name) + 2 > size)
		return;
	if (length)
		names[length++] = ' ';
	strcpy(names + length, name);
}

bool evacuation_names_have(const char *names, const char *name)
{
	size_t length = strlen(name);
	const char *at = names;

	while (at && (at = strstr(at, name))) {
		if ((at == names || at[-1] == ' ') && (at[length] == ' ' || !at[length]))
			return true;
		at += length;
	}
	return false;
}

/* ---- making one ---- */

static struct admission wish_check(const struct inventory *inventory,
        const struct evacuations *evacuations, const struct evacuation_wish *wish)
{
	struct admission admission = admission_host(inventory, wish->host);
	const struct evacuation *open = evacuations_find_open(evacuations, wish->host);

	if (!admission.reason && open)
		return admission_refuse("already-evacuating",
		        "%s is being evacuated already (evacuation %" PRIu64 ")", wish->host,
		        open->id);
	for (size_t i = 0; !admission.reason && i < wish->to_count; i++) {
		admission = admission_host(inventory, wish->to[i]);
		if (!admission.reason && !strcmp(wish->to[i], wish->host))
			return admission_refuse(
			        "same-host", "%s cannot take its own VMs", wish->host);
		if (!admission.reason && evacuation_empties(evacuations, wish->to[i]))
			return admission_refuse("host-evacuating",
			        "%s is being evacuated itself and takes nobody", wish->to[i]);
	}
	return admission;
}

static char *destinations_of(const struct evacuation_wish *wish)
{
	size_t size = wish->to_count * MIGRATION_NAME_BYTES + 1;
	char *text = calloc(1, size);

	for (size_t i = 0; text && i < wish->to_count; i++)
		evacuation_name_append(text, size, wish->to[i]);
	return text;
}

static void evacuee_change(struct evacuee *evacuee, enum evacuee_state state)
{
	evacuee->state = state;
	evacuee->news = evacuee->unwritten = true;
}

void evacuee_set(
        struct evacuee *evacuee, enum evacuee_state state, const char *reason, const char *text)
{
	if (state == evacuee->state && !strcmp(reason, evacuee->reason))
		return;
	snprintf(evacuee->reason, sizeof(evacuee->reason), "%s", reason);
	snprintf(evacuee->text, sizeof(evacuee->text), "%s", text);
	evacuee_change(evacuee, state);
}

/* On its way both hosts may have it; one of them counts. */
static bool is_here(const struct inventory *inventory, const char *host, const char *vm)
{
	const struct inventory_host *at = NULL;

	return inventory_vm(inventory, vm, &at) && !strcmp(at->name, host);
}

/* It moves, or gets a VF or gives it up: how it stands is known when that has ended. */
static bool is_changing(const struct under_way *under_way, const char *vm)
{
	for (size_t i = 0; i < under_way->count; i++)
		if (!strcmp(under_way->migrations[i]->intent.vm, vm))
			return true;
	return vm_changes_of_vm(under_way->changes, vm);
}

static bool is_listed(const struct evacuation *e, const char *vm)
{
	for (size_t i = 0; i < e->count; i++)
		if (!strcmp(e->vms[i].vm, vm))
			return true;
	return false;
}

static void vm_add(struct evacuation *e, const char *vm)
{
	if (!is_listed(e, vm))
		snprintf(e->vms[e->count++].vm, sizeof(e->vms->vm), "%s", vm);
}

/* Those that are just coming leave again when they have come. */
static void add_coming(struct evacuation *e, const struct under_way *under_way)
{
	const struct vm_change *change = under_way->changes ? under_way->changes->newest : NULL;

	for (size_t i = 0; i < under_way->count; i++) {
		const struct migration_intent *intent = &under_way->migrations[i]->intent;

		if (!strcmp(intent->destination.host, e->host))
			vm_add(e, intent->vm);
	}
	for (; change; change = change->older)
		if (!vm_change_ended(change) && !change->intent.destroys &&
		        !strcmp(change->intent.place.host, e->host))
			vm_add(e, change->intent.vm);
}

static size_t coming_most(const struct under_way *under_way)
{
	return under_way->count +
	       (under_way->changes ? vm_changes_under_way(under_way->changes) : 0);
}

/* Its guest may be there still; there is nothing that could move. */
static bool has_given_up_its_vf(const struct under_way *under_way, const Tether__HostVm *vm)
{
	return !*vm->slot && under_way->changes &&
	       vm_changes_has_gone(under_way->changes, vm->name, 0);
}

static int vms_fill(
        struct evacuation *e, const struct inventory *inventory, const struct under_way *under_way)
{
	const Tether__Hello *said = inventory_find(inventory, e->host)->said;
	size_t count = said ? said->n_vms : 0;

	e->vms = calloc(count + coming_most(under_way) + 1, sizeof(*e->vms));
	if (!e->vms)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++) {
		struct evacuee *evacuee = &e->vms[e->count];

		if (!is_here(inventory, e->host, said->vms[i]->name) ||
		        has_given_up_its_vf(under_way, said->vms[i]))
			continue;
		e->count++;
		snprintf(evacuee->vm, sizeof(evacuee->vm), "%s", said->vms[i]->name);
		if (!*said->vms[i]->slot && !is_changing(under_way, evacuee->vm))
			evacuee_set(evacuee, EVACUEE_FAILED, "vm-without-vf",
			        "it has no VF that could move; migrate it to where it is first");
	}
	add_coming(e, under_way);
	for (size_t i = 0; i < e->count; i++)
		e->vms[i].unwritten = true;
	return 0;
}

struct admission evacuation_make(const struct inventory *inventory,
        const struct under_way *under_way, const struct evacuations *evacuations,
        const struct evacuation_wish *wish, struct evacuation **made)
{
	struct admission admission = wish_check(inventory, evacuations, wish);
	struct evacuation *e;

	if (admission.reason)
		return admission;
	e = calloc(1, sizeof(*e));
	if (!e)
		return admission_refuse("no-memory", "tether-smd is out of memory");
	e->id = evacuations->last_id + 1;
	e->force = wish->force;
	memcpy(e->host, wish->host, sizeof(e->host));
	e->destinations = destinations_of(wish);
	if (!e->destinations || vms_fill(e, inventory, under_way))
		admission = admission_refuse("no-memory", "tether-smd is out of memory");
	else
		admission = evacuation_room(evacuations, e, inventory, under_way);
	if (admission.reason)
		evacuation_free(e);
	else
		*made = e;
	return admission;
}

/* ---- where they stand ---- */

static bool has_finding(const struct migration *m, const char *reason)
{
	for (size_t i = 0; i < m->testimony.finding_count; i++)
		if (!strcmp(m->testimony.findings[i].reason, reason))
			return true;
	return false;
}

/* One that is being made, or whose agent or process has not found its way back after a restart, is
 * seen in a moment. */
static bool is_unpaired(const struct migration *m)
{
	return has_finding(m, "peer-without-shim") || has_finding(m, "vm-qp-without-shim");
}

/* It is started anew, becomes the master or has swept in a moment. */
static bool is_without_sm(const struct migration *m)
{
	static const char *const reasons[] = {"sm-lost", "not-master", "unknown-port",
	        "port-without-lid", "place-differs", "not-routed"};

	for (size_t i = 0; i < ARRAY_SIZE(reasons); i++)
		if (has_finding(m, reasons[i]))
			return true;
	return false;
}

/* What stood in the way was not the VM's own, or passes: it has another turn. */
static bool may_try_again(struct evacuee *evacuee, struct evacuation *e, const struct migration *m)
{
	if (m->state == STATE_REFUSED)
		return has_finding(m, "busy") ||
		       (is_unpaired(m) && evacuee->unpaired++ < UNPAIRED_MAX) ||
		       (is_without_sm(m) && e->sm_turns < SM_TURNS_MAX && ++e->sm_turns);
	return m->state == STATE_ABORTED &&
	       (!m->testimony.finding_count || has_finding(m, "shutting-down"));
}

/* What the host that was to take it said against that; NULL: nothing. */
static const struct finding *refused_there(const struct migration *m)
{
	for (size_t i = 0; m->state == STATE_REFUSED && i < m->testimony.finding_count; i++)
		if (!strcmp(m->testimony.findings[i].who, m->intent.destination.host))
			return &m->testimony.findings[i];
	return NULL;
}

static bool is_move_of(
        const struct migration *m, const struct evacuation *e, const struct evacuee *evacuee)
{
	return m->intent.evacuation == e->id && !strcmp(m->intent.vm, evacuee->vm);
}

/* Another host may be able to. False: no memory to note that. */
static bool refusers_note(
        struct evacuee *evacuee, const struct evacuation *e, const struct ledger *ledger)
{
	size_t size = ledger->count * MIGRATION_NAME_BYTES + 1;
	char *names = calloc(1, size);

	if (!names)
		return false;
	for (struct ledger_entry *entry = ledger->newest; entry; entry = entry->older)
		if (is_move_of(&entry->migration, e, evacuee) && refused_there(&entry->migration))
			evacuation_name_append(
			        names, size, entry->migration.intent.destination.host);
	free(evacuee->refused_by);
	evacuee->refused_by = names;
	return true;
}

static void evacuee_ended(struct evacuee *evacuee, struct evacuation *e, const struct migration *m,
        const struct ledger *ledger)
{
	enum evacuee_state again = e->aborted ? EVACUEE_LEFT : EVACUEE_WAITING;
	const struct finding *why = m->testimony.finding_count ? m->testimony.findings : NULL;
	const struct finding *there = refused_there(m);

	evacuee->held_by = m->busy_with;
	if (m->state == STATE_DONE) {
		evacuee_set(evacuee, EVACUEE_DONE, "", "");
		e->sm_turns = 0;
	} else if (e->aborted && m->state == STATE_ABORTED) {
		evacuee_set(evacuee, EVACUEE_LEFT, "", "");
	} else if (may_try_again(evacuee, e, m)) {
		evacuee_set(evacuee, again, "", "");
	} else if (there && refusers_note(evacuee, e, ledger)) {
		evacuee_set(evacuee, again, there->reason, there->text);
	} else if (why) {
		evacuee_set(evacuee, EVACUEE_FAILED, why->reason, why->text);
	} else {
		evacuee_set(evacuee, EVACUEE_FAILED, migration_state_name(m->state),
		        migration_state_meaning(m->state));
	}
}

void evacuee_put_off(struct evacuee *evacuee, const struct admission *admission)
{
	if (strcmp(admission->reason, "no-free-vf"))
		return;
	if (!evacuee->refused_by)
		evacuee_set(evacuee, EVACUEE_WAITING, admission->reason, admission->text);
	else if (!*evacuee->reason)
		evacuee_set(evacuee, EVACUEE_FAILED, admission->reason, admission->text);
	else
		evacuee_change(evacuee, EVACUEE_FAILED);
}

static const struct ledger_entry *latest_of(
        const struct ledger *ledger, const struct evacuation *e, const struct evacuee *evacuee)
{
	const struct ledger_entry *entry = ledger->newest;

	while (entry && !is_move_of(&entry->migration, e, evacuee))
		entry = entry->older;
	return entry;
}

void evacuee_moves(struct evacuee *evacuee, uint64_t migration)
{
	evacuee->unwritten |= evacuee->migration != migration;
	evacuee->migration = migration;
	evacuee_set(evacuee, EVACUEE_MOVING, "", "");
}

void evacuee_look(struct evacuee *evacuee, struct evacuation *e, const struct ledger *ledger)
{
	const struct ledger_entry *entry = latest_of(ledger, e, evacuee);
	bool waits = evacuee->state == EVACUEE_WAITING;

	if (!entry || (!waits && evacuee->state != EVACUEE_MOVING) ||
	        (waits && entry->migration.intent.id == evacuee->migration))
		return;
	evacuee_moves(evacuee, entry->migration.intent.id);
	if (migration_ended(&entry->migration))
		evacuee_ended(evacuee, e, &entry->migration, ledger);
}
