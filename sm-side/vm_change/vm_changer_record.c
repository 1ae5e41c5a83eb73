/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "sm-side/vm_change/vm_changer_state.h"

#include "notifier/base/die_point.h"

int job_record_state(struct job *job, bool durable)
{
	struct vm_change *change = job->change;
	struct record record = vm_change_record(change);
	int err;

	die_point(DIE_VM_RECORD, change_state_name(change->state));
	err = conductor_append(job->changer->conductor, &record, 1, durable);
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
		err = conductor_append(changer->conductor, &record, 1, true);
		c->end_is_owed = err;
	}
	return err;
}

/* Its epoch with it: a successor must not use that again. */
int vm_changer_record_intent(struct vm_changer *changer, const struct vm_change_intent *intent)
{
	struct conductor *c = changer->conductor;
	struct record records[] = {
	        {RECORD_epoch, {.epoch = {intent->epoch, conductor_wall_us()}}},
	        {RECORD_change, {.change = *intent}},
	};
	int err = conductor_record_ends(c);

	if (!err)
		err = conductor_append(c, records, 2, true);
	if (!err)
		c->ledger->epoch = intent->epoch;
	die_point(DIE_VM_INTENT, "written");
	return err;
}
