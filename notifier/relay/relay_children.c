/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "notifier/relay/relay_state.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "notifier/relay/answer_claims.h"
#include "notifier/relay/answer_merge.h"
#include "notifier/relay/row_claims.h"
#include "notifier/base/cleanup.h"
#include "notifier/wire/message.h"

enum { LINKS_FEW = 16 };

static unsigned min_of(unsigned a, unsigned b)
{
	return a < b ? a : b;
}

/* The links of one VM keep nobody else's out: they are no more than what is @left for others, but
 * for a few. In a VM there are no others. */
static unsigned links_most(const struct relay *relay, unsigned left)
{
	if (relay->settings.role == TETHER__ROLE__ROLE_GUEST)
		return relay->settings.processes_max;
	return min_of(relay->settings.processes_max, left > LINKS_FEW ? left : LINKS_FEW);
}

static bool has_room(const struct relay *relay, const char *vm)
{
	unsigned left = relay->settings.children_max -
	                min_of(relay->children.count, relay->settings.children_max);
	unsigned of_vm = 0, most = links_most(relay, left);
	const struct child *child = relay->children.first;

	for (; vm && child && of_vm < most; child = child->next)
		of_vm += child->vm && !strcmp(child->vm, vm);
	return of_vm < most && left;
}

void relay_link_ended(struct relay *relay, int reason)
{
	switch (reason) {
	case -EUSERS:
		relay->counts.crowded_links++;
		break;
	case -EBADMSG:
		relay->counts.garbled_frames++;
		break;
	case -EMSGSIZE:
		relay->counts.large_frames++;
		break;
	case -ETIME:
		relay->counts.half_frames++;
		break;
	case -ENOBUFS:
		relay->counts.unread_links++;
		break;
	case -EDQUOT:
		relay->counts.full_links++;
		break;
	}
}

void relay_line_unsaid(struct relay *relay)
{
	relay->counts.unsaid_lines++;
}

void relay_pulled(struct relay *relay, bool forged)
{
	relay->counts.pulls++;
	relay->counts.forged_pulls += forged;
}

static int child_add(
        struct relay *relay, const char *vm, bool is_guest, uint64_t now_ms, uint32_t *link)
{
	struct child *child;

	if (!has_room(relay, is_guest ? NULL : vm)) {
		relay_link_ended(relay, -EUSERS);
		return -EUSERS;
	}
	relay->silence_is_stale = true;
	child = children_add(&relay->children, vm, now_ms);
	if (!child)
		return -ENOMEM;
	child->is_guest = is_guest;
	*link = child->link;
	return 0;
}

int relay_child_add(struct relay *relay, const char *vm, uint64_t now_ms, uint32_t *link)
{
	return child_add(relay, vm, false, now_ms, link);
}

int relay_guest_add(struct relay *relay, const char *vm, uint64_t now_ms, uint32_t *link)
{
	return child_add(relay, vm, true, now_ms, link);
}

int relay_child_certified(struct relay *relay, uint32_t link, Tether__Role role, const char *name)
{
	struct child *child = children_by_link(&relay->children, link);
	char *copy;

	if (!child)
		return -ENOENT;
	copy = strdup(name);
	if (!copy)
		return -ENOMEM;
	free(child->certified_name);
	child->certified_name = copy;
	child->certified_role = role;
	return 0;
}

