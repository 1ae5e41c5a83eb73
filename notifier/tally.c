/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "notifier/tally.h"

#include <errno.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "notifier/base/cleanup.h"
#include "notifier/wire/frame.h"
#include "notifier/wire/rows.h"

enum stand {
	STAND_EXPECTED, /* has to answer and is not here yet */
	STAND_HANDED,
	STAND_ANSWERED,
	STAND_MISSING, /* a relay between says that it did not answer */
	STAND_FORGOTTEN,
};

struct participant {
	enum stand stand;
	char name[];
};

struct tally {
	struct event_key key;
	char *prefix;
	struct participant **participants;
	size_t count, room;
	void *by_name;  /* tsearch(3) tree of the same */
	size_t awaited; /* EXPECTED and HANDED */
	size_t packed;  /* bytes of what was merged */
	bool too_large;
	Tether__Answer *merged;
};

struct event_key event_key(const Tether__Event *event)
{
	return (struct event_key){event->migration, event->epoch, event->step, event->sequence};
}

struct event_key answer_key(const Tether__Answer *answer)
{
	return (struct event_key){answer->migration, answer->epoch, answer->step, answer->sequence};
}

bool event_key_equal(const struct event_key *a, const struct event_key *b)
{
	return a->migration == b->migration && a->epoch == b->epoch && a->step == b->step &&
	       a->sequence == b->sequence;
}

static Tether__Answer *answer_create(const struct event_key *key)
{
	Tether__Answer *answer = malloc(sizeof(*answer));

	if (!answer)
		return NULL;
	tether__answer__init(answer);
	answer->migration = key->migration;
	answer->epoch = key->epoch;
	answer->step = key->step;
	answer->sequence = key->sequence;
	answer->outcome = TETHER__OUTCOME__OUTCOME_DONE;
	return answer;
}

struct tally *tally_create(const struct event_key *key, const char *prefix)
{
	struct tally *tally = calloc(1, sizeof(*tally));

	if (!tally)
		return NULL;
	tally->key = *key;
	tally->prefix = strdup(prefix);
	tally->merged = answer_create(key);
	if (tally->prefix && tally->merged)
		return tally;
	tally_destroy(tally);
	return NULL;
}

static void tree_node_ignore(void *node)
{
}

void tally_destroy(struct tally *tally)
{
	if (!tally)
		return;
	tdestroy(tally->by_name, tree_node_ignore);
	for (size_t i = 0; i < tally->count; i++)
		free(tally->participants[i]);
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

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct participant *)a)->name, ((const struct participant *)b)->name);
}

static struct participant *participant_create(const char *name, enum stand stand)
{
	struct participant *participant = malloc(sizeof(*participant) + strlen(name) + 1);

	if (participant) {
		participant->stand = stand;
		strcpy(participant->name, name);
	}
	return participant;
}

static struct participant *find(const struct tally *tally, const char *name)
{
	CLEANUP_FREE struct participant *wanted = participant_create(name, STAND_EXPECTED);
	struct participant **found = wanted ? tfind(wanted, &tally->by_name, by_name) : NULL;

	return found ? *found : NULL;
}

static bool is_awaited(enum stand stand)
{
	return stand == STAND_EXPECTED || stand == STAND_HANDED;
}

static void stand_set(struct tally *tally, struct participant *participant, enum stand stand)
{
	tally->awaited -= is_awaited(participant->stand);
	tally->awaited += is_awaited(stand);
	participant->stand = stand;
}

static int participant_add(struct tally *tally, const char *name, enum stand stand)
{
	struct participant *participant = participant_create(name, stand);

	if (!participant)
		return -ENOMEM;
	if (tally->count == tally->room) {
		size_t room = tally->room ? tally->room * 2 : 8;
		struct participant **grown = realloc(tally->participants, room * sizeof(*grown));

		if (!grown)
			goto no_memory;
		tally->participants = grown;
		tally->room = room;
	}
	if (!tsearch(participant, &tally->by_name, by_name))
		goto no_memory;
	tally->participants[tally->count++] = participant;
	tally->awaited += is_awaited(stand);
	return 0;
no_memory:
	free(participant);
	return -ENOMEM;
}

int tally_expect(struct tally *tally, const char *name)
{
	return find(tally, name) ? 0 : participant_add(tally, name, STAND_EXPECTED);
}

int tally_hand(struct tally *tally, const char *name)
{
	struct participant *participant = find(tally, name);

	if (!participant)
		return participant_add(tally, name, STAND_HANDED);
	if (participant->stand != STAND_ANSWERED)
		stand_set(tally, participant, STAND_HANDED);
	return 0;
}

bool tally_awaits(const struct tally *tally, const char *name)
{
	const struct participant *participant = find(tally, name);

	return participant && participant->stand == STAND_HANDED;
}

bool tally_has_answered(const struct tally *tally, const char *name)
{
	const struct participant *participant = find(tally, name);

	return participant && participant->stand == STAND_ANSWERED;
}

