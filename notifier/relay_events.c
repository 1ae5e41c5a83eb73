/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "notifier/relay_state.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "notifier/base/cleanup.h"

enum {
	DEADLINE_MS = 5000, /* of an event that names none */
	OVERALL_MS = 30000, /* of a migration that does not say what is left in all */
	ANSWERED_KEPT = 256,
	ANSWERED_BYTES = 16 << 20,
};

/* Is the process @name (connected or not) below this relay? */
static bool is_below(const struct relay *relay, const char *name)
{
	if (relay->settings.role == TETHER__ROLE__ROLE_ROOT)
		return true;
	for (const struct vm_state *vm = relay->vms; vm; vm = vm->next)
		if (vm->is_here && name_is_of_vm(name, vm->name))
			return true;
	return false;
}

static bool has_ended(const struct relay *relay, const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(relay->ended.names); i++)
		if (relay->ended.names[i] && !strcmp(relay->ended.names[i], name))
			return true;
	return false;
}

static bool expected_of_child(const struct child *child, const char *name)
{
	if (child_is_process(child))
		return !strcmp(child->name, name);
	if (child->vm)
		return name_is_of_vm(name, child->vm);
	for (size_t i = 0; i < child->vms_count; i++)
		if (name_is_of_vm(name, child->vms[i]))
			return true;
	return false;
}

static size_t expected_count(const struct child *child, const Tether__Event *event)
{
	size_t count = 0;

	for (size_t i = 0; i < event->n_expected; i++)
		count += expected_of_child(child, event->expected[i]);
	return count;
}

static bool vm_concerns(const struct child *child, const Tether__Event *event)
{
	return event->to_vm && child_has_vm(child, event->vm);
}

static bool peers_concern(
        const struct relay *relay, const struct child *child, const Tether__Event *event)
{
	struct address address;

	return event->to_peers && !address_decode(event->address, &address) &&
	       registration_holds(relay->registration, child->member, &address) &&
	       !(child->vm && !strcmp(child->vm, event->vm));
}

static bool order_concerns(const struct child *child, const Tether__Event *event)
{
	return event->order && child->role == TETHER__ROLE__ROLE_HOST &&
	       !strcmp(event->order->host, child->name);
}

static bool is_concerned(
        const struct relay *relay, const struct child *child, const Tether__Event *event)
{
	return vm_concerns(child, event) || peers_concern(relay, child, event) ||
	       order_concerns(child, event) || expected_count(child, event);
}

static uint32_t left_ms(uint64_t until_ms, uint64_t now_ms)
{
	return until_ms > now_ms ? until_ms - now_ms : 1;
}

/* The copy for @child says only what is meant for it. */
static void child_event_send(struct relay *relay, const struct child *child,
        const struct open_event *open, uint64_t now_ms)
{
	CLEANUP_FREE char **expected = calloc(open->event->n_expected + 1, sizeof(*expected));
	Tether__Event event = *open->event;
	Tether__Frame frame = TETHER__FRAME__INIT;

	if (!expected)
		return; /* it will be missing in the answer */
	event.n_expected = 0;
	event.expected = expected;
	for (size_t i = 0; i < open->event->n_expected; i++)
		if (expected_of_child(child, open->event->expected[i]))
			expected[event.n_expected++] = open->event->expected[i];
	event.to_vm = vm_concerns(child, open->event);
	event.to_peers = peers_concern(relay, child, open->event);
	event.order = order_concerns(child, open->event) ? open->event->order : NULL;
	event.deadline_ms = left_ms(open->children_ms, now_ms);
	if (open->overall_ms)
		event.overall_ms = left_ms(open->overall_ms, now_ms);
	frame.body_case = TETHER__FRAME__BODY_EVENT;
	frame.event = &event;
	relay->outputs->child_send(relay->owner, child->link, &frame);
}

