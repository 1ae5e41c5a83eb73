/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "sm-side/vm_change/vm_changer_state.h"

#include "notifier/base/monotonic.h"

/* For the lease, or for the sweep that comes when nobody has it any more. */
bool job_waits_for_lease(const struct job *job)
{
	enum change_action action = change_state_action(job->change->state);

	return job->change->awaited & PARTY_SM &&
	       (action == CHANGE_ACTION_LEASE || action == CHANGE_ACTION_LOCATE ||
	               action == CHANGE_ACTION_LOCATE_GONE);
}

/* Others' time under the lease is theirs to say. */
void job_time_under_lease(struct job *job)
{
	if (conductor_lease_is_taken(job->changer->conductor))
		vm_change_time_stop(job->change);
	else
		vm_change_time_run(job->change, monotonic_us());
	job_timer_arm(job);
}

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
	if (job_waits_for_lease(job))
		return true;
	return false;
}

void vm_changer_lease_look(struct vm_changer *changer)
{
	EACH_JOB(changer, job)
	if (job_waits_for_lease(job))
		job_time_under_lease(job);
}
