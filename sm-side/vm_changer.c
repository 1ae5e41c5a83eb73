/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "sm-side/vm_changer.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>

#include "notifier/base/die_point.h"
#include "notifier/base/log.h"
#include "notifier/base/monotonic.h"
#include "sm-side/conductor_state.h"
#include "sm-side/evacuation_room.h"
#include "sm-side/vm_talk.h"

enum {
	AT_A_TIME = 4, /* each has a link to the SM, of which the plugin takes 16 */
	RETRY_MS = 20,
	RETRY_LOCATE_MS = 50,
	RETRY_FAILED_MS = 200, /* whoever could not is not asked again at once */
	RETRY_HOST_MS = 200,   /* a driver is a process: it is not started again at once */
};

/* One that is being driven. */
struct job {
	struct job *next;
	struct vm_changer *changer;
	struct vm_change *change; /* NULL: it has ended */
	struct sm_link *sm;       /* of its own, since the lease is a link's; from its first use */
	struct event *timer, *retry;
	/* What is asked now and not answered. */
	uint32_t host_sequence;
	uint64_t sm_id;
	bool host_is_awaited; /* to connect, before it is asked */
};

struct vm_changer {
	struct conductor *conductor;
	struct vm_changes *changes;
	const char *sm_socket;
	struct event *reap;
	struct job *jobs;
};

#define EACH_JOB(changer, job)                                                                     \
	for (struct job *job = (changer)->jobs; job; job = job->next)                              \
		if (job->change)

static void perform(struct job *job, struct vm_change_output output);

static void feed(struct job *job, enum change_event event)
{
	perform(job, vm_change_event(job->change, event, monotonic_us()));
}

static void answered(struct job *job, unsigned party, bool done)
{
	perform(job, vm_change_answered(job->change, party, done, monotonic_us()));
}

static void timer_arm(struct job *job)
{
	uint64_t due = job->change ? vm_change_next_us(job->change) : 0, now = monotonic_us();
	uint64_t left = due > now ? due - now : 0;
	struct timeval pause = {(time_t)(left / US_PER_S), (suseconds_t)(left % US_PER_S)};

	if (!due)
		evtimer_del(job->timer);
	else
		evtimer_add(job->timer, &pause);
}

/* ---- the journal ---- */

static int append(
        struct vm_changer *changer, const struct record *records, size_t count, bool durable)
{
	int err = journal_append(changer->conductor->journal, records, count, durable);

	if (err)
		log_error("journal", "a record could not be written: %s", strerror(-err));
	return err;
}

static int record_state(struct job *job, bool durable)
{
	struct vm_change *change = job->change;
	struct record record = vm_change_record(change);
	int err;

	die_point(DIE_VM_RECORD, change_state_name(change->state));
	err = append(job->changer, &record, 1, durable);
	change->end_is_owed = err && vm_change_ended(change);
	die_point(DIE_VM_RECORDED, change_state_name(change->state));
	return err;
}

int vm_changer_record_ends(struct vm_changer *changer)
{
	int err = 0;

	for (struct vm_change *c = changer->changes->newest; c && !err; c = c->older) {
		struct record record = vm_change_record(c);

		if (!c->end_is_owed)
			continue;
		err = append(changer, &record, 1, true);
		c->end_is_owed = err;
	}
	return err;
}

/* Its epoch with it: a successor must not use that again. */
static int record_intent(struct vm_changer *changer, const struct vm_change_intent *intent)
{
	struct conductor *c = changer->conductor;
	struct record records[] = {
	        {RECORD_epoch, {.epoch = {intent->epoch, conductor_wall_us()}}},
	        {RECORD_change, {.change = *intent}},
	};
	int err = conductor_record_ends(c);

	if (!err)
		err = append(changer, records, 2, true);
	if (!err)
		c->ledger->epoch = intent->epoch;
	die_point(DIE_VM_INTENT, "written");
	return err;
}

/* ---- asking ---- */

static bool is_host_connected(const struct job *job)
{
	return inventory_is_connected(
	        root_inventory(job->changer->conductor->root), job->change->intent.place.host);
}

static bool has_room(const struct vm_changer *changer)
{
	return vm_changes_at_work(changer->changes) < AT_A_TIME;
}

