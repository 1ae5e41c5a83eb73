/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "sm-side/vm_change/vm_changer_state.h"

#include <stdlib.h>

#include <event2/event.h>

#include "notifier/base/monotonic.h"
#include "sm-side/conductor/evacuation_room.h"

enum { AT_A_TIME = 4 }; /* each has a link to the SM, of which the plugin takes 16 */

bool vm_changer_has_room(const struct vm_changer *changer)
{
	return vm_changes_at_work(changer->changes) < AT_A_TIME;
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

struct job *job_create(struct vm_changer *changer)
{
	struct job *job = calloc(1, sizeof(*job));

	if (!job)
		return NULL;
	job->changer = changer;
	job->timer = evtimer_new(changer->conductor->base, job_timer_due, job);
	job->retry = evtimer_new(changer->conductor->base, job_retry_due, job);
	if (job->timer && job->retry)
		return job;
	job_destroy(job);
	return NULL;
}

void job_add(struct job *job, struct vm_change *change)
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
	if (vm_changer_has_room(changer))
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
	if (vm_changer_record_intent(changer, intent)) {
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
	conductor_change_begins(changer->conductor, change);
	job_perform(job, vm_change_start(change, monotonic_us()));
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
		job_feed(job, CHANGE_EVENT_TOLD_TO_END);
	}
}

bool vm_changer_is_at_work(const struct vm_changer *changer)
{
	EACH_JOB(changer, job)
	if (vm_change_has_place(job->change))
		return true;
	return false;
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