void tally_forget(struct tally *tally, const char *name)
{
	struct participant *participant = find(tally, name);

	if (participant && is_awaited(participant->stand))
		stand_set(tally, participant, STAND_FORGOTTEN);
}

void tally_forget_vm(struct tally *tally, const char *vm)
{
	size_t length = strlen(vm);

	for (size_t i = 0; i < tally->count; i++) {
		struct participant *participant = tally->participants[i];

		if (participant->stand == STAND_EXPECTED &&
		        !strncmp(participant->name, vm, length) && participant->name[length] == '/')
			stand_set(tally, participant, STAND_FORGOTTEN);
	}
}

bool tally_complete(const struct tally *tally)
{
	return !tally->awaited;
}

static int outcome_rank(Tether__Outcome outcome)
{
	switch (outcome) {
	case TETHER__OUTCOME__OUTCOME_DONE:
		return 1;
	case TETHER__OUTCOME__OUTCOME_PARTIAL:
		return 2;
	case TETHER__OUTCOME__OUTCOME_REFUSED:
		return 3;
	case TETHER__OUTCOME__OUTCOME_FAILED:
		return 4;
	default:
		return 0;
	}
}

static void outcome_worsen(Tether__Answer *merged, Tether__Outcome outcome)
{
	if (outcome_rank(outcome) > outcome_rank(merged->outcome))
		merged->outcome = outcome;
}

static int text_append(char ***texts, size_t *count, const char *text)
{
	char **grown = realloc(*texts, (*count + 1) * sizeof(*grown));

	if (!grown)
		return -ENOMEM;
	*texts = grown;
	grown[*count] = strdup(text);
	if (!grown[*count])
		return -ENOMEM;
	++*count;
	return 0;
}

/* "@a/@b", or the one that is not empty. */
static char *path_join(const char *a, const char *b)
{
	char *joined;

	if (!*a || !*b)
		return strdup(*a ? a : b);
	return asprintf(&joined, "%s/%s", a, b) < 0 ? NULL : joined;
}

static int refusal_append(
        struct tally *tally, const char *who, const char *reason, const char *text)
{
	Tether__Answer *merged = tally->merged;
	Tether__Refusal *refusal = malloc(sizeof(*refusal));
	Tether__Refusal **grown =
	        realloc(merged->refusals, (merged->n_refusals + 1) * sizeof(*grown));

	if (grown)
		merged->refusals = grown;
	if (!refusal || !grown) {
		free(refusal);
		return -ENOMEM;
	}
	tether__refusal__init(refusal);
	refusal->who = path_join(tally->prefix, who);
	refusal->reason = strdup(reason);
	refusal->text = strdup(text);
	grown[merged->n_refusals++] = refusal; /* a text that is NULL is packed as an empty one */
	return refusal->who && refusal->reason && refusal->text ? 0 : -ENOMEM;
}

#define TABLES(TABLE)                                                                              \
	TABLE(evidence, EvidenceRows, evidence_rows)                                               \
	TABLE(qps, QpRows, qp_rows)                                                                \
	TABLE(keys, KeyRows, key_rows)

static bool tables_are_whole(const Tether__Answer *answer)
{
	size_t count;

#define TABLE(member, type, lower)                                                                 \
	if (answer->member && rows_count(&answer->member->base, &count))                           \
		return false;
	TABLES(TABLE)
#undef TABLE
	return true;
}

static int tables_merge(Tether__Answer *merged, const Tether__Answer *answer)
{
#define TABLE(field, type, lower)                                                                  \
	if (answer->field) {                                                                       \
		if (!merged->field) {                                                              \
			merged->field = malloc(sizeof(*merged->field));                            \
			if (!merged->field)                                                        \
				return -ENOMEM;                                                    \
			tether__##lower##__init(merged->field);                                    \
		}                                                                                  \
		if (rows_concatenate(&merged->field->base, &answer->field->base))                  \
			return -ENOMEM;                                                            \
	}
	TABLES(TABLE)
#undef TABLE
	return 0;
}

static void tables_drop(Tether__Answer *merged)
{
#define TABLE(member, type, lower)                                                                 \
	if (merged->member)                                                                        \
		tether__##lower##__free_unpacked(merged->member, NULL);                            \
	merged->member = NULL;
	TABLES(TABLE)
#undef TABLE
}

static int counts_merge(Tether__Answer *merged, const Tether__Counts *counts)
{
	if (!counts)
		return 0;
	if (!merged->counts) {
		merged->counts = malloc(sizeof(*merged->counts));
		if (!merged->counts)
			return -ENOMEM;
		tether__counts__init(merged->counts);
	}
	merged->counts->processes += counts->processes;
	merged->counts->qps += counts->qps;
	merged->counts->replayed += counts->replayed;
	merged->counts->made_up += counts->made_up;
	merged->counts->errors += counts->errors;
	return 0;
}

