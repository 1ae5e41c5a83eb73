/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "notifier/relay/relay_state.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "notifier/relay/answer_claims.h"
#include "notifier/relay/answer_merge.h"
#include "notifier/relay/row_claims.h"
#include "notifier/base/cleanup.h"
#include "notifier/wire/message.h"

void relay_child_label(const struct child *child, char *label, size_t size)
{
	if (child_is_process(child))
		snprintf(label, size, "%s/%u%s%s", child->vm, child->pid,
		        *child->program ? " " : "", child->program);
	else
		snprintf(label, size, "%s", child->name);
}

/* @child has not done it: whom it does not name nobody else will answer for. */
static void unnamed_miss(const struct child *child, struct open_event *open)
{
	if (child_is_process(child))
		return;
	if (child->vm) {
		struct name vm = name_whole(child->vm);

		tally_miss_vm(open->tally, &vm);
	}
	for (struct host_behind *host = child->hosts; host; host = host->next)
		for (size_t i = 0; i < host->vms.count; i++)
			if (host_may_have(host, host->vms.names[i].text))
				tally_miss_vm(open->tally, &host->vms.names[i]);
}

/* Rows of somebody else's queue pairs: nothing in it can be believed. */
static int answer_disbelieve(struct relay *relay, struct open_event *open,
        const struct child *child, const char *label, size_t foreign)
{
	Tether__Answer bare;
	Tether__Refusal refusal = TETHER__REFUSAL__INIT;
	Tether__Refusal *refusals[] = {&refusal};

	relay->counts.foreign_claims += foreign;
	refusal.reason = (char *)"foreign-numbers";
	refusal.text = (char *)"its answer tells of queue pairs that are not its own";
	answer_begin(&bare, *tally_key(open->tally));
	bare.outcome = TETHER__OUTCOME__OUTCOME_FAILED;
	bare.refusals = refusals;
	bare.n_refusals = 1;
	return tally_take(open->tally, child->name, label, child_is_process(child), &bare);
}

/* But for rows at LIDs of those who are not behind it. */
static int answer_tally(struct relay *relay, struct open_event *open, const struct child *child,
        const char *label, const Tether__Answer *answer)
{
	const struct lid_owners owners = relay_lid_owners(relay);
	size_t others = row_claims_others(&owners, child, answer);
	Tether__Answer *left = others ? message_copy(&answer->base) : NULL;
	int err;

	if (others && !left)
		return -ENOMEM;
	if (left)
		row_claims_leave_out(&owners, child, left);
	relay->counts.foreign_claims += others;
	err = tally_take(
	        open->tally, child->name, label, child_is_process(child), left ? left : answer);
	if (left)
		tether__answer__free_unpacked(left, NULL);
	return err;
}

static int answer_count(struct relay *relay, struct open_event *open, const struct child *child,
        const char *label, const Tether__Answer *answer)
{
	const struct lid_owners owners = relay_lid_owners(relay);
	size_t foreign = row_claims_foreign(&owners, child, open->event, answer);
	int err = foreign ? answer_disbelieve(relay, open, child, label, foreign)
	                  : answer_tally(relay, open, child, label, answer);

	if (!err && (foreign || !answer_is_done(answer)))
		unnamed_miss(child, open);
	return err;
}

static void answer_take(
        struct relay *relay, struct child *child, const Tether__Answer *answer, uint64_t now_ms)
{
	struct event_key key = answer_key(answer);
	struct open_event *open;
	char label[RELAY_LABEL_BYTES];

	/* Where a VM has left, what is due or waited for nobody else is answered now. */
	open = relay_open_find(relay, &key);
	relay_result_take(relay, child, answer->result,
	        open && tally_awaits(open->tally, child->name), now_ms);
	open = relay_open_find(relay, &key);
	if (!open) {
		if (relay_was_answered(relay, &key) || relay_missed_is(relay, &key))
			relay->counts.late_answers++;
		else
			relay->counts.unasked_answers++;
		return;
	}
	relay_child_label(child, label, sizeof(label));
	if (answer_count(relay, open, child, label, answer)) {
		relay->counts.unasked_answers++;
		return;
	}
	relay_answer_look(relay, child, open, now_ms);
	relay_settle(relay, now_ms);
	if (relay->outputs->child_answered && relay_open_find(relay, &key))
		relay->outputs->child_answered(relay->owner, answer);
}

