/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* One answer of many: what each brings, and what of it fits. */
#include "notifier/relay/tally_state.h"

#include <errno.h>

#include "notifier/relay/answer_merge.h"
#include "notifier/relay/number_scope.h"
#include "notifier/wire/frame.h"
#include "notifier/wire/message.h"

static int complain(struct tally *tally, const char *who, const char *reason, const char *text)
{
	answer_worsen(tally->merged, TETHER__OUTCOME__OUTCOME_FAILED);
	return answer_refusal_add(tally->merged, tally->prefix, who, reason, text);
}

int tally_blame(struct tally *tally, const char *label, const char *reason, const char *text)
{
	return answer_refusal_add(tally->merged, tally->prefix, label, reason, text);
}

int tally_refuse(struct tally *tally, const char *label, const char *reason, const char *text)
{
	answer_worsen(tally->merged, TETHER__OUTCOME__OUTCOME_REFUSED);
	return tally_blame(tally, label, reason, text);
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
	err = is_process ? 0 : tally_names_merge(tally, answer);
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
	struct participant *participant = tally_find(tally, name);
	const char *flaw, *text;

	if (!participant)
		return -ENOENT;
	if (!stand_is_handed(participant->stand))
		return participant->stand == STAND_ANSWERED ? -EALREADY : -ENOENT;
	tally_stand_set(tally, participant, STAND_ANSWERED);
	if (is_process && answer_name_add(&tally->merged->answered, &tally->merged->n_answered,
	                          tally_text(tally, participant)))
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

	for (size_t i = 0; !err && i < tally_participants(tally); i++)
		if (stand_is_awaited(tally->participants[i].stand) ||
		        stand_is_handed(tally->participants[i].stand))
			err = answer_name_add(&merged->missing, &merged->n_missing,
			        tally_name_at(tally, i)->text);
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
