/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "notifier/relay/relay_state.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "notifier/base/cleanup.h"
#include "notifier/wire/versions.h"

enum {
	AWAY_MS = 2000,
	HELLO_MS = 2000,
	MARGIN_LEAST_MS = 2,
	MARGIN_MOST_MS = 100,
	PROCESSES_DEFAULT = 4096,
	INTERESTS_DEFAULT = 4096,
	REQUESTS_DEFAULT = 1024,
	HOST_TIMES =
	        8, /* a host may have what so many of its VMs may: one of them never fills it */
};

static void interest_up(void *owner, const Tether__Interest *interest)
{
	struct relay *relay = owner;
	Tether__Frame frame = TETHER__FRAME__INIT;

	frame.body_case = TETHER__FRAME__BODY_INTEREST;
	frame.interest = (Tether__Interest *)interest;
	relay->outputs->parent_send(relay->owner, &frame);
}

static bool has_names(const Tether__QpRows *rows)
{
	for (size_t i = 0; rows && i < rows->n_real_lid && i < rows->n_local_lid; i++)
		if (is_gid_name(rows->real_lid[i]) || is_gid_name(rows->local_lid[i]))
			return true;
	return false;
}

/* It would connect to where the VM was. */
static void refuse_older(Tether__InterestAnswer *answer, Tether__Refusal **refusals)
{
	uint32_t request = answer->request;

	refusals[0]->reason = (char *)"older-protocol";
	refusals[0]->text =
	        (char *)"the VM there has no LID and has moved: only who speaks version 7 of the "
	                "protocol can be told where it is";
	tether__interest_answer__init(answer);
	answer->request = request;
	answer->outcome = TETHER__OUTCOME__OUTCOME_REFUSED;
	answer->refusals = refusals;
	answer->n_refusals = 1;
}

static void interest_down(void *owner, uint32_t member, const Tether__InterestAnswer *answer)
{
	struct relay *relay = owner;
	Tether__Frame frame = TETHER__FRAME__INIT;
	Tether__InterestAnswer said = *answer;
	Tether__Refusal refusal = TETHER__REFUSAL__INIT, *refusals[] = {&refusal};
	const struct child *child = children_by_member(&relay->children, member);

	if (answer->outcome == TETHER__OUTCOME__OUTCOME_REFUSED) {
		relay->counts.refused_interests++;
		relay->counts.foreign_partitions += answer_is_of_partition(answer);
	}
	if (!child || !child->connected)
		return;
	if (child_is_process(child))
		said.n_pkeys = 0; /* it checks nothing */
	if (child->version < NAMES_SINCE && has_names(answer->qps))
		refuse_older(&said, refusals);
	frame.body_case = TETHER__FRAME__BODY_INTEREST_ANSWER;
	frame.interest_answer = &said;
	relay_child_say(relay, child, &frame);
}

static const struct registration_outputs registration_outputs = {
        .up = interest_up,
        .down = interest_down,
        .pkeys = relay_pkeys_at,
        .may_talk = relay_may_ask,
        .may_announce = relay_may_announce,
};

static void settings_complete(struct relay_settings *settings)
{
	bool has_hosts = settings->role == TETHER__ROLE__ROLE_ROOT ||
	                 settings->role == TETHER__ROLE__ROLE_RELAY;
	unsigned interests_times = has_hosts ? VM_INTERESTS_TIMES * HOST_TIMES : 1;
	unsigned requests_times = has_hosts ? VM_REQUESTS_TIMES * HOST_TIMES : 1;

	if (!settings->away_ms)
		settings->away_ms = AWAY_MS;
	if (!settings->hello_ms)
		settings->hello_ms = HELLO_MS;
	if (!settings->children_max)
		settings->children_max = CHILDREN_MOST;
	if (!settings->processes_max)
		settings->processes_max = PROCESSES_DEFAULT;
	if (!settings->interests_max)
		settings->interests_max = INTERESTS_DEFAULT * interests_times;
	if (!settings->requests_max)
		settings->requests_max = REQUESTS_DEFAULT * requests_times;
}