/* Neither lease nor link to the SM are kept from others meanwhile. */
static void await_host(struct job *job)
{
	job->host_is_awaited = true;
	sm_link_destroy(job->sm);
	job->sm = NULL;
}

/* At first it is let alone: who is connected has not answered. */
static void await_looked(struct job *job)
{
	if (job->host_is_awaited && is_host_connected(job) && has_room(job->changer))
		answered(job, PARTY_HOST, true);
	else
		await_host(job);
}

static void host_ask(struct job *job)
{
	struct vm_change *change = job->change;
	struct order order;

	if (change_state_action(change->state) == CHANGE_ACTION_AWAIT) {
		await_looked(job);
		return;
	}
	job->host_sequence = 0;
	job->host_is_awaited = !is_host_connected(job);
	if (job->host_is_awaited) {
		log_info("vm", "%" PRIu64 " waits for the agent of %s", change->intent.id,
		        change->intent.place.host);
		return;
	}
	vm_order_fill(&order, change, monotonic_us());
	job->host_sequence = change->sequence;
	if (!root_send(job->changer->conductor->root, &order.event))
		return;
	vm_change_find(change, "tether-smd", "no-memory", "an order could not be sent");
	answered(job, PARTY_HOST, false);
}

extern const struct sm_link_callbacks job_sm_callbacks;

static int sm_link_have(struct job *job)
{
	struct vm_changer *changer = job->changer;

	if (!job->sm)
		job->sm = sm_link_create(changer->conductor->base, changer->sm_socket,
		        changer->conductor->deadlines->reconnect_link_ms, &job_sm_callbacks, job);
	return job->sm ? 0 : -errno;
}

/* Others' time under the lease is theirs to say. */
static void time_under_lease(struct job *job)
{
	if (conductor_lease_is_taken(job->changer->conductor))
		vm_change_time_stop(job->change);
	else
		vm_change_time_run(job->change, monotonic_us());
	timer_arm(job);
}

/* For the lease, or for the sweep that comes when nobody has it any more. */
static bool waits_for_lease(const struct job *job)
{
	enum change_action action = change_state_action(job->change->state);

	return job->change->awaited & PARTY_SM &&
	       (action == CHANGE_ACTION_LEASE || action == CHANGE_ACTION_LOCATE ||
	               action == CHANGE_ACTION_LOCATE_GONE);
}

static void sm_ask(struct job *job)
{
	struct json_object *request;
	int err = sm_link_have(job);

	job->sm_id = 0;
	if (waits_for_lease(job))
		time_under_lease(job);
	request = err ? NULL : vm_talk_request(job->change);
	if (!err)
		err = request ? sm_link_ask(job->sm, request, &job->sm_id) : -ENOMEM;
	if (err)
		feed(job, CHANGE_EVENT_SM_LOST);
}

/* An answer that is there at once may have led to another state already. */
static void ask(struct job *job, unsigned parties)
{
	struct vm_change *change = job->change;
	enum change_state state = change->state;

	evtimer_del(job->retry);
	die_point(DIE_VM_ASK, change_state_name(state));
	if (parties & PARTY_HOST)
		host_ask(job);
	if (parties & PARTY_SM && job->change && change->state == state)
		sm_ask(job);
	if (job->change && change->state == state)
		die_point(DIE_VM_ASKED, change_state_name(state));
}

/* ---- performing ---- */

/* Whoever has the LID next is not to be taken for this one. */
static void numbers_let_go(struct job *job)
{
	static const Tether__QpRows no_qps = TETHER__QP_ROWS__INIT;
	static const Tether__KeyRows no_keys = TETHER__KEY_ROWS__INIT;
	struct conductor *c = job->changer->conductor;
	const struct migration *last = ledger_latest_of(c->ledger, job->change->intent.vm);

	if (last && job->change->state == CHANGE_ABSENT)
		root_numbers_set(c->root, &last->intent.address, last->intent.shared_port, &no_qps,
		        &no_keys);
}

static void finish(struct job *job)
{
	struct conductor *c = job->changer->conductor;
	struct timeval now = {0};

	numbers_let_go(job);
	if (job->change->end_is_owed && !c->closing)
		evtimer_add(c->next, &now);
	job->change = NULL;
	event_active(job->changer->reap, EV_TIMEOUT, 0);
}

