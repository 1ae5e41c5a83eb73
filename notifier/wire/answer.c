/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "notifier/wire/answer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "notifier/wire/frame.h"
#include "notifier/wire/rows.h"

struct event_key event_key(const Tether__Event *event)
{
	return (struct event_key){event->migration, event->epoch, event->step, event->sequence};
}

struct event_key answer_key(const Tether__Answer *answer)
{
	return (struct event_key){answer->migration, answer->epoch, answer->step, answer->sequence};
}

bool event_key_equal(struct event_key a, struct event_key b)
{
	return a.migration == b.migration && a.epoch == b.epoch && a.step == b.step &&
	       a.sequence == b.sequence;
}

const char *step_name(Tether__Step step)
{
	const ProtobufCEnumValue *value =
	        protobuf_c_enum_descriptor_get_value(&tether__step__descriptor, step);

	return value ? value->name + strlen("STEP_") : "?";
}

const char *outcome_name(Tether__Outcome outcome)
{
	const ProtobufCEnumValue *value =
	        protobuf_c_enum_descriptor_get_value(&tether__outcome__descriptor, outcome);

	return value ? value->name + strlen("OUTCOME_") : "?";
}

void answer_begin(Tether__Answer *answer, struct event_key to)
{
	tether__answer__init(answer);
	answer->migration = to.migration;
	answer->epoch = to.epoch;
	answer->step = to.step;
	answer->sequence = to.sequence;
	answer->outcome = TETHER__OUTCOME__OUTCOME_DONE;
}

Tether__Answer *answer_create(struct event_key to)
{
	Tether__Answer *answer = malloc(sizeof(*answer));

	if (answer)
		answer_begin(answer, to);
	return answer;
}

int refusal_add(Tether__Answer *answer, const char *who, const char *reason, const char *text)
{
	Tether__Refusal *refusal = malloc(sizeof(*refusal));
	Tether__Refusal **grown =
	        realloc(answer->refusals, (answer->n_refusals + 1) * sizeof(*grown));

	if (grown)
		answer->refusals = grown;
	if (!refusal || !grown) {
		free(refusal);
		return -ENOMEM;
	}
	tether__refusal__init(refusal);
	refusal->who = strdup(who);
	refusal->reason = strdup(reason);
	refusal->text = strdup(text);
	grown[answer->n_refusals++] = refusal; /* a text that is NULL is packed as an empty one */
	return refusal->who && refusal->reason && refusal->text ? 0 : -ENOMEM;
}

#define PART(field, Message, lower)                                                                \
	Tether__##Message *answer_##field(Tether__Answer *answer)                                  \
	{                                                                                          \
		if (answer->field)                                                                 \
			return answer->field;                                                      \
		answer->field = malloc(sizeof(*answer->field));                                    \
		if (answer->field)                                                                 \
			tether__##lower##__init(answer->field);                                    \
		return answer->field;                                                              \
	}

PART(evidence, EvidenceRows, evidence_rows)
PART(qps, QpRows, qp_rows)
PART(keys, KeyRows, key_rows)
PART(gids, GidRows, gid_rows)
PART(counts, Counts, counts)

static bool is_not_sent(const ProtobufCMessage *evidence, size_t index, const void *unused)
{
	uint32_t flags = ((const Tether__EvidenceRows *)evidence)->flags[index];

	return !(flags & TETHER__EVIDENCE_FLAG__EVIDENCE_SENT);
}

void answer_drop_sent(Tether__Answer *answer)
{
	if (answer->evidence)
		rows_filter(&answer->evidence->base, is_not_sent, NULL);
}

bool answer_is_sendable(const Tether__Answer *answer)
{
	return tether__answer__get_packed_size(answer) + FRAME_AROUND_BYTES <= FRAME_MAX_BYTES;
}