struct relay *relay_create(
        const struct relay_settings *settings, const struct relay_outputs *outputs, void *owner)
{
	struct relay *relay = calloc(1, sizeof(*relay));

	if (!relay)
		return NULL;
	relay->settings = *settings;
	settings_complete(&relay->settings);
	relay->outputs = outputs;
	relay->owner = owner;
	relay->epoch = settings->epoch;
	children_begin(&relay->children);
	relay->silence_ms = UINT64_MAX;
	relay->name = strdup(settings->name);
	relay->settings.name = relay->name;
	relay->registration = registration_create(relay->settings.interests_max,
	        relay->settings.requests_max, &registration_outputs, relay);
	relay->places = vm_places_create();
	if (relay->name && relay->registration && relay->places)
		return relay;
	relay_destroy(relay);
	return NULL;
}

void relay_open_destroy(struct open_event *open)
{
	tally_destroy(open->tally);
	tally_destroy(open->before);
	free(open->of_child.names);
	free(open->strangers.pids);
	roster_release(open->roster);
	pieces_free(&open->pieces);
	free(open);
}

void relay_destroy(struct relay *relay)
{
	if (!relay)
		return;
	while (relay->open) {
		struct open_event *next = relay->open->next;

		relay_open_destroy(relay->open);
		relay->open = next;
	}
	while (relay->answered) {
		struct answered *next = relay->answered->next;

		free(relay->answered);
		relay->answered = next;
	}
	while (relay->vms) {
		struct vm_state *next = relay->vms->next;

		relay_absence_end(relay->vms);
		relay_missed_forget(relay->vms);
		relay_numbers_clear(relay->vms);
		free(relay->vms);
		relay->vms = next;
	}
	relay_ended_clear(relay);
	rosters_clear(&relay->rosters);
	children_clear(&relay->children);
	registration_destroy(relay->registration);
	vm_places_destroy(relay->places);
	free(relay->pkeys_at.pkeys);
	free(relay->name);
	free(relay);
}

struct vm_state *relay_vm_find(const struct relay *relay, const char *name)
{
	struct vm_state *vm = relay->vms;

	while (vm && strcmp(vm->name, name))
		vm = vm->next;
	return vm;
}

struct vm_state *relay_vm_make(struct relay *relay, const char *name)
{
	struct vm_state *vm = relay_vm_find(relay, name);

	if (vm)
		return vm;
	vm = calloc(1, sizeof(*vm) + strlen(name) + 1);
	if (!vm)
		return NULL;
	strcpy(vm->name, name);
	vm->next = relay->vms;
	relay->vms = vm;
	return vm;
}

int relay_vm_here(struct relay *relay, const char *name)
{
	struct vm_state *vm = relay_vm_make(relay, name);

	if (!vm)
		return -ENOMEM;
	vm->is_here = true;
	return 0;
}

uint32_t relay_margin_ms(uint32_t deadline_ms)
{
	uint32_t margin = deadline_ms / 20;

	if (margin > MARGIN_MOST_MS)
		margin = MARGIN_MOST_MS;
	return margin < MARGIN_LEAST_MS ? MARGIN_LEAST_MS : margin;
}

bool relay_epoch_raise(struct relay *relay, uint64_t epoch)
{
	if (epoch <= relay->epoch)
		return true;
	if (relay->outputs->epoch_save && relay->outputs->epoch_save(relay->owner, epoch))
		return false;
	relay->epoch = epoch;
	return true;
}

/*
 * A guest's parent is whichever host it is on. That one has seen less than the host before is no
 * sign of a root that was replaced, which is a host's to leave.
 */
static bool is_stale(const struct relay *relay, const Tether__HelloAnswer *answer)
{
	return answer->epoch < relay->epoch && relay->settings.role != TETHER__ROLE__ROLE_GUEST;
}