static void event_hand(
        struct relay *relay, const struct child *child, struct open_event *open, uint64_t now_ms)
{
	if (!child->connected) {
		tally_expect(open->tally, child->name);
		return;
	}
	if (!tally_hand(open->tally, child->name))
		child_event_send(relay, child, open, now_ms);
}

/*
 * @child is here, again, or has got a VM: it gets what is open and concerns it. What it was handed
 * over a link that it has lost since, it gets again (@again).
 */
void relay_events_hand(struct relay *relay, const struct child *child, bool again, uint64_t now_ms)
{
	for (struct open_event *open = relay->open; open; open = open->next) {
		if (!is_concerned(relay, child, open->event) ||
		        tally_has_answered(open->tally, child->name))
			continue;
		if (again || !tally_awaits(open->tally, child->name))
			event_hand(relay, child, open, now_ms);
	}
}

static void parent_answer(struct relay *relay, const Tether__Answer *answer)
{
	Tether__Frame frame = TETHER__FRAME__INIT;

	frame.body_case = TETHER__FRAME__BODY_ANSWER;
	frame.answer = (Tether__Answer *)answer;
	relay->counts.answers++;
	relay->outputs->parent_send(relay->owner, &frame);
}

static void parent_refuse(
        struct relay *relay, const Tether__Event *event, const char *reason, const char *text)
{
	Tether__Answer answer = TETHER__ANSWER__INIT;
	Tether__Refusal refusal = TETHER__REFUSAL__INIT;
	Tether__Refusal *refusals[] = {&refusal};

	refusal.who = relay->name;
	refusal.reason = (char *)reason;
	refusal.text = (char *)text;
	answer.migration = event->migration;
	answer.epoch = event->epoch;
	answer.step = event->step;
	answer.sequence = event->sequence;
	answer.outcome = TETHER__OUTCOME__OUTCOME_REFUSED;
	answer.refusals = refusals;
	answer.n_refusals = 1;
	parent_answer(relay, &answer);
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
		relay_answered_destroy(old);
	}
}

static void answered_keep(struct relay *relay, Tether__Answer *answer)
{
	struct answered *kept = malloc(sizeof(*kept));

	if (!kept) {
		tether__answer__free_unpacked(answer, NULL);
		return;
	}
	kept->answer = answer;
	kept->size = tether__answer__get_packed_size(answer);
	kept->next = relay->answered;
	relay->answered = kept;
	answered_trim(relay);
}

const Tether__Answer *relay_answered_find(const struct relay *relay, const struct event_key *key)
{
	for (const struct answered *a = relay->answered; a; a = a->next) {
		struct event_key kept = answer_key(a->answer);

		if (event_key_equal(&kept, key))
			return a->answer;
	}
	return NULL;
}

static bool ends_migration(Tether__Step step)
{
	return step == TETHER__STEP__STEP_RESUME || step == TETHER__STEP__STEP_ABORT ||
	       step == TETHER__STEP__STEP_ERROR;
}

/* @open has left the list of what is open, so that the owner may call the relay from parent_send.
 */
static void event_close(struct relay *relay, struct open_event *open)
{
	struct event_key key = *tally_key(open->tally);
	Tether__Answer *answer;

	if (key.step == TETHER__STEP__STEP_PREPARE &&
	        !registration_is_flushed(relay->registration, key.migration))
		tally_note(open->tally, TETHER__OUTCOME__OUTCOME_PARTIAL, "interest-not-flushed",
		        "registrations are not acknowledged yet");
	answer = tally_finish(open->tally);
	relay_open_destroy(open);
	if (ends_migration(key.step) && relay->last.migration == key.migration)
		relay->last.migration = 0;
	if (answer) {
		answered_keep(relay, answer);
		parent_answer(relay, answer);
	}
	if (ends_migration(key.step))
		registration_barrier_lift(relay->registration, key.migration);
}

static bool is_answerable(const struct relay *relay, const struct open_event *open, uint64_t now_ms)
{
	const struct event_key *key = tally_key(open->tally);

	if (open->due_ms <= now_ms)
		return true;
	return tally_complete(open->tally) &&
	       (key->step != TETHER__STEP__STEP_PREPARE ||
	               registration_is_flushed(relay->registration, key->migration));
}

