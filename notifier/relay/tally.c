/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "notifier/relay/tally.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "notifier/relay/answer_merge.h"
#include "notifier/base/cleanup.h"
#include "notifier/relay/number_scope.h"
#include "notifier/relay/vm_names.h"
#include "notifier/wire/frame.h"
#include "notifier/wire/message.h"

enum stand {
	STAND_NAMED,    /* by the event, and it is not below */
	STAND_EXPECTED, /* has to answer and is not here yet */
	STAND_HANDED,
	STAND_PASSED_OVER, /* handed, and not waited for */
	STAND_ANSWERED,
	STAND_MISSING, /* a relay between says that it did not answer */
	STAND_ENDED,
	STAND_FORGOTTEN,
};

struct participant {
	uint8_t stand;
	bool is_own; /* the name is the tally's */
};

struct tally {
	struct event_key key;
	char *prefix;
	struct name_index names;          /* those whom the event names, then the others */
	struct participant *participants; /* by the place of their name */
	size_t room;
	struct vm_names of_vm; /* those whom the event names, then others who are expected; the
	                          texts are those of names */
	size_t named;
	size_t told_last; /* the place and 1 of whom somebody below told of last */
	size_t awaited;   /* EXPECTED and HANDED */
	size_t packed;    /* bytes of what was merged */
	bool too_large;
	Tether__Answer *merged; /* its names are those of names */
};

/* Until the next is added. */
static struct participant *find_named(const struct tally *tally, const struct name *name)
{
	uint32_t at = name_index_find(&tally->names, name);

	return at ? &tally->participants[at - 1] : NULL;
}

static struct participant *find(const struct tally *tally, const char *text)
{
	struct name name = name_whole(text);

	return find_named(tally, &name);
}

static const char *text_of(const struct tally *tally, const struct participant *participant)
{
	return tally->names.names[participant - tally->participants].text;
}