static int hello_answer_take(
        struct relay *relay, const Tether__HelloAnswer *answer, uint64_t now_ms)
{
	if (answer->outcome != TETHER__OUTCOME__OUTCOME_DONE)
		return -EACCES;
	if (is_stale(relay, answer))
		return -ESTALE;
	if (!relay_epoch_raise(relay, answer->epoch))
		return -EIO;
	relay->parent_is_up = true;
	if (!relay->welcome_ms)
		relay->welcome_ms = now_ms;
	relay->parent_version = versions_chosen(answer->version);
	relay_absence_learn(relay, answer->released, now_ms);
	relay_hosts_say(relay);
	registration_parent_up(relay->registration);
	relay_hosts_all(relay);
	return 0;
}

void relay_times_set(struct relay *relay, unsigned heartbeat_ms, unsigned away_ms)
{
	if (heartbeat_ms)
		relay->settings.heartbeat_ms = heartbeat_ms;
	if (away_ms)
		relay->settings.away_ms = away_ms;
	relay->silence_is_stale = true;
}

int relay_parent_frame(struct relay *relay, const Tether__Frame *frame, uint64_t now_ms)
{
	int err = 0;

	switch (frame->body_case) {
	case TETHER__FRAME__BODY_HELLO_ANSWER:
		return hello_answer_take(relay, frame->hello_answer, now_ms);
	case TETHER__FRAME__BODY_EVENT:
		return relay_event(relay, frame->event, now_ms);
	case TETHER__FRAME__BODY_INTEREST_ANSWER:
		registration_answer(relay->registration, frame->interest_answer);
		relay_settle(relay, now_ms);
		return err;
	case TETHER__FRAME__BODY_BEHIND:
		relay_host_refused(relay, frame->behind);
		return 0;
	case TETHER__FRAME__BODY_WHEREABOUTS:
		return relay_whereabouts(relay, frame->whereabouts, now_ms);
	case TETHER__FRAME__BODY_PARTING:
		relay_parting_hand(relay, frame->parting);
		return 0;
	case TETHER__FRAME__BODY_REPORT:
		if (relay->outputs->report)
			relay->outputs->report(relay->owner, frame->report->request);
		relay_reports_ask(relay, frame->report->request);
		return 0;
	default:
		return 0;
	}
}

uint32_t relay_parent_version(const struct relay *relay)
{
	return relay->parent_version;
}

void relay_parent_lost(struct relay *relay)
{
	relay->parent_is_up = false;
	registration_parent_lost(relay->registration);
}

const struct address *relay_announced(const struct relay *relay, const struct address *address)
{
	return registration_announced(relay->registration, address);
}

const struct gid_book *relay_names(const struct relay *relay)
{
	return registration_names(relay->registration);
}

int relay_hold(struct relay *relay, uint64_t migration, const char *vm,
        const struct address *address, uint64_t until_ms)
{
	return registration_barrier(relay->registration, migration, vm, address, until_ms);
}

void relay_let_go(struct relay *relay, uint64_t migration)
{
	relay_barrier_lift(relay, migration);
}

void relay_barrier_lift(struct relay *relay, uint64_t migration)
{
	relay->silence_is_stale = true;
	registration_barrier_lift(relay->registration, migration);
}

