/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "notifier/relay/answer_merge.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "notifier/base/cleanup.h"
#include "notifier/wire/answer.h"
#include "notifier/wire/frame.h"
#include "notifier/wire/message.h"
#include "notifier/wire/gid_name.h"
#include "notifier/wire/rows.h"

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

void answer_worsen(Tether__Answer *merged, Tether__Outcome outcome)
{
	if (outcome_rank(outcome) > outcome_rank(merged->outcome))
		merged->outcome = outcome;
}

int answer_name_add(char ***names, size_t *count, const char *name)
{
	/* Room for a power of two, full when there are so many. */
	if (!(*count & (*count - 1))) {
		char **grown = realloc(*names, (*count ? 2 * *count : 1) * sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		*names = grown;
	}
	(*names)[(*count)++] = (char *)name;
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

int answer_refusal_add(Tether__Answer *merged, const char *prefix, const char *who,
        const char *reason, const char *text)
{
	CLEANUP_FREE char *path = path_join(prefix, who);

	return path ? refusal_add(merged, path, reason, text) : -ENOMEM;
}

#define TABLES(TABLE)                                                                              \
	TABLE(evidence, EvidenceRows, evidence_rows)                                               \
	TABLE(qps, QpRows, qp_rows)                                                                \
	TABLE(keys, KeyRows, key_rows)                                                             \
	TABLE(gids, GidRows, gid_rows)

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
	if (answer->field && (!answer_##field(merged) || rows_concatenate(&merged->field->base,    \
	                                                         &answer->field->base)))           \
		return -ENOMEM;
	TABLES(TABLE)
#undef TABLE
	return answer->gids ? gid_rows_compact(merged->gids) : 0;
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
	if (!answer_counts(merged))
		return -ENOMEM;
	merged->counts->processes += counts->processes;
	merged->counts->qps += counts->qps;
	merged->counts->replayed += counts->replayed;
	merged->counts->made_up += counts->made_up;
	merged->counts->errors += counts->errors;
	return 0;
}

static int result_merge(Tether__Answer *merged, const Tether__HostResult *result)
{
	if (!result || merged->result)
		return 0;
	merged->result = message_copy(&result->base);
	return merged->result ? 0 : -ENOMEM;
}

static int refusals_merge(
        Tether__Answer *merged, const Tether__Answer *answer, const char *prefix, const char *label)
{
	int err = 0;

	for (size_t i = 0; !err && i < answer->n_refusals; i++) {
		const Tether__Refusal *refusal = answer->refusals[i];

		err = answer_refusal_add(merged, prefix, *refusal->who ? refusal->who : label,
		        refusal->reason, refusal->text);
	}
	return err;
}

const char *answer_flaw(const Tether__Answer *answer, const char **text)
{
	if (!outcome_rank(answer->outcome)) {
		*text = "its answer has no known outcome";
		return "bad-answer";
	}
	if (!tables_are_whole(answer)) {
		*text = "its answer has columns of unequal length";
		return "bad-table";
	}
	return NULL;
}

bool answer_is_done(const Tether__Answer *answer)
{
	const char *text;

	return answer->outcome == TETHER__OUTCOME__OUTCOME_DONE && !answer_flaw(answer, &text);
}

int answer_absorb(
        Tether__Answer *merged, const Tether__Answer *answer, const char *prefix, const char *label)
{
	int err = tables_merge(merged, answer);

	if (!err)
		err = counts_merge(merged, answer->counts);
	if (!err)
		err = result_merge(merged, answer->result);
	return err ? err : refusals_merge(merged, answer, prefix, label);
}

void answer_shrink(Tether__Answer *merged)
{
	tables_drop(merged);
	while (merged->n_refusals && !answer_is_sendable(merged))
		tether__refusal__free_unpacked(merged->refusals[--merged->n_refusals], NULL);
	while (merged->n_answered && !answer_is_sendable(merged))
		merged->n_answered--;
	while (merged->n_ended && !answer_is_sendable(merged))
		merged->n_ended--;
}
