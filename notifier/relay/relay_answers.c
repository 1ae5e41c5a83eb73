/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "notifier/relay/relay_state.h"

#include <stdlib.h>

enum {
	ANSWERED_KEPT = 256,
	ANSWERED_BYTES = 16 << 20,
};

void relay_answer_up(struct relay *relay, const Tether__Answer *answer)
{
	Tether__Frame frame = TETHER__FRAME__INIT;

	frame.body_case = TETHER__FRAME__BODY_ANSWER;
	frame.answer = (Tether__Answer *)answer;
	relay->counts.answers++;
	relay->outputs->parent_send(relay->owner, &frame);
}

void relay_refuse_up(
        struct relay *relay, const Tether__Event *event, const char *reason, const char *text)
{
	Tether__Answer answer;
	Tether__Refusal refusal = TETHER__REFUSAL__INIT;
	Tether__Refusal *refusals[] = {&refusal};

	refusal.who = relay->name;
	refusal.reason = (char *)reason;
	refusal.text = (char *)text;
	answer_begin(&answer, event_key(event));
	answer.outcome = TETHER__OUTCOME__OUTCOME_REFUSED;
	answer.refusals = refusals;
	answer.n_refusals = 1;
	relay_answer_up(relay, &answer);
}

/* The newest is kept whatever its size. */
static void answered_trim(struct relay *relay)
{
	size_t count = 0, bytes = 0;
	struct answered **at = &relay->answered;

	for (; *at; at = &(*at)->next) {
		bytes += (*at)->size;
		if (count++ && (count > ANSWERED_KEPT || bytes > ANSWERED_BYTES))
			break;
	}
	while (*at) {
		struct answered *old = *at;

		*at = old->next;
		free(old);
	}
}

static void answered_keep(struct relay *relay, const Tether__Answer *answer)
{
	size_t size = tether__answer__get_packed_size(answer);
	struct answered *kept = malloc(sizeof(*kept) + size);

	if (!kept)
		return;
	kept->key = answer_key(answer);
	kept->told = answer->n_answered + answer->n_missing + answer->n_ended;
	kept->size = size;
	tether__answer__pack(answer, kept->packed);
	kept->next = relay->answered;
	relay->answered = kept;
	answered_trim(relay);
}

static const struct answered *answered_find(const struct relay *relay, const struct event_key *key)
{
	const struct answered *answered = relay->answered;

	while (answered && !event_key_equal(answered->key, *key))
		answered = answered->next;
	return answered;
}

void relay_answered_forget(struct relay *relay, const struct event_key *key, size_t names)
{
	struct answered **at = &relay->answered, *old;

	while (*at && !event_key_equal((*at)->key, *key))
		at = &(*at)->next;
	old = *at;
	if (!old || old->told >= names)
		return;
	*at = old->next;
	free(old);
}

bool relay_was_answered(const struct relay *relay, const struct event_key *key)
{
	return answered_find(relay, key);
}

void relay_answer_again(struct relay *relay, const struct event_key *key)
{
	const struct answered *kept = answered_find(relay, key);
	Tether__Answer *answer =
	        kept ? tether__answer__unpack(NULL, kept->size, kept->packed) : NULL;

	if (!answer)
		return;
	relay_answer_up(relay, answer);
	tether__answer__free_unpacked(answer, NULL);
}

bool step_ends_migration(Tether__Step step)
{
	return step == TETHER__STEP__STEP_RESUME || step == TETHER__STEP__STEP_ABORT ||
	       step == TETHER__STEP__STEP_ERROR;
}

void relay_migration_ends(struct relay *relay, uint64_t migration)
{
	size_t kept = 0;

	if (relay->last.migration == migration)
		relay->last.migration = 0;
	for (size_t i = 0; i < relay->begun_count; i++)
		if (relay->begun[i] != migration)
			relay->begun[kept++] = relay->begun[i];
	relay->begun_count = kept;
	if (kept)
		return;
	relay_ended_clear(relay); /* nobody expects them any more */
	rosters_clear(&relay->rosters);
}

/*
 * An order was the last that comes here: its VM is not here (any more), and nobody who is would be
 * told the end. Agents between do not judge, since the VM may be on its way from one of theirs to
 * another; nor does the root, which ends all by itself.
 */
static bool ends_unheard(const struct relay *relay, const Tether__Event *event)
{
	const struct vm_state *vm = relay_vm_find(relay, event->vm);

	if (!event->order || relay->settings.role != TETHER__ROLE__ROLE_HOST || (vm && vm->is_here))
		return false;
	for (const struct child *child = relay->children.first; child; child = child->next)
		if (child->hosts || relay_is_known_to(relay, child, event))
			return false;
	return true;
}

/* @open has left the list of what is open, so that the owner may call the relay from parent_send.
 */
static void event_close(struct relay *relay, struct open_event *open)
{
	struct event_key key = *tally_key(open->tally);
	const Tether__Answer *answer;

	relay_open_close(open);
	if (key.step == TETHER__STEP__STEP_PREPARE &&
	        !registration_is_flushed(relay->registration, key.migration))
		tally_note(open->tally, TETHER__OUTCOME__OUTCOME_PARTIAL, "interest-not-flushed",
		        "registrations are not acknowledged yet");
	relay_holders_refuse(relay, open);
	relay_late_note(relay, open);
	answer = tally_finish(open->tally);
	if (step_ends_migration(key.step) || ends_unheard(relay, open->event))
		relay_migration_ends(relay, key.migration);
	if (step_ends_migration(key.step))
		relay_missed_note(relay, open->event);
	if (answer) {
		answered_keep(relay, answer);
		relay_answer_up(relay, answer);
	}
	relay_open_destroy(open);
	if (step_ends_migration(key.step))
		relay_barrier_lift(relay, key.migration);
}

static bool is_answerable(struct relay *relay, struct open_event *open, uint64_t now_ms)
{
	const struct event_key *key = tally_key(open->tally);

	if (open->due_ms <= now_ms)
		return true;
	return tally_complete(open->tally) &&
	       (key->step != TETHER__STEP__STEP_PREPARE ||
	               registration_is_flushed(relay->registration, key->migration)) &&
	       !relay_guest_may_come(relay, open, now_ms) &&
	       !relay_holders_may_come(relay, open, now_ms);
}

/* Answer what can be answered; from the front each time, since an answer may bring a new event. */
void relay_settle(struct relay *relay, uint64_t now_ms)
{
	struct open_event **at = &relay->open;

	relay->settled_ms = now_ms;
	while (*at) {
		struct open_event *open = *at;

		if (!is_answerable(relay, open, now_ms)) {
			at = &open->next;
			continue;
		}
		*at = open->next;
		event_close(relay, open);
		at = &relay->open;
	}
}
