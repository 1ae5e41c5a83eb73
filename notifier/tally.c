/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "notifier/tally.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "notifier/answer_merge.h"
#include "notifier/base/cleanup.h"
#include "notifier/name_hash.h"
#include "notifier/number_scope.h"
#include "notifier/vm_names.h"
#include "notifier/wire/frame.h"
#include "notifier/wire/message.h"

enum stand {
	STAND_EXPECTED, /* has to answer and is not here yet */
	STAND_HANDED,
	STAND_PASSED_OVER, /* handed, and not waited for */
	STAND_ANSWERED,
	STAND_MISSING, /* a relay between says that it did not answer */
	STAND_FORGOTTEN,
};

struct participant {
	char *name;
	uint32_t hash;
	enum stand stand;
	bool is_listed; /* the name is the merged answer's */
};

enum { ROOM_FIRST = 8 };

struct tally {
	struct event_key key;
	char *prefix;
	struct participant *participants;
	size_t count, room;
	uint32_t *slots; /* by name: a participant's place and 1, or 0; twice as many as there
	                    is room */
	struct vm_names expected; /* of participants */
	size_t awaited;           /* EXPECTED and HANDED */
	size_t packed;            /* bytes of what was merged */
	bool too_large;
	Tether__Answer *merged;
};

struct tally *tally_create(const struct event_key *key, const char *prefix)
{
	struct tally *tally = calloc(1, sizeof(*tally));

	if (!tally)
		return NULL;
	tally->key = *key;
	tally->prefix = strdup(prefix);
	tally->merged = answer_create(*key);
	if (tally->prefix && tally->merged)
		return tally;
	tally_destroy(tally);
	return NULL;
}

void tally_destroy(struct tally *tally)
{
	if (!tally)
		return;
	free(tally->slots);
	vm_names_clear(&tally->expected);
	for (size_t i = 0; i < tally->count; i++)
		if (!tally->participants[i].is_listed)
			free(tally->participants[i].name);
	free(tally->participants);
	free(tally->prefix);
	if (tally->merged)
		tether__answer__free_unpacked(tally->merged, NULL);
	free(tally);
}

const struct event_key *tally_key(const struct tally *tally)
{
	return &tally->key;
}

static uint32_t hash_of(const char *name)
{
	return name_hash(name, strlen(name));
}

/* The slot of @name, or the free one that it would have. */
static uint32_t *slot_of(const struct tally *tally, const char *name, uint32_t hash)
{
	size_t mask = 2 * tally->room - 1, slot = hash & mask;
	const struct participant *participant;

	for (; tally->slots[slot]; slot = (slot + 1) & mask) {
		participant = &tally->participants[tally->slots[slot] - 1];
		if (participant->hash == hash && !strcmp(participant->name, name))
			break;
	}
	return &tally->slots[slot];
}

/* Until the next is added. */
static struct participant *find_hashed(const struct tally *tally, const char *name, uint32_t hash)
{
	uint32_t place = tally->room ? *slot_of(tally, name, hash) : 0;

	return place ? &tally->participants[place - 1] : NULL;
}

static struct participant *find(const struct tally *tally, const char *name)
{
	return find_hashed(tally, name, hash_of(name));
}

