/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "notifier/relay/tally_state.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "notifier/relay/answer_merge.h"

/* Until the next is added. */
static struct participant *find_named(const struct tally *tally, const struct name *name)
{
	uint32_t at = tally->roster ? roster_find(tally->roster, name) : 0;

	if (at)
		return &tally->participants[at - 1];
	at = name_index_find(&tally->others, name);
	return at ? &tally->participants[tally->named + at - 1] : NULL;
}

struct participant *tally_find(const struct tally *tally, const char *text)
{
	struct name name = name_whole(text);

	return find_named(tally, &name);
}

const char *tally_text(const struct tally *tally, const struct participant *participant)
{
	return tally_name_at(tally, participant - tally->participants)->text;
}

/* For so many others, or more. */
static int participants_reserve(struct tally *tally, size_t others)
{
	struct participant *grown;

	if (name_index_reserve(&tally->others, others))
		return -ENOMEM;
	if (tally->participants && tally->room == tally->others.room)
		return 0;
	grown = realloc(tally->participants,
	        (tally->named + tally->others.room) * sizeof(*tally->participants));
	if (!grown)
		return -ENOMEM;
	tally->participants = grown;
	tally->room = tally->others.room;
	return 0;
}

/* Nothing is known of them yet. */
static int named_take(struct tally *tally, struct roster *roster)
{
	if (!roster || !roster_count(roster))
		return 0;
	tally->participants = calloc(roster_count(roster), sizeof(*tally->participants));
	if (!tally->participants)
		return -ENOMEM;
	tally->roster = roster_hold(roster);
	tally->named = roster_count(roster);
	return 0;
}

struct tally *tally_create(const struct event_key *key, const char *prefix, struct roster *roster)
{
	struct tally *tally = calloc(1, sizeof(*tally));

	if (!tally)
		return NULL;
	tally->key = *key;
	tally->prefix = strdup(prefix);
	tally->merged = answer_create(*key);
	if (tally->prefix && tally->merged && !named_take(tally, roster))
		return tally;
	tally_destroy(tally);
	return NULL;
}

static void merged_free(Tether__Answer *merged)
{
	if (!merged)
		return;
	merged->n_answered = merged->n_missing = merged->n_ended = 0;
	tether__answer__free_unpacked(merged, NULL);
}

void tally_destroy(struct tally *tally)
{
	if (!tally)
		return;
	merged_free(tally->merged);
	vm_names_clear(&tally->others_of_vm);
	for (size_t i = 0; i < tally->others.count; i++)
		free((char *)tally->others.names[i].text);
	name_index_clear(&tally->others);
	free(tally->participants);
	roster_release(tally->roster);
	free(tally->prefix);
	free(tally);
}

const struct event_key *tally_key(const struct tally *tally)
{
	return &tally->key;
}

uint32_t tally_named_count(const struct tally *tally)
{
	return tally->named;
}

const char *tally_named(const struct tally *tally, uint32_t at)
{
	return roster_name(tally->roster, at)->text;
}

uint32_t tally_named_of(const struct tally *tally, const struct name *vm)
{
	return tally->roster ? roster_first_of(tally->roster, vm) : 0;
}

uint32_t tally_named_next(const struct tally *tally, uint32_t at)
{
	return roster_next_of(tally->roster, at);
}

void tally_stand_set(struct tally *tally, struct participant *participant, enum stand stand)
{
	tally->awaited -= stand_is_awaited(participant->stand);
	tally->awaited += stand_is_awaited(stand);
	participant->stand = stand;
}

/* Who is not there yet; a copy of the name is kept. NULL: no memory */
static struct participant *participant_add(
        struct tally *tally, const struct name *name, enum stand stand)
{
	struct name own = *name;
	struct participant *participant;

