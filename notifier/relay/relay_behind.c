/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Hosts at any depth: each is a child, or behind one that is an agent between. An agent between
 * tells its parent of each that comes, changes or goes away, and of all when the parent is new. A
 * host has one place in the tree: where it is here it cannot be somewhere else, and where it comes
 * it is gone from where it was away. Until an agent between has said all of them it is handed
 * nothing: a copy with the names of some would be answered without the others.
 */
#include "notifier/relay/relay_state.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static bool is_between(const struct relay *relay)
{
	return relay->settings.role == TETHER__ROLE__ROLE_RELAY;
}

static void host_up(struct relay *relay, const Tether__HostBehind *said)
{
	Tether__Frame frame = TETHER__FRAME__INIT;

	if (!is_between(relay) || !relay->parent_is_up)
		return; /* relay_hosts_say will */
	frame.body_case = TETHER__FRAME__BODY_BEHIND;
	frame.behind = (Tether__HostBehind *)said;
	relay->outputs->parent_send(relay->owner, &frame);
}

static void away_up(struct relay *relay, const char *name)
{
	Tether__HostBehind away = TETHER__HOST_BEHIND__INIT;

	away.name = (char *)name;
	away.away = true;
	host_up(relay, &away);
}

bool relay_host_is_elsewhere(const struct relay *relay, const struct child *child, const char *name)
{
	struct host_behind *host;
	const struct child *holder = children_by_host(&relay->children, name, &host);
	const struct child *namesake = children_by_name(&relay->children, name);

	return (holder && holder != child && !host->away_ms) ||
	       (namesake && namesake != child && namesake->connected);
}

/* All of them are looked through for each event. */
static bool has_too_much(size_t vms, size_t slots)
{
	return vms > RELAY_VMS_MAX || slots > RELAY_VMS_MAX;
}

const char *relay_host_objection(
        struct relay *relay, uint32_t link, const Tether__HostBehind *said, const char **text)
{
	const char *reason = NULL;

	*text = "it names more VMs or slots than a host has";
	if (has_too_much(said->n_vms, said->n_slots))
		return "too-many-vms";
	*text = "it names more migrations than an agent has open";
	if (said->n_open > RELAY_BEGUN_MAX)
		return "too-many-open";
	*text = "";
	if (!relay->outputs->host || !relay->outputs->host(relay->owner, link, said, &reason, text))
		return NULL;
	return reason ? reason : "refused";
}

/* Where it was before it is not expected any more. */
static void place_take(struct relay *relay, const struct child *child, const char *name)
{
	struct child *namesake = children_by_name(&relay->children, name);
	struct host_behind *host;

	while ((host = children_host_elsewhere(&relay->children, child, name)))
		children_host_remove(&relay->children, host);
	if (namesake && namesake != child)
		relay_child_left(relay, namesake);
}

static void behind_refuse(struct relay *relay, const struct child *child, const char *name,
        const char *reason, const char *text)
{
	Tether__HostBehind host = TETHER__HOST_BEHIND__INIT;
	Tether__Refusal refusal = TETHER__REFUSAL__INIT;
	Tether__Refusal *refusals[] = {&refusal};
	Tether__Frame frame = TETHER__FRAME__INIT;

	relay->counts.refused_hellos++;
	refusal.who = relay->name;
	refusal.reason = (char *)reason;
	refusal.text = (char *)text;
	host.name = (char *)name;
	host.refusals = refusals;
	host.n_refusals = 1;
	frame.body_case = TETHER__FRAME__BODY_BEHIND;
	frame.behind = &host;
	relay_child_say(relay, child, &frame);
}

/* NULL: it may be there. */
static const char *behind_objection(struct relay *relay, const struct child *child,
        const Tether__HostBehind *said, const char **text)
{
	*text = "a name is 1 to 255 characters that can be printed, without spaces";
	if (!relay_name_is_clean(said->name))
		return "bad-name";
	*text = "somebody of this name is here already";
	if (!strcmp(said->name, child->name) || !strcmp(said->name, relay->name) ||
	        relay_host_is_elsewhere(relay, child, said->name))
		return "name-taken";
	return relay_host_objection(relay, child->link, said, text);
}

static void host_away(struct relay *relay, struct host_behind *host, uint64_t now_ms)
{
	if (host->away_ms)
		return;
	host_is_away(host, now_ms);
	if (relay->outputs->host_away)
		relay->outputs->host_away(relay->owner, host->said->name);
	away_up(relay, host->said->name);
}