/* Room is a power of two, so that slots are. */
static int participants_grow(struct tally *tally)
{
	size_t room = tally->room ? tally->room * 2 : ROOM_FIRST;
	uint32_t *slots = calloc(2 * room, sizeof(*slots));
	struct participant *grown = calloc(room, sizeof(*grown));

	if (!grown || !slots) {
		free(grown);
		free(slots);
		return -ENOMEM;
	}
	if (tally->participants)
		memcpy(grown, tally->participants, tally->count * sizeof(*grown));
	free(tally->participants);
	free(tally->slots);
	tally->participants = grown;
	tally->slots = slots;
	tally->room = room;
	for (size_t i = 0; i < tally->count; i++)
		*slot_of(tally, grown[i].name, grown[i].hash) = i + 1;
	return 0;
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

static int participant_add(struct tally *tally, const struct participant *participant)
{
	bool is_full = tally->count == tally->room || !tally->participants;

	if (is_full && participants_grow(tally))
		return -ENOMEM;
	tally->participants[tally->count++] = *participant;
	*slot_of(tally, participant->name, participant->hash) = tally->count;
	tally->awaited += is_awaited(participant->stand);
	return 0;
}

/* Who is not there yet. */
static int child_add(struct tally *tally, const char *name, uint32_t hash, enum stand stand)
{
	struct participant child = {strdup(name), hash, stand, false};

	if (child.name && !participant_add(tally, &child))
		return 0;
	free(child.name);
	return -ENOMEM;
}

int tally_expect(struct tally *tally, const char *name)
{
	uint32_t hash = hash_of(name);

	if (find_hashed(tally, name, hash))
		return 0;
	if (child_add(tally, name, hash, STAND_EXPECTED))
		return -ENOMEM;
	return vm_names_add(&tally->expected, tally->participants[tally->count - 1].name);
}

static int hand(struct tally *tally, const char *name, enum stand stand)
{
	uint32_t hash = hash_of(name);
	struct participant *participant = find_hashed(tally, name, hash);

	if (!participant)
		return child_add(tally, name, hash, stand);
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
	return find(tally, name);
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

void tally_forget_vm(struct tally *tally, const char *vm)
{
	uint32_t at = vm_names_first(&tally->expected, vm);
	struct participant *participant;

	for (; at; at = vm_names_next(&tally->expected, at)) {
		participant = find(tally, tally->expected.names[at - 1]);
		if (participant && participant->stand == STAND_EXPECTED)
			stand_set(tally, participant, STAND_FORGOTTEN);
	}
}

bool tally_complete(const struct tally *tally)
{
	return !tally->awaited;
}

/* A name below that answered, or did not: once each, however many relays say it. */
static int name_below(struct tally *tally, const char *name, enum stand stand)
{
	char ***list = stand == STAND_ANSWERED ? &tally->merged->answered : &tally->merged->missing;
	size_t *count =
	        stand == STAND_ANSWERED ? &tally->merged->n_answered : &tally->merged->n_missing;
	struct participant below = {.hash = hash_of(name), .stand = stand, .is_listed = true};
	struct participant *participant = find_hashed(tally, name, below.hash);

	/* Who was handed the event is a child, and answers for itself. */
	if (participant && participant->stand != STAND_EXPECTED)
		return 0;
	if (answer_name_add(list, count, name))
		return -ENOMEM;
	if (participant) {
		stand_set(tally, participant, stand);
		return 0;
	}
	below.name = (*list)[*count - 1];
	return participant_add(tally, &below);
}

static int names_merge(struct tally *tally, const Tether__Answer *answer)
{
	int err = 0;

	for (size_t i = 0; !err && i < answer->n_answered; i++)
		err = name_below(tally, answer->answered[i], STAND_ANSWERED);
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
	if (tally->packed + size > FRAME_MAX_BYTES) {
		tally->too_large = true;
		return 0;
	}
	tally->packed += size;
	err = collision_note(tally, label, answer);
	if (!err)
		err = answer_absorb(tally->merged, answer, tally->prefix, label);
	return err || is_process ? err : names_merge(tally, answer);
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
	if (is_process &&
	        answer_name_add(&tally->merged->answered, &tally->merged->n_answered, name))
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

	for (size_t i = 0; !err && i < tally->count; i++)
		if (is_awaited(tally->participants[i].stand) ||
		        is_handed(tally->participants[i].stand))
			err = answer_name_add(
			        &merged->missing, &merged->n_missing, tally->participants[i].name);
	return err;
}

Tether__Answer *tally_finish(struct tally *tally)
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
	tally->merged = NULL;
	return merged;
}