/* @released: relay_absence_unknown_to; NULL: nothing */
static void hello_answer_send(struct relay *relay, const struct child *child, const char *reason,
        const char *text, Tether__Event *released)
{
	Tether__HelloAnswer answer = TETHER__HELLO_ANSWER__INIT;
	Tether__Refusal refusal = TETHER__REFUSAL__INIT;
	Tether__Refusal *refusals[] = {&refusal};
	Tether__Frame frame = TETHER__FRAME__INIT;

	refusal.who = relay->name;
	refusal.reason = (char *)reason;
	refusal.text = (char *)text;
	answer.outcome = reason ? TETHER__OUTCOME__OUTCOME_REFUSED : TETHER__OUTCOME__OUTCOME_DONE;
	answer.refusals = refusals;
	answer.n_refusals = reason ? 1 : 0;
	answer.epoch = relay->epoch;
	answer.name = relay->name;
	if (!child_is_process(child))
		answer.heartbeat_ms = relay->settings.heartbeat_ms;
	if (child->is_guest)
		answer.heartbeat_ms *= GUEST_BEATS;
	if (!reason)
		relay_numbers_fill(relay, child, &answer);
	if (child->is_guest)
		answer.vm = child->vm;
	answer.released = released;
	frame.body_case = TETHER__FRAME__BODY_HELLO_ANSWER;
	frame.hello_answer = &answer;
	relay->outputs->child_send(relay->owner, child->link, &frame);
}

bool relay_name_is_clean(const char *name)
{
	size_t length = strlen(name);

	for (size_t i = 0; i < length; i++)
		if (name[i] <= ' ' || name[i] > '~')
			return false;
	return length > 0 && length <= RELAY_NAME_BYTES;
}

static bool role_fits(const struct child *child, Tether__Role role)
{
	if (!child->vm)
		return role == TETHER__ROLE__ROLE_HOST || role == TETHER__ROLE__ROLE_RELAY;
	return role == (child->is_guest ? TETHER__ROLE__ROLE_GUEST : TETHER__ROLE__ROLE_SHIM);
}

static bool name_fits(const struct child *child, const Tether__Hello *hello)
{
	if (hello->role == TETHER__ROLE__ROLE_SHIM)
		return name_is_of_vm(hello->name, child->vm);
	return hello->role != TETHER__ROLE__ROLE_GUEST || !strcmp(hello->name, child->vm);
}

static const char *certificate_objection(
        const struct child *child, const Tether__Hello *hello, const char **text)
{
	*text = "its certificate is of another role";
	if (child->certified_role != hello->role)
		return "bad-role";
	*text = "its certificate is of another name";
	return strcmp(child->certified_name, hello->name) != 0 ? "foreign-name" : NULL;
}

/* Who may say what: a child of a VM's channel is of that VM. NULL: welcome. */
static const char *hello_objection(struct relay *relay, const struct child *child,
        const Tether__Hello *hello, const char **text)
{
	const struct child *namesake = children_by_name(&relay->children, hello->name);
	Tether__HostBehind self = host_of_hello(hello);
	const char *reason = NULL;

	*text = "a name is 1 to 255 characters that can be printed, without spaces";
	if (!relay_name_is_clean(hello->name))
		return "bad-name";
	*text = child->is_guest ? "the agent of a guest is expected here"
	        : child->vm     ? "a process is expected here"
	                        : "a host, or an agent between, is expected here";
	if (!role_fits(child, hello->role))
		return "bad-role";
	if (child->certified_name)
		reason = certificate_objection(child, hello, text);
	if (reason)
		return reason;
	*text = "it came through the channel of another VM";
	if (!name_fits(child, hello))
		return "foreign-name";
	*text = "somebody of this name is here already";
	if ((namesake && namesake->connected) ||
	        (!child->vm && relay_host_is_elsewhere(relay, namesake, hello->name)))
		return "name-taken";
	*text = "it names more migrations than an agent has open";
	if (!child->vm && hello->n_open > RELAY_BEGUN_MAX)
		return "too-many-open";
	*text = "";
	if (relay->outputs->hello &&
	        relay->outputs->hello(relay->owner, child->link, hello, &reason, text))
		return reason ? reason : "refused";
	if (hello->role != TETHER__ROLE__ROLE_HOST)
		return NULL;
	return relay_host_objection(relay, child->link, &self, text);
}

int relay_hello_refuse(
        struct relay *relay, const struct child *child, const char *reason, const char *text)
{
	relay->counts.refused_hellos++;
	hello_answer_send(relay, child, reason, text, NULL);
	return -EACCES;
}

