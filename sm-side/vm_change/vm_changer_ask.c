/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* Asks the host and the SM, and takes what comes back. */
#include "sm-side/vm_change/vm_changer_state.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include <event2/event.h>

#include "notifier/base/die_point.h"
#include "notifier/base/log.h"
#include "notifier/base/monotonic.h"
#include "sm-side/vm_change/vm_talk.h"

/* ---- what comes back from the SM ---- */

static void sm_answered(void *owner, uint64_t id, struct json_object *answer)
{
	struct job *job = owner;
	enum change_event event;

	if (!job->change || !job->sm_id || id != job->sm_id)
		return;
	job->sm_id = 0;
	event = vm_talk_take(job->change, answer);
	if (event == CHANGE_EVENT_DONE || event == CHANGE_EVENT_FAILED)
		job_answered(job, PARTY_SM, event == CHANGE_EVENT_DONE);
	else
		job_feed(job, event);
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
		job_feed(job, CHANGE_EVENT_SM_LOST);
}

static void sm_up(void *owner)
{
	struct job *job = owner;

	if (sm_is_awaited(job))
		job_feed(job, CHANGE_EVENT_SM_BACK);
}

static const struct sm_link_callbacks job_sm_callbacks = {
        .up = sm_up,
        .down = sm_down,
        .answer = sm_answered,
};

/* ---- asking ---- */

static bool is_host_connected(const struct job *job)
{
	return inventory_is_connected(
	        root_inventory(job->changer->conductor->root), job->change->intent.place.host);
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
	if (job->host_is_awaited && is_host_connected(job) && vm_changer_has_room(job->changer))
		job_answered(job, PARTY_HOST, true);
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
		log_info("vm", "%" PRIu64 "/%" PRIu64 " waits for the agent of %s",
		        change->intent.id, change->intent.epoch, change->intent.place.host);
		return;
	}
	vm_order_fill(&order, change, monotonic_us());
	job->host_sequence = change->sequence;
	if (!root_send(job->changer->conductor->root, &order.event))
		return;
	vm_change_find(change, "tether-smd", "no-memory", "an order could not be sent");
	job_answered(job, PARTY_HOST, false);
}

static int sm_link_have(struct job *job)
{
	struct vm_changer *changer = job->changer;

	if (!job->sm)
		job->sm = sm_link_create(changer->conductor->base, changer->sm_socket,
		        changer->conductor->deadlines->reconnect_link_ms, &job_sm_callbacks, job);
	return job->sm ? 0 : -errno;
}

static void sm_ask(struct job *job)
{
	struct json_object *request;
	int err = sm_link_have(job);

	job->sm_id = 0;
	if (job_waits_for_lease(job))
		job_time_under_lease(job);
	request = err ? NULL : vm_talk_request(job->change);
	if (!err)
		err = request ? sm_link_ask(job->sm, request, &job->sm_id) : -ENOMEM;
	if (err)
		job_feed(job, CHANGE_EVENT_SM_LOST);
}

/* An answer that is there at once may have led to another state already. */
void job_ask(struct job *job, unsigned parties)
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

/* ---- what comes back from hosts ---- */

static void host_answered(struct job *job, const Tether__Answer *answer)
{
	struct vm_change *change = job->change;
	bool done = answer->outcome == TETHER__OUTCOME__OUTCOME_DONE;

	job->host_sequence = 0;
	conductor_result_take(job->changer->conductor, change->intent.place.host, answer->result);
	if (answer->n_refusals)
		vm_change_find(change, answer->refusals[0]->who, answer->refusals[0]->reason,
		        answer->refusals[0]->text);
	else if (!done)
		vm_change_find(change, change->intent.place.host, "order-not-done",
		        change_state_meaning(change->state));
	job_answered(job, PARTY_HOST, done);
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
