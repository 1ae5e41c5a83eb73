/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* Drives one VM that comes or goes: feeds its state machine and performs what that puts out. */
#include "sm-side/vm_change/vm_changer_state.h"

#include <inttypes.h>

#include <event2/event.h>

#include "notifier/base/log.h"
#include "notifier/base/monotonic.h"

enum {
	RETRY_MS = 20,
	RETRY_LOCATE_MS = 50,
	RETRY_FAILED_MS = 200, /* whoever could not is not asked again at once */
	RETRY_HOST_MS = 200,   /* a driver is a process: it is not started again at once */
};

void job_feed(struct job *job, enum change_event event)
{
	job_perform(job, vm_change_event(job->change, event, monotonic_us()));
}

void job_answered(struct job *job, unsigned party, bool done)
{
	job_perform(job, vm_change_answered(job->change, party, done, monotonic_us()));
}

void job_timer_arm(struct job *job)
{
	conductor_timer_arm(job->timer, job->change ? vm_change_next_us(job->change) : 0);
}

/* ---- performing ---- */

/* Whoever has the LID next is not to be taken for this one. */
static void numbers_let_go(struct job *job)
{
	struct conductor *c = job->changer->conductor;
	const struct migration *last = ledger_latest_of(c->ledger, job->change->intent.vm);

	if (last && job->change->state == CHANGE_ABSENT)
		conductor_numbers_clear(c, last);
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
		log_warn("vm", "%" PRIu64 "/%" PRIu64 " %s: %s: %s", change->intent.id,
		        change->intent.epoch, change->who, change->reason, change->text);
}

/* The record first: what is announced must be known to a successor. */
static bool record_entered(struct job *job, struct vm_change_output *output)
{
	struct vm_change_output turned;

	if (!job_record_state(job, output->durable))
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

void job_perform(struct job *job, struct vm_change_output output)
{
	struct conductor *c = job->changer->conductor;
	struct timeval pause = {0, 0};
	bool is_news = output.entered;

	while (output.entered) {
		forget_asked(job);
		log_change(job->change);
		if (vm_change_ended(job->change))
			conductor_change_ends(c, job->change);
		if (record_entered(job, &output))
			break;
	}
	pause.tv_usec = (suseconds_t)retry_ms(job, output.failed) * 1000;
	if (output.retry)
		evtimer_add(job->retry, &pause);
	else if (output.action == CHANGE_ACTION_FINISH)
		finish(job);
	else if (output.action != CHANGE_NOTHING)
		job_ask(job, output.parties);
	job_timer_arm(job);
	if (!is_news)
		return;
	turns_may_have_come(c);
	c->changed(c->owner);
}

void job_timer_due(evutil_socket_t unused, short what, void *context)
{
	struct job *job = context;

	if (job->change)
		job_perform(job, vm_change_tick(job->change, monotonic_us()));
}

void job_retry_due(evutil_socket_t unused, short what, void *context)
{
	struct job *job = context;

	if (job->change)
		job_ask(job, job->change->awaited);
}