	if (participants_reserve(tally, tally->others.count + 1))
		return NULL;
	own.text = strndup(name->text, name->length);
	if (!own.text)
		return NULL;
	participant = &tally->participants[tally->named + name_index_add(&tally->others, &own) - 1];
	*participant = (struct participant){stand};
	tally->awaited += stand_is_awaited(stand);
	return participant;
}

void tally_expect_named(struct tally *tally, uint32_t at)
{
	struct participant *participant = &tally->participants[at - 1];

	if (participant->stand == STAND_NAMED)
		tally_stand_set(tally, participant, STAND_EXPECTED);
}

int tally_expect(struct tally *tally, const char *text)
{
	struct name name = name_whole(text);
	struct participant *participant = find_named(tally, &name);

	if (participant) {
		if (participant->stand == STAND_NAMED)
			tally_stand_set(tally, participant, STAND_EXPECTED);
		return 0;
	}
	participant = participant_add(tally, &name, STAND_EXPECTED);
	return participant ? vm_names_add(&tally->others_of_vm, tally_text(tally, participant))
	                   : -ENOMEM;
}

static int hand(struct tally *tally, const char *text, enum stand stand)
{
	struct name name = name_whole(text);
	struct participant *participant = find_named(tally, &name);

	if (!participant)
		return participant_add(tally, &name, stand) ? 0 : -ENOMEM;
	if (participant->stand != STAND_ANSWERED)
		tally_stand_set(tally, participant, stand);
	return 0;
}

int tally_hand(struct tally *tally, const char *name)
{
	return hand(tally, name, STAND_HANDED);
}

int tally_pass_over(struct tally *tally, const char *name)
{
	return hand(tally, name, STAND_PASSED_OVER);
}

bool tally_awaits(const struct tally *tally, const char *name)
{
	const struct participant *participant = tally_find(tally, name);

	return participant && stand_is_handed(participant->stand);
}

bool tally_has_answered(const struct tally *tally, const char *name)
{
	const struct participant *participant = tally_find(tally, name);

	return participant && participant->stand == STAND_ANSWERED;
}

bool tally_expects(const struct tally *tally, const char *name)
{
	const struct participant *participant = tally_find(tally, name);

	return participant && participant->stand == STAND_EXPECTED;
}

bool tally_knows(const struct tally *tally, const char *name)
{
	const struct participant *participant = tally_find(tally, name);

	return participant && participant->stand != STAND_NAMED;
}

void tally_take_back(struct tally *tally, const char *name)
{
	struct participant *participant = tally_find(tally, name);

	if (participant && stand_is_handed(participant->stand))
		tally_stand_set(tally, participant, STAND_EXPECTED);
}

void tally_forget(struct tally *tally, const char *name)
{
	struct participant *participant = tally_find(tally, name);

	if (participant &&
	        (stand_is_awaited(participant->stand) || stand_is_handed(participant->stand)))
		tally_stand_set(tally, participant, STAND_FORGOTTEN);
}

/* Of @vm the named, then those of the others who were expected: in places that count on. */
static uint32_t first_of(const struct tally *tally, const struct name *vm)
{
	uint32_t at = tally_named_of(tally, vm);

	if (at)
		return at;
	at = vm_names_first(&tally->others_of_vm, vm);
	return at ? tally->named + at : 0;
}

static uint32_t next_of(const struct tally *tally, const struct name *vm, uint32_t at)
{
	if (at > tally->named) {
		at = vm_names_next(&tally->others_of_vm, at - tally->named);
	} else {
		uint32_t named = roster_next_of(tally->roster, at);

		if (named)
			return named;
		at = vm_names_first(&tally->others_of_vm, vm);
	}
	return at ? tally->named + at : 0;
}

static struct participant *participant_of(const struct tally *tally, uint32_t at)
{
	return at <= tally->named
	               ? &tally->participants[at - 1]
	               : tally_find(tally, tally->others_of_vm.names[at - tally->named - 1]);
}

