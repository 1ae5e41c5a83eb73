/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "sm-side/conductor/evacuation_record.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- into the journal ---- */

static struct record itself(const struct evacuation *e)
{
	struct record record = {.kind = RECORD_evacuation,
	        .value.evacuation = {.id = e->id,
	                .asked_us = e->asked_wall_us,
	                .destinations = e->destinations,
	                .force = e->force,
	                .aborted = e->aborted,
	                .ended = e->ended,
	                .ended_beside = e->ended_beside}};

	memcpy(record.value.evacuation.host, e->host, sizeof(e->host));
	return record;
}

static struct record vm_of(const struct evacuation *e, size_t place)
{
	const struct evacuee *evacuee = &e->vms[place];
	struct record record = {.kind = RECORD_evacuee,
	        .value.evacuee = {.evacuation = e->id,
	                .place = (unsigned)place,
	                .migration = evacuee->migration,
	                .reason = evacuee->reason,
	                .text = evacuee->text,
	                .changes = e->changes}};
	struct evacuee_record *said = &record.value.evacuee;

	memcpy(said->vm, evacuee->vm, sizeof(said->vm));
	snprintf(said->state, sizeof(said->state), "%s", evacuee_state_name(evacuee->state));
	return record;
}

int evacuation_records(
        const struct evacuation *e, bool whole, struct record **records, size_t *count)
{
	struct record *made = calloc(e->count + 1, sizeof(*made));
	size_t made_count = 0;

	if (!made)
		return -ENOMEM;
	if (whole)
		made[made_count++] = itself(e);
	for (size_t i = 0; i < e->count; i++)
		if (e->vms[i].unwritten)
			made[made_count++] = vm_of(e, i);
	*records = made;
	*count = made_count;
	return 0;
}

void evacuation_written(struct evacuation *e)
{
	for (size_t i = 0; i < e->count; i++)
		e->vms[i].unwritten = false;
}

/* ---- from it ---- */

static int evacuation_take(struct evacuations *evacuations, const struct evacuation_record *said)
{
	struct evacuation *e;

	if (evacuations_find(evacuations, said->id))
		return -EBADMSG;
	e = calloc(1, sizeof(*e));
	if (!e)
		return -ENOMEM;
	e->id = said->id;
	e->asked_wall_us = said->asked_us;
	e->force = said->force;
	e->aborted = said->aborted;
	e->ended = said->ended;
	e->ended_beside = said->ended_beside;
	memcpy(e->host, said->host, sizeof(e->host));
	e->destinations = strdup(said->destinations);
	if (!e->destinations) {
		evacuation_free(e);
		return -ENOMEM;
	}
	evacuations_add(evacuations, e);
	return 0;
}

static bool state_parse(const char *name, enum evacuee_state *state)
{
	for (int i = 0; i < EVACUEE_STATE_COUNT; i++) {
		if (strcmp(name, evacuee_state_name(i)))
			continue;
		*state = i;
		return true;
	}
	return false;
}

/* Whoever had seen that many changes has not seen what comes now. */
static void changes_take(struct evacuation *e, unsigned changes)
{
	if (changes >= e->changes)
		e->changes = changes + 1;
}

static int evacuee_take(struct evacuations *evacuations, const struct evacuee_record *said)
{
	struct evacuation *e = evacuations_find(evacuations, said->evacuation);
	struct evacuee evacuee = {.migration = said->migration}, *grown;

	if (!e || said->place != e->count || !state_parse(said->state, &evacuee.state))
		return -EBADMSG;
	grown = realloc(e->vms, (e->count + 1) * sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	memcpy(evacuee.vm, said->vm, sizeof(evacuee.vm));
	snprintf(evacuee.reason, sizeof(evacuee.reason), "%s", said->reason);
	snprintf(evacuee.text, sizeof(evacuee.text), "%s", said->text);
	changes_take(e, said->changes);
	e->vms = grown;
	e->vms[e->count++] = evacuee;
	return 0;
}

int evacuations_take(struct evacuations *evacuations, const struct record *record)
{
	if (record->kind == RECORD_evacuee)
		return evacuee_take(evacuations, &record->value.evacuee);
	return evacuation_take(evacuations, &record->value.evacuation);
}
