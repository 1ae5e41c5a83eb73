/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "notifier/relay/relay_state.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "notifier/wire/message.h"

enum {
	DEADLINE_MS = 5000, /* of an event that names none */
	OVERALL_MS = 30000, /* of a migration that does not say what is left in all */
	KEPT_BYTES = 1024,  /* of an event without its names */
};

struct open_event *relay_open_find(const struct relay *relay, const struct event_key *key)
{
	struct open_event *open = relay->open;

	while (open && !event_key_equal(*tally_key(open->tally), *key))
		open = open->next;
	return open;
}

static bool order_has_taker(const struct relay *relay, const Tether__Event *event)
{
	/* Who is asked between the two has heard of that host, or will: it waits for it. */
	return !event->order || relay_order_is_ours(relay, event) ||
	       relay->settings.role == TETHER__ROLE__ROLE_RELAY ||
	       children_by_host(&relay->children, event->order->host, NULL);
}

static void vm_takes(const struct relay *relay, struct vm_state *vm, const Tether__Event *event)
{
	if (event->epoch > vm->epoch)
		vm->order_sequence = 0;
	if (relay_order_is_ours(relay, event))
		vm->order_sequence = event->sequence;
	vm->epoch = event->epoch;
	/* The end of one before, which somebody had missed, may come in the middle of this. */
	if (!step_ends_migration(event->step))
		vm->migration = event->migration;
}

/* Refused: true, and answered so. */
static bool event_is_refused(struct relay *relay, const Tether__Event *event)
{
	struct vm_state *vm = *event->vm ? relay_vm_make(relay, event->vm) : NULL;

	if (vm && event->epoch < vm->epoch) {
		relay->counts.old_epochs++;
		relay_refuse_up(relay, event, "old-epoch", "a newer migration of this VM is known");
		return true;
	}
	/* Steps overtake each other harmlessly; an order that was given up for a later one must not
	 * be carried out after that. */
	if (vm && event->epoch == vm->epoch && relay_order_is_ours(relay, event) &&
	        event->sequence < vm->order_sequence) {
		relay->counts.old_epochs++;
		relay_refuse_up(relay, event, "old-order", "a later order for this VM is known");
		return true;
	}
	if (!relay_epoch_raise(relay, event->epoch)) {
		relay_refuse_up(relay, event, "epoch-not-saved", "the epoch could not be stored");
		return true;
	}
	if (!order_has_taker(relay, event)) {
		relay_refuse_up(
		        relay, event, "no-such-host", "the host that is ordered is not here");
		return true;
	}
	if (vm)
		vm_takes(relay, vm, event);
	return false;
}

/* Stands before `who`; a guest's processes have the VM's name already. */
static const char *answers_prefix(const struct relay *relay)
{
	return relay->settings.role == TETHER__ROLE__ROLE_GUEST ? "" : relay->name;
}

/* A copy of @event, and the roster of those whom it names. -ENOMEM */
static int event_keep(struct relay *relay, struct open_event *open, const Tether__Event *said)
{
	Tether__Event bare = *said, *event;

	if (said->n_expected) {
		open->roster = rosters_get(&relay->rosters, said->expected, said->n_expected);
		if (!open->roster)
			return -ENOMEM;
	}
	bare.n_expected = 0;
	/* News may stay open for long, and of many VMs: a whole piece would be too much. */
	if (pieces_begin(&open->pieces, KEPT_BYTES + 2 * tether__event__get_packed_size(&bare)))
		return -ENOMEM;
	event = message_copy_in_pieces(&bare.base, &open->pieces);
	if (!event)
		return -ENOMEM;
	if (open->roster) {
		event->expected = roster_texts(open->roster);
		event->n_expected = roster_count(open->roster);
	}
	open->event = event;
	return 0;
}

/* Keeps a copy of @event. NULL: no memory. */
static struct open_event *open_create(
        struct relay *relay, const Tether__Event *event, uint64_t now_ms)
{
	struct open_event *open = calloc(1, sizeof(*open));
	struct event_key key = event_key(event);
	uint32_t deadline_ms = event->deadline_ms ? event->deadline_ms : DEADLINE_MS;
	uint32_t margin_ms = relay_margin_ms(deadline_ms);