bool tally_expects_vm(const struct tally *tally, const struct name *vm)
{
	uint32_t at = first_of(tally, vm);

	while (at && participant_of(tally, at)->stand != STAND_EXPECTED)
		at = next_of(tally, vm, at);
	return at;
}

void tally_forget_vm(struct tally *tally, const struct name *vm)
{
	uint32_t at = first_of(tally, vm);

	for (; at; at = next_of(tally, vm, at)) {
		struct participant *participant = participant_of(tally, at);

		if (participant->stand == STAND_EXPECTED)
			tally_stand_set(tally, participant, STAND_FORGOTTEN);
	}
}

struct name_list {
	char ***names;
	size_t *count;
};

static struct name_list list_of(Tether__Answer *merged, enum stand stand)
{
	if (stand == STAND_ANSWERED)
		return (struct name_list){&merged->answered, &merged->n_answered};
	if (stand == STAND_ENDED)
		return (struct name_list){&merged->ended, &merged->n_ended};
	return (struct name_list){&merged->missing, &merged->n_missing};
}

/* Somebody has told of it. */
static int told(struct tally *tally, struct participant *participant, enum stand stand)
{
	struct name_list list = list_of(tally->merged, stand);

	if (answer_name_add(list.names, list.count, tally_text(tally, participant)))
		return -ENOMEM;
	tally_stand_set(tally, participant, stand);
	return 0;
}

int tally_end(struct tally *tally, const char *name)
{
	struct participant *participant = tally_find(tally, name);

	if (!participant ||
	        !(stand_is_awaited(participant->stand) || stand_is_handed(participant->stand)))
		return 0;
	return told(tally, participant, STAND_ENDED);
}

int tally_miss_vm(struct tally *tally, const struct name *vm)
{
	uint32_t at = first_of(tally, vm);
	int err = 0;

	for (; at && !err; at = next_of(tally, vm, at)) {
		struct participant *participant = participant_of(tally, at);

		if (participant->stand == STAND_EXPECTED)
			err = told(tally, participant, STAND_MISSING);
	}
	return err;
}

size_t tally_told(const struct tally *tally)
{
	return tally->merged->n_answered + tally->merged->n_ended;
}

bool tally_complete(const struct tally *tally)
{
	return !tally->awaited;
}

/* Most names come host by host, in the order in which the event named them. */
static struct participant *find_next(const struct tally *tally, const char *text)
{
	size_t at = tally->told_last;

	return at < tally_participants(tally) && !strcmp(tally_name_at(tally, at)->text, text)
	               ? &tally->participants[at]
	               : NULL;
}

static struct participant *find_or_add(struct tally *tally, const char *text)
{
	struct participant *participant = find_next(tally, text);
	struct name name;

	if (participant)
		return participant;
	name = name_whole(text);
	participant = find_named(tally, &name);
	return participant ? participant : participant_add(tally, &name, STAND_NAMED);
}

/* A name below that answered, did not, or has ended: once each, however many relays say it. */
static int name_below(struct tally *tally, const char *text, enum stand stand)
{
	struct participant *participant = find_or_add(tally, text);

	if (!participant)
		return -ENOMEM;
	tally->told_last = participant - tally->participants + 1;
	/* Who was handed the event is a child, and answers for itself. */
	if (participant->stand != STAND_EXPECTED && participant->stand != STAND_NAMED &&
	        participant->stand != STAND_FORGOTTEN)
		return 0;
	return told(tally, participant, stand);
}

int tally_names_merge(struct tally *tally, const Tether__Answer *answer)
{
	int err = 0;

	for (size_t i = 0; !err && i < answer->n_answered; i++)
		err = name_below(tally, answer->answered[i], STAND_ANSWERED);
	for (size_t i = 0; !err && i < answer->n_ended; i++)
		err = name_below(tally, answer->ended[i], STAND_ENDED);
	for (size_t i = 0; !err && i < answer->n_missing; i++)
		err = name_below(tally, answer->missing[i], STAND_MISSING);
	return err;
}
