/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "preload/completion_arm.h"

#include "notifier/base/log.h"
#include "preload/completion_channel.h"
#include "preload/completion_moderation.h"
#include "preload/completions.h"
#include "preload/lost_devices.h"

static bool may_be_met(const struct completion_arm *arm)
{
	return arm->met || arm->maybe_met || arm->marked;
}

static int arm_device(struct completion_queue *cq)
{
	if (!cq->real)
		return 0;
	return cq->real->context->ops.req_notify_cq(cq->real, cq->arm.kind == ARM_SOLICITED);
}

/* What a device refuses that may be gone is made good when it is there, or another one. */
static int arm_device_or_keep(struct completion_queue *cq)
{
	int err = arm_device(cq);

	cq->arm.refused = err && lost_device_is_behind(cq->context, err);
	return cq->arm.refused ? 0 : err;
}

int completion_arm_request(struct completion_queue *cq, int solicited_only)
{
	const enum arm_kind wanted = solicited_only ? ARM_SOLICITED : ARM_ALL;
	struct completion_arm *arm = &cq->arm;

	/* What is there has come before. */
	completion_queue_harvest(cq);
	/* Is the event of an earlier arm still unread? Then this is another one. */
	if (may_be_met(arm) && completion_channel_collect(cq))
		*arm = (struct completion_arm){.kind = ARM_NONE};
	arm->kind = wanted > arm->kind ? wanted : arm->kind;
	/* A completion is seen before its event. */
	arm->overdue |= arm->met;
	arm->met = arm->left_over = false;
	return arm_device_or_keep(cq);
}

static void raise_ahead_of_device(struct completion_queue *cq)
{
	cq->arm = (struct completion_arm){.left_over = cq->real};
	completion_channel_raise(cq);
}

int completion_arm_repeat(struct completion_queue *cq)
{
	struct completion_arm *arm = &cq->arm;
	int err;

	/* What has come meanwhile is raised. */
	completion_queue_harvest(cq);
	if (!arm->refused)
		return 0;
	err = arm->maybe_met ? 0 : arm_device(cq);
	if (err)
		return err;
	/* What came just before has no event. */
	completion_queue_harvest(cq);
	if (arm->maybe_met)
		raise_ahead_of_device(cq);
	arm->refused = false;
	return 0;
}

void completion_arm_arrived(struct completion_queue *cq, const struct ibv_wc *wc, bool device_tells)
{
	struct completion_arm *arm = &cq->arm;

	if (arm->kind == ARM_NONE)
		return;
	if (arm->kind == ARM_SOLICITED && !wc->status) {
		arm->maybe_met |= !!(wc->opcode & IBV_WC_RECV);
	} else if ((device_tells && !arm->refused) || arm->met) {
		arm->met = true;
	} else {
		raise_ahead_of_device(cq);
	}
}

bool completion_arm_judge(struct completion_queue *cq)
{
	struct completion_arm *arm = &cq->arm;
	bool armed_again = false;

	if (arm->kind == ARM_NONE) {
		bool is_known = arm->left_over;

		arm->left_over = false;
		return !is_known;
	}
	completion_queue_harvest(cq);
	if (!may_be_met(arm)) {
		armed_again = true;
		if (arm_device_or_keep(cq))
			log_error("completion", "a queue cannot be armed again");
		/* What came just before has no event. */
		completion_queue_harvest(cq);
	}
	if (!may_be_met(arm)) {
		bool is_of_earlier = arm->overdue;

		arm->overdue = false;
		return is_of_earlier;
	}
	*arm = (struct completion_arm){.left_over = armed_again};
	return true;
}

bool completion_arm_sift(struct completion_queue *cq)
{
	struct completion_arm *arm = &cq->arm;

	/* That the device says nothing means nothing: all pass for solicited. */
	if (completion_queue_is_moderated(cq))
		return true;
	arm->marked = arm->maybe_met;
	arm->maybe_met = false;
	return !arm->marked;
}

void completion_arm_uproot(struct completion_queue *cq)
{
	struct completion_arm *arm = &cq->arm;
	bool is_spent = may_be_met(arm);
	bool is_due = is_spent || arm->overdue;

	completion_channel_forget_unjudged(cq);
	*arm = (struct completion_arm){.kind = is_spent ? ARM_NONE : arm->kind};
	if (is_due)
		completion_channel_raise(cq);
}

int completion_arm_plant(struct completion_queue *cq)
{
	return cq->arm.kind == ARM_NONE ? 0 : -arm_device(cq);
}