static void log_change(const struct vm_change *change)
{
	log_info("vm", "%" PRIu64 "/%" PRIu64 " %s %s on %s (%s): %s: %s", change->intent.id,
	        change->intent.epoch, change->intent.destroys ? "destroy" : "create",
	        change->intent.vm, change->intent.place.host, change->intent.place.slot,
	        change_state_name(change->state), change_state_meaning(change->state));
	if (vm_change_ended(change) && *change->reason)
		log_warn("vm", "%" PRIu64 " %s: %s: %s", change->intent.id, change->who,
		        change->reason, change->text);
}

/* The record first: what is announced must be known to a successor. */
static bool record_entered(struct job *job, struct vm_change_output *output)
{
	struct vm_change_output turned;

	if (!record_state(job, output->durable))
		return true;
	turned = vm_change_event(job->change, CHANGE_EVENT_JOURNAL_FAILED, monotonic_us());
	if (!turned.entered)
		return true;
	vm_change_find(
	        job->change, "tether-smd", "journal-failed", "a record could not be written");
	*output = turned;
	return false;
}

static void forget_asked(struct job *job)
{
	job->host_sequence = 0;
	job->sm_id = 0;
	job->host_is_awaited = false;
	evtimer_del(job->retry);
}

static unsigned retry_ms(const struct job *job, bool failed)
{
	enum change_action action = change_state_action(job->change->state);

	if (change_action_parties(action) & PARTY_HOST)
		return RETRY_HOST_MS;
	if (failed)
		return RETRY_FAILED_MS;
	return action == CHANGE_ACTION_LOCATE || action == CHANGE_ACTION_LOCATE_GONE
	               ? RETRY_LOCATE_MS
	               : RETRY_MS;
}

static void perform(struct job *job, struct vm_change_output output)
{
	struct conductor *c = job->changer->conductor;
	struct timeval pause = {0, 0};
	bool is_news = output.entered;

	while (output.entered) {
		forget_asked(job);
		log_change(job->change);
		if (record_entered(job, &output))
			break;
	}
	pause.tv_usec = (suseconds_t)retry_ms(job, output.failed) * 1000;
	if (output.retry)
		evtimer_add(job->retry, &pause);
	else if (output.action == CHANGE_ACTION_FINISH)
		finish(job);
	else if (output.action != CHANGE_NOTHING)
		ask(job, output.parties);
	timer_arm(job);
	if (!is_news)
		return;
	turns_may_have_come(c);
	c->changed(c->owner);
}

static void timer_due(evutil_socket_t unused, short what, void *context)
{
	struct job *job = context;

	if (job->change)
		perform(job, vm_change_tick(job->change, monotonic_us()));
}

static void retry_due(evutil_socket_t unused, short what, void *context)
{
	struct job *job = context;

	if (job->change)
		ask(job, job->change->awaited);
}

/* ---- what comes back ---- */

static void host_answered(struct job *job, const Tether__Answer *answer)
{
	struct vm_change *change = job->change;
	bool done = answer->outcome == TETHER__OUTCOME__OUTCOME_DONE;

	job->host_sequence = 0;
	root_result_take(job->changer->conductor->root, change->intent.place.host, answer->result);
	if (answer->n_refusals)
		vm_change_find(change, answer->refusals[0]->who, answer->refusals[0]->reason,
		        answer->refusals[0]->text);
	else if (!done)
		vm_change_find(change, change->intent.place.host, "order-not-done",
		        change_state_meaning(change->state));
	answered(job, PARTY_HOST, done);
}

bool vm_changer_answered(struct vm_changer *changer, const Tether__Answer *answer)
{
	EACH_JOB(changer, job)
	{
		if (answer->migration || answer->epoch != job->change->intent.epoch)
			continue;
		if (job->host_sequence && answer->sequence == job->host_sequence)
			host_answered(job, answer);
		return true;
	}
	return false;
}

void vm_changer_host_up(struct vm_changer *changer, const char *host)
{
	EACH_JOB(changer, job)
	if (job->host_is_awaited && !strcmp(job->change->intent.place.host, host))
		host_ask(job);
}

