/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * What the rooms of the VM changer share: vm_changer.c begins changes on request and ends them,
 * vm_changer_drive.c performs what a state machine puts out, vm_changer_record.c writes down,
 * vm_changer_ask.c asks host and SM and takes answers, vm_changer_lease.c says who waits for the
 * SM's lease or is under it, vm_changer_recovery.c goes on with what was before.
 */
#ifndef TETHER_VM_CHANGER_STATE_H
#define TETHER_VM_CHANGER_STATE_H

#include "sm-side/conductor/conductor_state.h"

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

/* vm_changer.c */

/* One more may be at work. */
bool vm_changer_has_room(const struct vm_changer *changer);
/* With nothing to drive yet. NULL: no memory. */
struct job *job_create(struct vm_changer *changer);
/* Have it drive @change. */
void job_add(struct job *job, struct vm_change *change);

/* vm_changer_drive.c */

void job_perform(struct job *job, struct vm_change_output output);
void job_feed(struct job *job, enum change_event event);
/* @party has done what it was asked for, or has not. */
void job_answered(struct job *job, unsigned party, bool done);
/* Be called when the change's next deadline is due. */
void job_timer_arm(struct job *job);
/* Callbacks of its events. */
void job_timer_due(evutil_socket_t unused, short what, void *job);
void job_retry_due(evutil_socket_t unused, short what, void *job);

/* vm_changer_record.c: 0, or what journal_append says, which has been logged */

/* After the ends that are owed. */
int vm_changer_record_intent(struct vm_changer *changer, const struct vm_change_intent *intent);
/* The state that the change has just entered. */
int job_record_state(struct job *job, bool durable);

/* vm_changer_ask.c */

/* Ask those of @parties for what the change's state wants of them. */
void job_ask(struct job *job, unsigned parties);

/* vm_changer_lease.c */

bool job_waits_for_lease(const struct job *job);
/* Its time runs, unless others come before. */
void job_time_under_lease(struct job *job);

#endif