/* Answer what can be answered; from the front each time, since an answer may bring a new event. */
void relay_settle(struct relay *relay, uint64_t now_ms)
{
	struct open_event **at = &relay->open;

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

struct open_event *relay_open_find(const struct relay *relay, const struct event_key *key)
{
	struct open_event *open = relay->open;

	while (open && !event_key_equal(tally_key(open->tally), key))
		open = open->next;
	return open;
}

static bool order_is_for_us(const struct relay *relay, const Tether__Event *event)
{
	return event->order && relay->outputs->order && !strcmp(event->order->host, relay->name);
}

static bool order_has_taker(const struct relay *relay, const Tether__Event *event)
{
	const struct child *child;

	if (!event->order || order_is_for_us(relay, event))
		return true;
	child = children_by_name(&relay->children, event->order->host);
	return child && child->role == TETHER__ROLE__ROLE_HOST;
}

static void vm_takes(const struct relay *relay, struct vm_state *vm, const Tether__Event *event)
{
	if (event->epoch > vm->epoch)
		vm->order_sequence = 0;
	if (order_is_for_us(relay, event))
		vm->order_sequence = event->sequence;
	vm->epoch = event->epoch;
	vm->migration = event->migration;
}

/* Refused: true, and answered so. */
static bool event_is_refused(struct relay *relay, const Tether__Event *event)
{
	struct vm_state *vm = *event->vm ? relay_vm_make(relay, event->vm) : NULL;

	if (vm && event->epoch < vm->epoch) {
		relay->counts.old_epochs++;
		parent_refuse(relay, event, "old-epoch", "a newer migration of this VM is known");
		return true;
	}
	/* Steps overtake each other harmlessly; an order that was given up for a later one must not
	 * be carried out after that. */
	if (vm && event->epoch == vm->epoch && order_is_for_us(relay, event) &&
	        event->sequence < vm->order_sequence) {
		relay->counts.old_epochs++;
		parent_refuse(relay, event, "old-order", "a later order for this VM is known");
		return true;
	}
	if (!relay_epoch_raise(relay, event->epoch)) {
		parent_refuse(relay, event, "epoch-not-saved", "the epoch could not be stored");
		return true;
	}
	if (!order_has_taker(relay, event)) {
		parent_refuse(relay, event, "no-such-host", "the host that is ordered is not here");
		return true;
	}
	if (vm)
		vm_takes(relay, vm, event);
	return false;
}

/* Takes @event. */
static struct open_event *open_create(struct relay *relay, Tether__Event *event, uint64_t now_ms)
{
	struct open_event *open = calloc(1, sizeof(*open));
	struct event_key key = event_key(event);
	uint32_t deadline_ms = event->deadline_ms ? event->deadline_ms : DEADLINE_MS;
	uint32_t margin_ms = relay_margin_ms(deadline_ms);

	if (open)
		open->tally = tally_create(&key, relay->name);
	if (!open || !open->tally) {
		free(open);
		tether__event__free_unpacked(event, NULL);
		return NULL;
	}
	open->event = event;
	open->due_ms = now_ms + (deadline_ms > margin_ms ? deadline_ms - margin_ms : 1);
	open->children_ms =
	        now_ms + (deadline_ms > 2 * margin_ms ? deadline_ms - 2 * margin_ms : 1);
	open->overall_ms = event->overall_ms ? now_ms + event->overall_ms : 0;
	return open;
}

static uint64_t migration_until_ms(const struct open_event *open, uint64_t now_ms)
{
	return open->overall_ms ? open->overall_ms : now_ms + OVERALL_MS;
}

/* PREPARE sets it. Where it is missed later, this relay or one above was started again meanwhile.
 * An order alone sets none: who gets nothing else is not told the end. */
static void barrier_set(struct relay *relay, const struct open_event *open, uint64_t now_ms)
{
	const Tether__Event *event = open->event;
	uint64_t until_ms = migration_until_ms(open, now_ms);
	struct address address;

	if ((event->to_vm || event->to_peers) && !ends_migration(event->step) &&
	        !address_decode(event->address, &address))
		registration_barrier(
		        relay->registration, event->migration, event->vm, &address, until_ms);
	else
		registration_barrier_extend(relay->registration, event->migration, until_ms);
}

static void event_hand_out(struct relay *relay, struct open_event *open, uint64_t now_ms)
{
	const Tether__Event *event = open->event;

	for (size_t i = 0; i < event->n_expected; i++)
		if (is_below(relay, event->expected[i]) && !has_ended(relay, event->expected[i]))
			tally_expect(open->tally, event->expected[i]);
	for (struct child *child = relay->children.first; child; child = child->next)
		if (child->name && is_concerned(relay, child, event))
			event_hand(relay, child, open, now_ms);
}

/* The owner may finish the order, and with it the event, before this returns. */
static void order_start(struct relay *relay, struct open_event *open, uint64_t now_ms)
{
	Tether__Event event = *open->event;

	if (!order_is_for_us(relay, &event) || tally_hand(open->tally, relay->name))
		return;
	event.deadline_ms = left_ms(open->children_ms, now_ms);
	relay->outputs->order(relay->owner, &event);
}

static void open_append(struct relay *relay, struct open_event *open)
{
	struct open_event **at = &relay->open;

	while (*at)
		at = &(*at)->next;
	*at = open;
}

/* Takes @event. */
int relay_event_take(struct relay *relay, Tether__Event *event, uint64_t now_ms)
{
	struct event_key key = event_key(event);
	const Tether__Answer *answer = relay_answered_find(relay, &key);
	struct open_event *open;

	relay->counts.events++;
	if (answer || relay_open_find(relay, &key)) {
		relay->counts.repeated_events++;
		tether__event__free_unpacked(event, NULL);
		if (answer)
			parent_answer(relay, answer);
		return 0;
	}
	if (event_is_refused(relay, event)) {
		tether__event__free_unpacked(event, NULL);
		return 0;
	}
	open = open_create(relay, event, now_ms);
	if (!open)
		return -ENOMEM;
	if (!ends_migration(key.step))
		relay->last = key;
	barrier_set(relay, open, now_ms);
	relay_absence_note(relay, event, migration_until_ms(open, now_ms));
	relay_numbers_note(relay, event);
	event_hand_out(relay, open, now_ms);
	open_append(relay, open);
	order_start(relay, open, now_ms);
	relay_settle(relay, now_ms);
	return 0;
}

const struct address *relay_announced(const struct relay *relay, const struct address *address)
{
	return registration_announced(relay->registration, address);
}

int relay_hold(struct relay *relay, uint64_t migration, const char *vm,
        const struct address *address, uint64_t until_ms)
{
	return registration_barrier(relay->registration, migration, vm, address, until_ms);
}

void relay_let_go(struct relay *relay, uint64_t migration)
{
	registration_barrier_lift(relay->registration, migration);
}

int relay_event(struct relay *relay, const Tether__Event *event, uint64_t now_ms)
{
	size_t size = tether__event__get_packed_size(event);
	CLEANUP_FREE uint8_t *packed = malloc(size + 1);
	Tether__Event *copy;

	if (!packed)
		return -ENOMEM;
	tether__event__pack(event, packed);
	copy = tether__event__unpack(NULL, size, packed);
	return copy ? relay_event_take(relay, copy, now_ms) : -ENOMEM;
}

int relay_order_done(struct relay *relay, const Tether__Answer *answer, uint64_t now_ms)
{
	struct event_key key = answer_key(answer);
	struct open_event *open = relay_open_find(relay, &key);
	int err = open ? tally_take(open->tally, relay->name, "", false, answer) : -ENOENT;

	relay_settle(relay, now_ms);
	return err;
}
