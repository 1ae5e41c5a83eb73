/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* What a child says first: who it is, and whether it is welcome. */
#include "notifier/relay/relay_state.h"

#include <errno.h>
#include <string.h>

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
	answer.version = child->version;
	frame.body_case = TETHER__FRAME__BODY_HELLO_ANSWER;
	frame.hello_answer = &answer;
	relay_child_say(relay, child, &frame);
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

/* An agent between, or in a guest, speaks for all who are behind it. */
unsigned relay_child_weight(const struct child *child)
{
	unsigned weight = 0;

	if (child->is_guest)
		return GUEST_WEIGHT;
	for (const struct host_behind *host = child->hosts; host; host = host->next)
		weight++;
	return weight ? weight : 1;
}

int relay_hello_take(
        struct relay *relay, struct child *child, const Tether__Hello *said, uint64_t now_ms)
{
	Tether__Hello named = *said;
	const Tether__Hello *hello = &named;
	struct child *known;
	const char *text, *objection;
	int err;

	/* A guest need not know what it is called; its channel does. */
	if (child->is_guest && !*named.name)
		named.name = child->vm;
	if (relay_version_agree(relay, child, hello))
		return -EACCES;
	objection = hello_objection(relay, child, hello, &text);
	if (objection)
		return relay_hello_refuse(relay, child, objection, text);
	known = children_by_name(&relay->children, hello->name);
	if (known) {
		known->version = child->version;
		children_adopt(&relay->children, known, child);
		child = known;
		if (child->is_guest)
			named.name = child->vm;
	}
	relay_heard(child);
	relay_ended_lives(relay, hello->name);
	err = children_introduce(&relay->children, child, hello);
	if (!err)
		err = relay_host_here(relay, child, hello, now_ms);
	if (!err)
		err = registration_hello(relay->registration, child->member,
		        relay_child_weight(child), child->vm, hello->addresses, hello->n_addresses,
		        relay_returning_member(relay, child, now_ms));
	if (err) {
		hello_answer_send(relay, child, "bad-addresses", strerror(-err), NULL);
		return -EACCES;
	}
	relay_numbers_learn(relay, child, hello);
	relay_absence_tell(relay, child, hello, now_ms);
	hello_answer_send(
	        relay, child, NULL, NULL, relay_absence_unknown_to(relay, child, hello, now_ms));
	relay_missed_tell(relay, child, hello);
	if (child->is_guest)
		relay_places_say_guest(relay, child);
	else if (child->role == TETHER__ROLE__ROLE_HOST)
		relay_places_say_host(relay, child, child->name);
	relay_holders_came(relay, child);
	relay_events_hand(relay, child, true, now_ms);
	if (child->role == TETHER__ROLE__ROLE_HOST) {
		relay_hosts_all(relay);
		relay_returning_look(relay, now_ms);
	}
	relay_settle(relay, now_ms);
	return 0;
}