static void sm_answered(void *owner, uint64_t id, struct json_object *answer)
{
	struct job *job = owner;
	enum change_event event;

	if (!job->change || !job->sm_id || id != job->sm_id)
		return;
	job->sm_id = 0;
	event = vm_talk_take(job->change, answer);
	if (event == CHANGE_EVENT_DONE || event == CHANGE_EVENT_FAILED)
		answered(job, PARTY_SM, event == CHANGE_EVENT_DONE);
	else
		feed(job, event);
}

static bool sm_is_awaited(const struct job *job)
{
	return job->change && job->change->awaited & PARTY_SM;
}

static void sm_down(void *owner, const char *why)
{
	struct job *job = owner;

	job->sm_id = 0;
	if (sm_is_awaited(job))
		feed(job, CHANGE_EVENT_SM_LOST);
}

static void sm_up(void *owner)
{
	struct job *job = owner;

	if (sm_is_awaited(job))
		feed(job, CHANGE_EVENT_SM_BACK);
}

const struct sm_link_callbacks job_sm_callbacks = {
        .up = sm_up,
        .down = sm_down,
        .answer = sm_answered,
};

/* ---- the lease ---- */

bool vm_changer_is_under_lease(const struct vm_changer *changer)
{
	EACH_JOB(changer, job)
	if (vm_change_is_under_lease(job->change))
		return true;
	return false;
}

bool vm_changer_waits_for_lease(const struct vm_changer *changer)
{
	EACH_JOB(changer, job)
	if (waits_for_lease(job))
		return true;
	return false;
}

void vm_changer_lease_look(struct vm_changer *changer)
{
	EACH_JOB(changer, job)
	if (waits_for_lease(job))
		time_under_lease(job);
}

/* ---- jobs ---- */

static void job_destroy(struct job *job)
{
	sm_link_destroy(job->sm);
	if (job->timer)
		event_free(job->timer);
	if (job->retry)
		event_free(job->retry);
	free(job);
}

static struct job *job_create(struct vm_changer *changer)
{
	struct job *job = calloc(1, sizeof(*job));

	if (!job)
		return NULL;
	job->changer = changer;
	job->timer = evtimer_new(changer->conductor->base, timer_due, job);
	job->retry = evtimer_new(changer->conductor->base, retry_due, job);
	if (job->timer && job->retry)
		return job;
	job_destroy(job);
	return NULL;
}

static void job_add(struct job *job, struct vm_change *change)
{
	job->change = change;
	job->next = job->changer->jobs;
	job->changer->jobs = job;
}

/* From the loop: a job may end inside of its own callback. */
static void reap_due(evutil_socket_t unused, short what, void *context)
{
	struct vm_changer *changer = context;
	struct job **at = &changer->jobs, *job;

	while ((job = *at)) {
		if (job->change) {
			at = &job->next;
			continue;
		}
		*at = job->next;
		job_destroy(job);
	}
}

/* ---- asked from outside ---- */

static struct admission may_begin(const struct vm_changer *changer)
{
	if (changer->conductor->closing)
		return admission_refuse("shutting-down", "tether-smd has been told to end; ask "
		                                         "again when it has been started again");
	if (has_room(changer))
		return (struct admission){0};
	return admission_refuse("busy",
	        "%d VMs are being created or destroyed, and no more may be at a time; ask again "
	        "when one has come or gone",
	        AT_A_TIME);
}

static struct admission no_memory(void)
{
	return admission_refuse("no-memory", "tether-smd is out of memory");
}

static struct admission begin(
        struct vm_changer *changer, const struct vm_change_intent *intent, uint64_t *id)
{
	struct job *job = job_create(changer);
	struct vm_change *change;

	if (!job)
		return no_memory();
	if (record_intent(changer, intent)) {
		job_destroy(job);
		return admission_refuse("journal-failed",
		        "the intent could not be written to the journal; is its disk full?");
	}
	change = vm_changes_add(changer->changes, intent);
	if (!change) {
		job_destroy(job);
		return no_memory();
	}
	job_add(job, change);
	*id = intent->id;
	perform(job, vm_change_start(change, monotonic_us()));
	return (struct admission){0};
}

static struct vm_change_intent intent_make(const struct vm_changer *changer)
{
	return (struct vm_change_intent){.id = changer->changes->last_id + 1,
	        .epoch = changer->conductor->ledger->epoch + 1,
	        .fabric = changer->sm_socket,
	        .asked_wall_us = conductor_wall_us()};
}