	if (!open)
		return NULL;
	if (!event_keep(relay, open, event))
		open->tally = tally_create(&key, answers_prefix(relay), open->roster);
	if (!open->tally) {
		relay_open_destroy(open);
		return NULL;
	}
	open->due_ms = now_ms + (deadline_ms > margin_ms ? deadline_ms - margin_ms : 1);
	open->children_ms =
	        now_ms + (deadline_ms > 2 * margin_ms ? deadline_ms - 2 * margin_ms : 1);
	open->overall_ms = event->overall_ms ? now_ms + event->overall_ms : 0;
	return open;
}

/* Who came so late that the others have no time to answer anew costs himself alone. */
static void before_keep(struct open_event *open)
{
	struct tally *fewer = open->tally;

	if (!open->before || tally_told(open->tally) >= tally_told(open->before)) {
		fewer = open->before;
		open->before = open->tally;
	}
	open->tally = NULL;
	tally_destroy(fewer);
}

void relay_open_renew(struct relay *relay, struct open_event *open, uint64_t now_ms)
{
	const Tether__Event *event = open->event;
	struct event_key key = event_key(event);
	struct tally *tally = tally_create(&key, answers_prefix(relay), open->roster);

	if (!tally)
		return; /* who is not told of will be missing */
	before_keep(open);
	open->tally = tally;
	relay_hand_out(relay, open, now_ms);
}

void relay_open_close(struct open_event *open)
{
	if (tally_complete(open->tally))
		return;
	before_keep(open);
	open->tally = open->before;
	open->before = NULL;
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
	struct address address, known = {0};

	if (!(event->to_vm || event->to_peers) || step_ends_migration(event->step) ||
	        address_decode(event->address, &address)) {
		registration_barrier_extend(relay->registration, event->migration, until_ms);
		return;
	}
	registration_barrier(relay->registration, event->migration, event->vm, &address, until_ms);
	for (size_t i = 0; i < event->n_known_lids; i++) {
		known.lid = event->known_lids[i];
		registration_barrier(
		        relay->registration, event->migration, event->vm, &known, until_ms);
	}
}

static void open_append(struct relay *relay, struct open_event *open)
{
	struct open_event **at = &relay->open;

	while (*at)
		at = &(*at)->next;
	*at = open;
}

/* Whoever knows of it is told its end. An order of no migration has none. */
static bool begins_migration(const Tether__Event *event)
{
	if (event->order && (event->order->alone || !event->migration))
		return false;
	return !step_ends_migration(event->step) && !step_is_news(event->step);
}

/* Where more are open than one tether-smd has under way, the oldest are forgotten. */
static void migration_begins(struct relay *relay, const struct event_key *key)
{
	relay->last = *key;
	for (size_t i = 0; i < relay->begun_count; i++)
		if (relay->begun[i] == key->migration)
			return;
	if (relay->begun_count == RELAY_BEGUN_MAX)
		memmove(relay->begun, relay->begun + 1,
		        --relay->begun_count * sizeof(*relay->begun));
	relay->begun[relay->begun_count++] = key->migration;
}

int relay_event(struct relay *relay, const Tether__Event *event, uint64_t now_ms)
{
	struct event_key key = event_key(event);
	struct open_event *open;
	bool is_answered;

	if (*event->host) {
		relay_tell_host(relay, event->host, event);
		return 0;
	}
	relay->counts.events++;
	relay_narrower_forget(relay, event);
	is_answered = relay_was_answered(relay, &key);
	if (is_answered || relay_open_find(relay, &key)) {
		relay->counts.repeated_events++;
		if (is_answered)
			relay_answer_again(relay, &key);
		return 0;
	}
	if (event_is_refused(relay, event) || relay_moved_is_known(relay, event))
		return 0;
	open = open_create(relay, event, now_ms);
	if (!open)
		return -ENOMEM;
	event = open->event;
	if (begins_migration(event))
		migration_begins(relay, &key);
	if (!step_is_news(key.step))
		barrier_set(relay, open, now_ms);
	relay_absence_note(relay, event, migration_until_ms(open, now_ms));
	relay_numbers_note(relay, event);
	relay_moved_say(relay, event);
	relay_hand_out(relay, open, now_ms);
	open_append(relay, open);
	relay_order_start(relay, open, now_ms);
	relay_settle(relay, now_ms);
	return 0;
}

int relay_order_done(struct relay *relay, const Tether__Answer *answer, uint64_t now_ms)
{
	struct event_key key = answer_key(answer);
	struct open_event *open = relay_open_find(relay, &key);
	int err = open ? tally_take(open->tally, relay->name, "", false, answer) : -ENOENT;

	relay_settle(relay, now_ms);
	return err;
}