bool relay_vm_is_below(const struct relay *relay, const char *vm)
{
	const struct child *child = relay->children.first;

	while (child && !child_has_vm(child, vm))
		child = child->next;
	return child;
}

/* Where a VM has left all that are behind here, the end of its migration need not come by. Most are
 * where they were, behind @child. */
static void vms_left(struct relay *relay, const struct child *child,
        const Tether__HostBehind *before, uint64_t now_ms)
{
	for (size_t i = 0; is_between(relay) && i < before->n_vms; i++) {
		const char *vm = before->vms[i]->name;

		if (!child_has_vm(child, vm) && !relay_vm_is_below(relay, vm))
			relay_vm_left(relay, vm, now_ms);
	}
}

static size_t foreign_count(const struct relay *relay, const Tether__HostBehind *said)
{
	size_t foreign = 0;

	for (size_t i = 0; i < said->n_vms; i++)
		foreign += !vm_place_may_claim(relay->places, said->vms[i]->name, said->name);
	return foreign;
}

/* What a host has from now on. Its word is kept and goes up whole: what of it is another's now may
 * be its own later. */
static int host_put(
        struct relay *relay, struct child *child, const Tether__HostBehind *said, uint64_t now_ms)
{
	Tether__HostBehind *before = NULL;
	int err = children_host_put(&relay->children, child, relay->places, said, &before);

	relay->counts.foreign_vms += foreign_count(relay, said);
	if (!before)
		return err;
	vms_left(relay, child, before, now_ms);
	tether__host_behind__free_unpacked(before, NULL);
	return 0;
}

static void behind_here(
        struct relay *relay, struct child *child, const Tether__HostBehind *said, uint64_t now_ms)
{
	const char *text, *reason = behind_objection(relay, child, said, &text);

	if (!reason && host_put(relay, child, said, now_ms)) {
		reason = "no-memory";
		text = "";
	}
	if (reason) {
		behind_refuse(relay, child, said->name, reason, text);
		return;
	}
	place_take(relay, child, said->name);
	host_up(relay, said);
	relay_places_say_host(relay, child, said->name);
	relay_events_hand(relay, child, false, now_ms);
	relay_host_came(relay, child, hosts_find(child->hosts, said->name), now_ms);
	relay_settle(relay, now_ms);
}

int relay_host_here(
        struct relay *relay, struct child *child, const Tether__Hello *hello, uint64_t now_ms)
{
	Tether__HostBehind self = host_of_hello(hello);
	int err;

	if (hello->role != TETHER__ROLE__ROLE_HOST)
		return 0;
	err = host_put(relay, child, &self, now_ms);
	if (err)
		return err;
	place_take(relay, child, child->name);
	host_up(relay, &self);
	return 0;
}

void relay_hosts_all(struct relay *relay)
{
	Tether__HostBehind all = TETHER__HOST_BEHIND__INIT;

	all.all = true;
	host_up(relay, &all);
}

static void behind_is_known(struct relay *relay, struct child *child, uint64_t now_ms)
{
	bool is_news = !child->said_hosts;

	child->said_hosts = true;
	relay->silence_is_stale = true;
	if (is_news)
		relay_events_hand(relay, child, true, now_ms);
	relay_hosts_all(relay);
	relay_returning_look(relay, now_ms);
	relay_settle(relay, now_ms);
}

int relay_behind_take(
        struct relay *relay, struct child *child, const Tether__HostBehind *said, uint64_t now_ms)
{
	struct host_behind *host = hosts_find(child->hosts, said->name);

	if (child->role != TETHER__ROLE__ROLE_RELAY)
		return -EPROTO;
	if (said->all)
		behind_is_known(relay, child, now_ms);
	else if (!said->away)
		behind_here(relay, child, said, now_ms);
	else if (host) {
		relay->silence_is_stale = true;
		host_away(relay, host, now_ms);
	}
	return 0;
}

/* Who has not been asked may say that a VM has left, not that one has come which nobody knows of.
 */