/* Names both, since whoever reads it has to know which one to replace. */
static int version_refuse(struct relay *relay, const struct child *child, uint32_t theirs)
{
	char text[160];

	snprintf(text, sizeof(text),
	        "it speaks version %" PRIu32
	        " of the protocol, this relay version %d: the older of "
	        "them has to be replaced",
	        theirs, TETHER__PROTOCOL__PROTOCOL_VERSION);
	return relay_hello_refuse(relay, child, "version", text);
}

/* An agent between, or in a guest, speaks for all who are behind it. */
static unsigned child_weight(const struct child *child)
{
	unsigned weight = 0;

	if (child->is_guest)
		return GUEST_WEIGHT;
	for (const struct host_behind *host = child->hosts; host; host = host->next)
		weight++;
	return weight ? weight : 1;
}

static int child_hello(
        struct relay *relay, struct child *child, const Tether__Hello *said, uint64_t now_ms)
{
	Tether__Hello named = *said;
	const Tether__Hello *hello = &named;
	struct child *known;
	const char *text, *objection;
	int err;

	relay->silence_is_stale = true;
	/* A guest need not know what it is called; its channel does. */
	if (child->is_guest && !*named.name)
		named.name = child->vm;
	if (hello->version != TETHER__PROTOCOL__PROTOCOL_VERSION)
		return version_refuse(relay, child, hello->version);
	objection = hello_objection(relay, child, hello, &text);
	if (objection)
		return relay_hello_refuse(relay, child, objection, text);
	known = children_by_name(&relay->children, hello->name);
	if (known) {
		children_adopt(&relay->children, known, child);
		child = known;
		if (child->is_guest)
			named.name = child->vm;
	}
	relay_heard(child);
	relay_ended_lives(relay, hello->name);
	err = child_introduce(child, hello);
	if (!err)
		err = relay_host_here(relay, child, hello, now_ms);
	if (!err)
		err = registration_hello(relay->registration, child->member, child_weight(child),
		        hello->addresses, hello->n_addresses,
		        relay_returning_member(relay, child, now_ms));
	if (err) {
		hello_answer_send(relay, child, "bad-addresses", strerror(-err), NULL);
		return -EACCES;
	}
	relay_numbers_learn(relay, child, hello);
	relay_absence_tell(relay, child, hello, now_ms);
	hello_answer_send(
	        relay, child, NULL, NULL, relay_absence_unknown_to(relay, child, hello, now_ms));
	if (child->is_guest)
		relay_places_say_guest(relay, child);
	else if (child->role == TETHER__ROLE__ROLE_HOST)
		relay_places_say_host(relay, child, child->name);
	relay_events_hand(relay, child, true, now_ms);
	if (child->role == TETHER__ROLE__ROLE_HOST) {
		relay_hosts_all(relay);
		relay_returning_look(relay, now_ms);
	}
	relay_settle(relay, now_ms);
	return 0;
}

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
	size_t others = row_claims_others(relay->places, child, answer);
	Tether__Answer *left = others ? message_copy(&answer->base) : NULL;
	int err;

	if (others && !left)
		return -ENOMEM;
	if (left)
		row_claims_leave_out(relay->places, child, left);
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
	size_t foreign = row_claims_foreign(relay->places, child, open->event, answer);
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
		if (relay_was_answered(relay, &key))
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
		return child_hello(relay, child, frame->hello, now_ms);
	case TETHER__FRAME__BODY_ANSWER:
		child_answer(relay, child, frame->answer, now_ms);
		return 0;
	case TETHER__FRAME__BODY_INTEREST:
		registration_take(relay->registration, child->member, child_weight(child),
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
	relay->silence_is_stale = true;
	relay_hosts_lost(relay, child, now_ms);
	relay_reports_gone(relay, child);
	if (!child->name) {
		relay_child_forget(relay, child);
	} else if (ended) {
		child_ended(relay, child);
		relay_settle(relay, now_ms);
	} else {
		child->connected = false;
		child->since_ms = now_ms;
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
		relay_absence_end(state);
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