static void child_answer(
        struct relay *relay, struct child *child, const Tether__Answer *answer, uint64_t now_ms)
{
	struct answer_claims claims;

	relay_heard(child);
	if (answer_claims_take(&claims, child, answer))
		return; /* it will be missing */
	relay->counts.foreign_claims += claims.foreign;
	answer_take(relay, child, &claims.answer, now_ms);
	answer_claims_clear(&claims);
}

static int frame_take(
        struct relay *relay, struct child *child, const Tether__Frame *frame, uint64_t now_ms)
{
	if (!child->name != (frame->body_case == TETHER__FRAME__BODY_HELLO))
		return -EPROTO;
	switch (frame->body_case) {
	case TETHER__FRAME__BODY_HELLO:
		return relay_hello_take(relay, child, frame->hello, now_ms);
	case TETHER__FRAME__BODY_ANSWER:
		child_answer(relay, child, frame->answer, now_ms);
		return 0;
	case TETHER__FRAME__BODY_INTEREST:
		registration_take(relay->registration, child->member, relay_child_weight(child),
		        child->vm, frame->interest);
		relay_news_hand(relay, child, now_ms);
		return 0;
	case TETHER__FRAME__BODY_BEHIND:
		return relay_behind_take(relay, child, frame->behind, now_ms);
	case TETHER__FRAME__BODY_REPORT:
		if (child_is_process(child))
			return -EPROTO;
		relay_report_take(relay, child, frame->report);
		return 0;
	case TETHER__FRAME__BODY_PARTING:
		relay_parting_take(relay, child, frame->parting);
		return 0;
	case TETHER__FRAME__BODY_HEARTBEAT:
		return 0;
	default:
		return -EPROTO;
	}
}

int relay_child_frame(
        struct relay *relay, uint32_t link, const Tether__Frame *frame, uint64_t now_ms)
{
	struct child *child = children_by_link(&relay->children, link);
	int err;

	if (!child || !child->connected)
		return -ENOENT;
	err = frame_take(relay, child, frame, now_ms);
	if (err == -EPROTO)
		relay->counts.out_of_place_frames++;
	return err;
}

void relay_child_forget(struct relay *relay, struct child *child)
{
	relay_reports_forget(relay, child);
	registration_member_gone(relay->registration, child->member);
	if (child->member_before)
		registration_member_gone(relay->registration, child->member_before);
	children_remove(&relay->children, child);
}

void relay_child_left(struct relay *relay, struct child *child)
{
	for (struct open_event *open = relay->open; open; open = open->next)
		tally_forget(open->tally, child->name);
	relay_child_forget(relay, child);
}

static void child_ended(struct relay *relay, struct child *child)
{
	if (child_is_process(child))
		relay_ended_note(relay, child->vm, child->name);
	relay_child_left(relay, child);
}

void relay_child_gone(struct relay *relay, uint32_t link, bool ended, uint64_t now_ms)
{
	struct child *child = children_by_link(&relay->children, link);

	if (!child)
		return;
	relay_hosts_lost(relay, child, now_ms);
	relay_reports_gone(relay, child);
	if (!child->name) {
		relay_child_forget(relay, child);
	} else if (ended) {
		child_ended(relay, child);
		relay_settle(relay, now_ms);
	} else {
		children_lost(&relay->children, child, now_ms);
	}
}

static struct child *child_of_vm(const struct relay *relay, const char *vm)
{
	struct child *child = relay->children.first;

	while (child && (!child->vm || strcmp(child->vm, vm)))
		child = child->next;
	return child;
}

void relay_vm_left(struct relay *relay, const char *vm, uint64_t now_ms)
{
	struct vm_state *state = relay_vm_find(relay, vm);
	struct name name = name_whole(vm);
	struct child *child;

	if (state) {
		state->is_here = false;
		state->guest_until_ms = 0;
		relay_absence_end(state);
		relay_missed_forget(state);
		relay_numbers_clear(state);
	}
	while ((child = child_of_vm(relay, vm))) {
		if (child->connected)
			relay->outputs->child_close(relay->owner, child->link, "the VM has left");
		if (child->name)
			relay_child_left(relay, child);
		else
			relay_child_forget(relay, child);
	}
	for (struct open_event *open = relay->open; open; open = open->next)
		tally_forget_vm(open->tally, &name);
	/* The end of its migration is told where it is then; the root holds what has to be held. */
	if (state)
		relay_barrier_lift(relay, state->migration);
	relay_settle(relay, now_ms);
}