int relay_hello_fill(struct relay *relay, Tether__Hello *hello)
{
	struct address *addresses;
	Tether__Address *wire;
	size_t count;

	if (registration_hello_up(relay->registration, &addresses, &count))
		return -ENOMEM;
	/* One block: the messages, then the bytes that they point to. */
	wire = calloc(1, count * (sizeof(*wire) + sizeof(*addresses)) + 1);
	hello->addresses = calloc(count + 1, sizeof(*hello->addresses));
	if (!wire || !hello->addresses) {
		free(wire);
		free(hello->addresses);
		free(addresses);
		return -ENOMEM;
	}
	if (count)
		memcpy(wire + count, addresses, count * sizeof(*addresses));
	free(addresses);
	addresses = (struct address *)(wire + count);
	for (size_t i = 0; i < count; i++) {
		address_encode(&addresses[i], &wire[i]);
		address_unname(&wire[i]); /* it is not known yet what the parent speaks */
		if (addresses[i].vm)
			wire[i].vm = (char *)addresses[i].vm;
		hello->addresses[i] = &wire[i];
	}
	hello->addresses[count] = wire;
	hello->n_addresses = count;
	hello->epoch = relay->epoch;
	hello->migration = relay->last.migration;
	hello->step = relay->last.step;
	hello->sequence = relay->last.sequence;
	hello->open = relay->begun;
	hello->n_open = relay->begun_count;
	return 0;
}

void relay_hello_clear(Tether__Hello *hello)
{
	if (hello->addresses)
		free(hello->addresses[hello->n_addresses]);
	free(hello->addresses);
	hello->addresses = NULL;
	hello->n_addresses = 0;
	hello->open = NULL;
	hello->n_open = 0;
}

static uint64_t min_ms(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* The child whose silence ends first, at *@until; UINT64_MAX: nobody is silent. */
static struct child *child_until(const struct relay *relay, uint64_t *until)
{
	struct child *silent = TAILQ_FIRST(&relay->children.silent);
	struct child *away = TAILQ_FIRST(&relay->children.away);
	uint64_t until_hello = silent ? silent->since_ms + relay->settings.hello_ms : UINT64_MAX;

	*until = until_hello;
	/* While a VM moves, a lost link is no reason to forget who is concerned. */
	if (!away || registration_has_barrier(relay->registration))
		return silent;
	*until = min_ms(until_hello, away->since_ms + relay->settings.away_ms);
	return *until < until_hello ? away : silent;
}

/* Asked after each frame of each child: all of them are looked through when there is a reason. */
static uint64_t silence_until(struct relay *relay)
{
	if (!relay->silence_is_stale)
		return relay->silence_ms;
	relay->silence_is_stale = false;
	relay->silence_ms = relay_hosts_next(relay);
	return relay->silence_ms;
}

/* What has passed has been looked at. */
static uint64_t ahead(const struct relay *relay, uint64_t until_ms)
{
	return until_ms > relay->settled_ms ? until_ms : UINT64_MAX;
}

int64_t relay_next_ms(struct relay *relay, uint64_t now_ms)
{
	uint64_t next = min_ms(registration_next(relay->registration), silence_until(relay));
	uint64_t until;

	child_until(relay, &until);
	next = min_ms(next, until);
	for (const struct open_event *open = relay->open; open; open = open->next)
		next = min_ms(min_ms(next, open->due_ms),
		        min_ms(ahead(relay, relay_holders_next(relay, open)),
		                ahead(relay, relay_guest_next(relay, open))));
	if (next == UINT64_MAX)
		return -1;
	return next > now_ms ? (int64_t)(next - now_ms) : 0;
}

static struct child *child_overdue(const struct relay *relay, uint64_t now_ms)
{
	uint64_t until;
	struct child *child = child_until(relay, &until);

	return until <= now_ms ? child : NULL;
}

void relay_tick(struct relay *relay, uint64_t now_ms)
{
	struct child *child;

	relay->silence_is_stale = true;
	relay_settle(relay, now_ms);
	registration_tick(relay->registration, now_ms);
	relay_hosts_tick(relay, now_ms);
	while ((child = child_overdue(relay, now_ms))) {
		if (child->connected) {
			relay->counts.silent_links++;
			relay->outputs->child_close(relay->owner, child->link, "no HELLO in time");
		}
		relay_child_forget(relay, child);
	}
}

struct relay_counts relay_counts(const struct relay *relay)
{
	struct relay_counts counts = relay->counts;

	counts.crowded_interests = registration_crowded(relay->registration);
	return counts;
}
