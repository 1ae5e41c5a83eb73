/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "sm-side/vm_change/vm_changer_state.h"

#include <errno.h>
#include <inttypes.h>

#include "notifier/base/log.h"
#include "notifier/base/monotonic.h"

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
	log_warn("vm", "%" PRIu64 "/%" PRIu64 " of %s was under way (%s): it is gone on with",
	        change->intent.id, change->intent.epoch, change->intent.vm,
	        change_state_name(change->state));
	if (change_phase(change->state) == CHANGE_TRYING)
		vm_change_find(change, "tether-smd", "restarted",
		        "tether-smd was started again before anything had changed");
	job_add(job, change);
	job_perform(job, vm_change_recover(change, monotonic_us()));
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