/* protobuf-c has no copy; results are small. */
static int result_merge(Tether__Answer *merged, const Tether__HostResult *result)
{
	size_t size = result ? tether__host_result__get_packed_size(result) : 0;
	CLEANUP_FREE uint8_t *packed = NULL;

	if (!result || merged->result)
		return 0;
	packed = malloc(size + 1);
	if (!packed)
		return -ENOMEM;
	tether__host_result__pack(result, packed);
	merged->result = tether__host_result__unpack(NULL, size, packed);
	return merged->result ? 0 : -ENOMEM;
}

/* A name below that answered, or did not: once each, however many relays say it. */
static int name_below(struct tally *tally, const char *name, enum stand stand)
{
	Tether__Answer *merged = tally->merged;
	struct participant *participant = find(tally, name);
	int err = 0;

	if (participant && !is_awaited(participant->stand))
		return 0;
	if (participant)
		stand_set(tally, participant, stand);
	else
		err = participant_add(tally, name, stand);
	if (err)
		return err;
	if (stand == STAND_ANSWERED)
		return text_append(&merged->answered, &merged->n_answered, name);
	return text_append(&merged->missing, &merged->n_missing, name);
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

static int refusals_merge(struct tally *tally, const char *label, const Tether__Answer *answer)
{
	int err = 0;

	for (size_t i = 0; !err && i < answer->n_refusals; i++) {
		const Tether__Refusal *refusal = answer->refusals[i];

		err = refusal_append(tally, *refusal->who ? refusal->who : label, refusal->reason,
		        refusal->text);
	}
	return err;
}

static int complain(struct tally *tally, const char *who, const char *reason, const char *text)
{
	outcome_worsen(tally->merged, TETHER__OUTCOME__OUTCOME_FAILED);
	return refusal_append(tally, who, reason, text);
}

int tally_note(struct tally *tally, Tether__Outcome outcome, const char *reason, const char *text)
{
	outcome_worsen(tally->merged, outcome);
	return refusal_append(tally, "", reason, text);
}

static int contents_merge(
        struct tally *tally, const char *label, bool is_process, const Tether__Answer *answer)
{
	size_t size = tether__answer__get_packed_size(answer);
	int err;

	outcome_worsen(tally->merged, answer->outcome);
	if (tally->packed + size > FRAME_MAX_BYTES) {
		tally->too_large = true;
		return 0;
	}
	tally->packed += size;
	err = tables_merge(tally->merged, answer);
	if (!err)
		err = counts_merge(tally->merged, answer->counts);
	if (!err)
		err = result_merge(tally->merged, answer->result);
	if (!err)
		err = refusals_merge(tally, label, answer);
	if (!err && !is_process)
		err = names_merge(tally, answer);
	return err;
}

int tally_take(struct tally *tally, const char *name, const char *label, bool is_process,
        const Tether__Answer *answer)
{
	struct participant *participant = find(tally, name);

	if (!participant)
		return -ENOENT;
	if (participant->stand != STAND_HANDED)
		return participant->stand == STAND_ANSWERED ? -EALREADY : -ENOENT;
	stand_set(tally, participant, STAND_ANSWERED);
	if (is_process && text_append(&tally->merged->answered, &tally->merged->n_answered, name))
		return -ENOMEM;
	if (!outcome_rank(answer->outcome))
		return complain(tally, label, "bad-answer", "its answer has no known outcome");
	if (!tables_are_whole(answer))
		return complain(
		        tally, label, "bad-table", "its answer has columns of unequal length");
	return contents_merge(tally, label, is_process, answer);
}

static int missing_append(struct tally *tally)
{
	Tether__Answer *merged = tally->merged;
	int err = 0;

	for (size_t i = 0; !err && i < tally->count; i++)
		if (is_awaited(tally->participants[i]->stand))
			err = text_append(
			        &merged->missing, &merged->n_missing, tally->participants[i]->name);
	return err;
}

/* The frame around it takes a few bytes more than the answer. */
static bool is_sendable(const Tether__Answer *merged)
{
	return tether__answer__get_packed_size(merged) + 16 <= FRAME_MAX_BYTES;
}

/* What is left says at least who and why. */
static int shrink(struct tally *tally)
{
	Tether__Answer *merged = tally->merged;

	tables_drop(merged);
	while (merged->n_refusals && !is_sendable(merged))
		tether__refusal__free_unpacked(merged->refusals[--merged->n_refusals], NULL);
	while (merged->n_answered && !is_sendable(merged))
		free(merged->answered[--merged->n_answered]);
	return complain(tally, "", "answer-too-large", "the answers do not fit one frame");
}

Tether__Answer *tally_finish(struct tally *tally)
{
	Tether__Answer *merged = tally->merged;

	if (missing_append(tally))
		return NULL;
	if (merged->n_missing)
		outcome_worsen(merged, TETHER__OUTCOME__OUTCOME_PARTIAL);
	if ((tally->too_large || !is_sendable(merged)) && shrink(tally))
		return NULL;
	tally->merged = NULL;
	return merged;
}