/* As much as there is for names. */
static int participants_reserve(struct tally *tally, size_t count)
{
	struct participant *grown;

	if (name_index_reserve(&tally->names, count))
		return -ENOMEM;
	if (tally->names.room == tally->room)
		return 0;
	grown = realloc(tally->participants, tally->names.room * sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	tally->participants = grown;
	tally->room = tally->names.room;
	return 0;
}

static int named_take(struct tally *tally, char *const *named, size_t count)
{
	if (participants_reserve(tally, count) || vm_names_reserve(&tally->of_vm, count))
		return -ENOMEM;
	for (size_t i = 0; i < count; i++) {
		struct name name = name_whole(named[i]);

		name_index_add(&tally->names, &name); /* there is room, here and below */
		if (tally->names.count == tally->named)
			continue;
		tally->participants[tally->named++] = (struct participant){STAND_NAMED, false};
		vm_names_add(&tally->of_vm, named[i]);
	}
	return 0;
}

struct tally *tally_create(
        const struct event_key *key, const char *prefix, char *const *named, size_t count)
{
	struct tally *tally = calloc(1, sizeof(*tally));

	if (!tally)
		return NULL;
	tally->key = *key;
	tally->prefix = strdup(prefix);
	tally->merged = answer_create(*key);
	if (tally->prefix && tally->merged && !named_take(tally, named, count))
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
	vm_names_clear(&tally->of_vm);
	for (size_t i = 0; i < tally->names.count; i++)
		if (tally->participants[i].is_own)
			free((char *)tally->names.names[i].text);
	name_index_clear(&tally->names);
	free(tally->participants);
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
	return tally->names.names[at - 1].text;
}

/* Of a VM's they are the first. */
static uint32_t if_named(const struct tally *tally, uint32_t at)
{
	return at <= tally->named ? at : 0;
}

uint32_t tally_named_of(const struct tally *tally, const struct name *vm)
{
	return if_named(tally, vm_names_first(&tally->of_vm, vm));
}

uint32_t tally_named_next(const struct tally *tally, uint32_t at)
{
	return if_named(tally, vm_names_next(&tally->of_vm, at));
}

static bool is_awaited(enum stand stand)
{
	return stand == STAND_EXPECTED || stand == STAND_HANDED;
}

static bool is_handed(enum stand stand)
{
	return stand == STAND_HANDED || stand == STAND_PASSED_OVER;
}

static void stand_set(struct tally *tally, struct participant *participant, enum stand stand)
{
	tally->awaited -= is_awaited(participant->stand);
	tally->awaited += is_awaited(stand);
	participant->stand = stand;
}

/* Who is not there yet; a copy of the name is kept. NULL: no memory */
static struct participant *participant_add(
        struct tally *tally, const struct name *name, enum stand stand)
{
	struct name own = *name;
	struct participant *participant;

	if (participants_reserve(tally, tally->names.count + 1))
		return NULL;
	own.text = strndup(name->text, name->length);
	if (!own.text)
		return NULL;
	participant = &tally->participants[name_index_add(&tally->names, &own) - 1];
	*participant = (struct participant){stand, true};
	tally->awaited += is_awaited(stand);
	return participant;
}

void tally_expect_named(struct tally *tally, uint32_t at)
{
	struct participant *participant = &tally->participants[at - 1];

	if (participant->stand == STAND_NAMED)
		stand_set(tally, participant, STAND_EXPECTED);
}

int tally_expect(struct tally *tally, const char *text)
{
	struct name name = name_whole(text);
	struct participant *participant = find_named(tally, &name);

	if (participant) {
		if (participant->stand == STAND_NAMED)
			stand_set(tally, participant, STAND_EXPECTED);
		return 0;
	}
	participant = participant_add(tally, &name, STAND_EXPECTED);
	return participant ? vm_names_add(&tally->of_vm, text_of(tally, participant)) : -ENOMEM;
}

static int hand(struct tally *tally, const char *text, enum stand stand)
{
	struct name name = name_whole(text);
	struct participant *participant = find_named(tally, &name);

	if (!participant)
		return participant_add(tally, &name, stand) ? 0 : -ENOMEM;
	if (participant->stand != STAND_ANSWERED)
		stand_set(tally, participant, stand);
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
	const struct participant *participant = find(tally, name);

	return participant && is_handed(participant->stand);
}

bool tally_has_answered(const struct tally *tally, const char *name)
{
	const struct participant *participant = find(tally, name);

	return participant && participant->stand == STAND_ANSWERED;
}

bool tally_expects(const struct tally *tally, const char *name)
{
	const struct participant *participant = find(tally, name);

	return participant && participant->stand == STAND_EXPECTED;
}

bool tally_knows(const struct tally *tally, const char *name)
{
	const struct participant *participant = find(tally, name);

	return participant && participant->stand != STAND_NAMED;
}

void tally_take_back(struct tally *tally, const char *name)
{
	struct participant *participant = find(tally, name);

	if (participant && is_handed(participant->stand))
		stand_set(tally, participant, STAND_EXPECTED);
}

void tally_forget(struct tally *tally, const char *name)
{
	struct participant *participant = find(tally, name);

	if (participant && (is_awaited(participant->stand) || is_handed(participant->stand)))
		stand_set(tally, participant, STAND_FORGOTTEN);
}

static struct participant *participant_of(const struct tally *tally, uint32_t at)
{
	return at <= tally->named ? &tally->participants[at - 1]
	                          : find(tally, tally->of_vm.names[at - 1]);
}

bool tally_expects_vm(const struct tally *tally, const struct name *vm)
{
	uint32_t at = vm_names_first(&tally->of_vm, vm);

	while (at && participant_of(tally, at)->stand != STAND_EXPECTED)
		at = vm_names_next(&tally->of_vm, at);
	return at;
}

void tally_forget_vm(struct tally *tally, const struct name *vm)
{
	uint32_t at = vm_names_first(&tally->of_vm, vm);

	for (; at; at = vm_names_next(&tally->of_vm, at)) {
		struct participant *participant = participant_of(tally, at);

		if (participant->stand == STAND_EXPECTED)
			stand_set(tally, participant, STAND_FORGOTTEN);
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

	if (answer_name_add(list.names, list.count, text_of(tally, participant)))
		return -ENOMEM;
	stand_set(tally, participant, stand);
	return 0;
}

int tally_end(struct tally *tally, const char *name)
{
	struct participant *participant = find(tally, name);

	if (!participant || !(is_awaited(participant->stand) || is_handed(participant->stand)))
		return 0;
	return told(tally, participant, STAND_ENDED);
}

int tally_miss_vm(struct tally *tally, const struct name *vm)
{
	uint32_t at = vm_names_first(&tally->of_vm, vm);
	int err = 0;

	for (; at && !err; at = vm_names_next(&tally->of_vm, at)) {
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

	return at < tally->names.count && name_is(&tally->names.names[at], text, strlen(text))
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

static int names_merge(struct tally *tally, const Tether__Answer *answer)
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

static int complain(struct tally *tally, const char *who, const char *reason, const char *text)
{
	answer_worsen(tally->merged, TETHER__OUTCOME__OUTCOME_FAILED);
	return answer_refusal_add(tally->merged, tally->prefix, who, reason, text);
}

int tally_blame(struct tally *tally, const char *label, const char *reason, const char *text)
{
	return answer_refusal_add(tally->merged, tally->prefix, label, reason, text);
}

int tally_note(struct tally *tally, Tether__Outcome outcome, const char *reason, const char *text)
{
	answer_worsen(tally->merged, outcome);
	return answer_refusal_add(tally->merged, tally->prefix, "", reason, text);
}

/* While there is time to leave it at that: nothing is broken before the vote is counted. */
static int collision_note(struct tally *tally, const char *label, const Tether__Answer *answer)
{
	const char *reason, *text;

	if (tally->key.step != TETHER__STEP__STEP_PREPARE &&
	        tally->key.step != TETHER__STEP__STEP_SETTLE)
		return 0;
	reason = number_scope_collision(answer->qps, tally->merged->qps, &text);
	if (!reason)
		return 0;
	answer_worsen(tally->merged, TETHER__OUTCOME__OUTCOME_REFUSED);
	return answer_refusal_add(tally->merged, tally->prefix, label, reason, text);
}

static int contents_merge(
        struct tally *tally, const char *label, bool is_process, const Tether__Answer *answer)
{
	size_t size = tether__answer__get_packed_size(answer);
	int err;

	answer_worsen(tally->merged, answer->outcome);
	err = is_process ? 0 : names_merge(tally, answer);
	if (err || tally->packed + size > FRAME_MAX_BYTES) {
		tally->too_large |= !err;
		return err;
	}
	tally->packed += size;
	err = collision_note(tally, label, answer);
	return err ? err : answer_absorb(tally->merged, answer, tally->prefix, label);
}

static bool is_crowded(const struct tally *tally, const Tether__Answer *answer)
{
	return tally->key.step == TETHER__STEP__STEP_STOP &&
	       tally->packed + tether__answer__get_packed_size(answer) > FRAME_MAX_BYTES;
}

static int merge_without_sent(
        struct tally *tally, const char *label, bool is_process, const Tether__Answer *answer)
{
	Tether__Answer *bare = message_copy(&answer->base);
	int err;

	if (!bare)
		return -ENOMEM;
	answer_drop_sent(bare);
	answer_drop_sent(tally->merged);
	tally->packed = tether__answer__get_packed_size(tally->merged);
	err = contents_merge(tally, label, is_process, bare);
	tether__answer__free_unpacked(bare, NULL);
	return err;
}

int tally_take(struct tally *tally, const char *name, const char *label, bool is_process,
        const Tether__Answer *answer)
{
	struct participant *participant = find(tally, name);
	const char *flaw, *text;

	if (!participant)
		return -ENOENT;
	if (!is_handed(participant->stand))
		return participant->stand == STAND_ANSWERED ? -EALREADY : -ENOENT;
	stand_set(tally, participant, STAND_ANSWERED);
	if (is_process && answer_name_add(&tally->merged->answered, &tally->merged->n_answered,
	                          text_of(tally, participant)))
		return -ENOMEM;
	flaw = answer_flaw(answer, &text);
	if (flaw)
		return complain(tally, label, flaw, text);
	return is_crowded(tally, answer) ? merge_without_sent(tally, label, is_process, answer)
	                                 : contents_merge(tally, label, is_process, answer);
}

static int missing_append(struct tally *tally)
{
	Tether__Answer *merged = tally->merged;
	int err = 0;

	for (size_t i = 0; !err && i < tally->names.count; i++)
		if (is_awaited(tally->participants[i].stand) ||
		        is_handed(tally->participants[i].stand))
			err = answer_name_add(
			        &merged->missing, &merged->n_missing, tally->names.names[i].text);
	return err;
}

const Tether__Answer *tally_finish(struct tally *tally)
{
	Tether__Answer *merged = tally->merged;

	if (missing_append(tally))
		return NULL;
	if (merged->n_missing)
		answer_worsen(merged, TETHER__OUTCOME__OUTCOME_PARTIAL);
	if (tally->too_large || !answer_is_sendable(merged)) {
		answer_shrink(merged);
		if (complain(tally, "", "answer-too-large", "the answers do not fit one frame"))
			return NULL;
	}
	return merged;
}