struct admission vm_changer_begin_create(
        struct vm_changer *changer, const struct vm_wish *wish, uint64_t *id)
{
	struct vm_change_intent intent = intent_make(changer);
	struct admission admission = may_begin(changer);
	struct under_way under_way;

	if (admission.reason)
		return admission;
	if (evacuation_empties(changer->conductor->evacuations, wish->host))
		return admission_refuse("host-evacuating",
		        "%s is being evacuated and takes nobody; see /v1/evacuations", wish->host);
	if (!conductor_under_way(changer->conductor, &under_way))
		return no_memory();
	admission = vm_admission_create(root_inventory(changer->conductor->root), &under_way,
	        changer->conductor->ledger, wish, &intent);
	free(under_way.migrations);
	return admission.reason ? admission : begin(changer, &intent, id);
}

struct admission vm_changer_begin_destroy(struct vm_changer *changer, const char *vm, uint64_t *id)
{
	struct conductor *c = changer->conductor;
	struct vm_change_intent intent = intent_make(changer);
	struct admission admission = may_begin(changer);
	struct under_way under_way;

	if (admission.reason)
		return admission;
	if (!conductor_under_way(c, &under_way))
		return no_memory();
	admission =
	        vm_admission_destroy(root_inventory(c->root), &under_way, c->ledger, vm, &intent);
	free(under_way.migrations);
	return admission.reason ? admission : begin(changer, &intent, id);
}

void vm_changer_close(struct vm_changer *changer)
{
	EACH_JOB(changer, job)
	{
		if (change_phase(job->change->state) == CHANGE_TRYING)
			vm_change_find(job->change, "tether-smd", "shutting-down",
			        "tether-smd was told to end");
		feed(job, CHANGE_EVENT_TOLD_TO_END);
	}
}

bool vm_changer_is_at_work(const struct vm_changer *changer)
{
	EACH_JOB(changer, job)
	if (vm_change_has_place(job->change))
		return true;
	return false;
}

/* ---- after a restart ---- */

static bool is_driven(const struct vm_changer *changer, const struct vm_change *change)
{
	EACH_JOB(changer, job)
	if (job->change == change)
		return true;
	return false;
}

static int recover(struct vm_changer *changer, struct vm_change *change)
{
	struct conductor *c = changer->conductor;
	int err = conductor_record_epoch(c, c->ledger->epoch + 1);
	struct job *job = err ? NULL : job_create(changer);

	if (!job)
		return err ? err : -ENOMEM;
	change->intent.epoch = c->ledger->epoch;
	log_warn("vm", "%" PRIu64 " of %s was under way (%s): it is gone on with",
	        change->intent.id, change->intent.vm, change_state_name(change->state));
	if (change_phase(change->state) == CHANGE_TRYING)
		vm_change_find(change, "tether-smd", "restarted",
		        "tether-smd was started again before anything had changed");
	job_add(job, change);
	perform(job, vm_change_recover(change, monotonic_us()));
	return 0;
}

int vm_changer_recover(struct vm_changer *changer)
{
	int err = 0;

	for (struct vm_change *c = changer->changes->newest; c && !err; c = c->older)
		if (!vm_change_ended(c) && !is_driven(changer, c))
			err = recover(changer, c);
	return err;
}

/* ---- making ---- */

struct vm_changer *vm_changer_create(
        struct conductor *conductor, struct vm_changes *changes, const char *sm_socket)
{
	struct vm_changer *changer = calloc(1, sizeof(*changer));

	if (!changer)
		return NULL;
	changer->conductor = conductor;
	changer->changes = changes;
	changer->sm_socket = sm_socket;
	changer->reap = evtimer_new(conductor->base, reap_due, changer);
	if (changer->reap)
		return changer;
	free(changer);
	return NULL;
}

void vm_changer_destroy(struct vm_changer *changer)
{
	if (!changer)
		return;
	while (changer->jobs) {
		struct job *job = changer->jobs;

		changer->jobs = job->next;
		job_destroy(job);
	}
	event_free(changer->reap);
	free(changer);
}

struct vm_changes *vm_changer_changes(const struct vm_changer *changer)
{
	return changer->changes;
}