static size_t vms_known(const struct relay *relay, struct host_behind *host,
        const Tether__HostResult *result, Tether__HostVm **known)
{
	size_t count = 0;

	for (size_t i = 0; i < result->n_vms; i++) {
		const Tether__VmPlace *place = vm_places_find(relay->places, result->vms[i]->name);

		if (place ? vm_place_is_of(place, host->said->name)
		          : host_says_vm(host, result->vms[i]->name))
			known[count++] = result->vms[i];
	}
	return count;
}

static void result_take_unasked(struct relay *relay, struct child *child, struct host_behind *host,
        const Tether__HostResult *result, uint64_t now_ms)
{
	Tether__HostBehind said = *host->said;
	Tether__HostVm **known = calloc(result->n_vms + 1, sizeof(*known));

	if (!known)
		return;
	said.vms = known;
	said.n_vms = vms_known(relay, host, result, known);
	relay->counts.foreign_vms += result->n_vms - said.n_vms;
	host_put(relay, child, &said, now_ms);
	free(known);
}

void relay_result_take(struct relay *relay, struct child *child, const Tether__HostResult *result,
        bool is_asked, uint64_t now_ms)
{
	struct host_behind *host = NULL;
	Tether__HostBehind said;

	if (result && (result->n_vms || result->n_slots))
		host = hosts_find(child->hosts,
		        child->role == TETHER__ROLE__ROLE_HOST ? child->name : result->host);
	if (!host || has_too_much(result->n_vms, result->n_slots))
		return;
	if (!is_asked) {
		result_take_unasked(relay, child, host, result, now_ms);
		return;
	}
	said = *host->said;
	said.vms = result->vms;
	said.n_vms = result->n_vms;
	said.slots = result->slots;
	said.n_slots = result->n_slots;
	host_put(relay, child, &said, now_ms);
}

void relay_hosts_lost(struct relay *relay, struct child *child, uint64_t now_ms)
{
	relay->silence_is_stale |= child->role == TETHER__ROLE__ROLE_RELAY;
	for (struct host_behind *host = child->hosts; host; host = host->next)
		host_away(relay, host, now_ms);
}

void relay_hosts_say(struct relay *relay)
{
	for (const struct child *child = relay->children.first; child; child = child->next)
		for (const struct host_behind *host = child->hosts; host; host = host->next)
			if (!host->away_ms)
				host_up(relay, host->said);
}

void relay_host_refused(struct relay *relay, const Tether__HostBehind *said)
{
	struct child *child = children_by_host(&relay->children, said->name, NULL);
	Tether__Frame frame = TETHER__FRAME__INIT;

	if (!child || !child->connected || !said->n_refusals)
		return;
	if (child->role == TETHER__ROLE__ROLE_HOST) {
		relay_hello_refuse(
		        relay, child, said->refusals[0]->reason, said->refusals[0]->text);
		relay->outputs->child_close(relay->owner, child->link, "refused above");
		return;
	}
	frame.body_case = TETHER__FRAME__BODY_BEHIND;
	frame.behind = (Tether__HostBehind *)said;
	relay_child_say(relay, child, &frame);
}

/* While a VM moves nobody is forgotten. A host that is a child is forgotten with it. */
static bool is_forgotten(const struct relay *relay, const struct child *child,
        const struct host_behind *host, uint64_t now_ms)
{
	return child->role == TETHER__ROLE__ROLE_RELAY && host->away_ms &&
	       host->away_ms + relay->settings.away_ms <= now_ms;
}

uint64_t relay_hosts_next(const struct relay *relay)
{
	uint64_t next = relay_returning_next(relay);

	if (registration_has_barrier(relay->registration))
		return next;
	for (const struct child *child = relay->children.first; child; child = child->next)
		for (const struct host_behind *host = child->hosts; host; host = host->next)
			if (is_forgotten(relay, child, host, UINT64_MAX) &&
			        host->away_ms + relay->settings.away_ms < next)
				next = host->away_ms + relay->settings.away_ms;
	return next;
}

static void hosts_forget(struct relay *relay, uint64_t now_ms)
{
	for (struct child *child = relay->children.first; child; child = child->next) {
		for (struct host_behind *host = child->hosts, *next; host; host = next) {
			next = host->next;
			if (is_forgotten(relay, child, host, now_ms))
				children_host_remove(&relay->children, host);
		}
	}
}

void relay_hosts_tick(struct relay *relay, uint64_t now_ms)
{
	if (!registration_has_barrier(relay->registration))
		hosts_forget(relay, now_ms);
	relay_returning_look(relay, now_ms);
}
