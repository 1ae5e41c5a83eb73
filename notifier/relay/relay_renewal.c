/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * More is behind an agent between than when it was handed an event: a host has come, or come back,
 * of whose processes some are expected. A copy that names more than the one before is asked for
 * anew below, where all who have answered answer as they did. Where it has answered already its
 * answer cannot be told apart from those that it is merged with: so everybody is asked anew here,
 * too, a few times at most. Where they are not in time with that the answer is the one that there
 * was before, in which whoever came is missing.
 */
#include "notifier/relay/relay_state.h"

enum { RENEWALS_MOST = 3 };

static bool may_widen(const Tether__Event *event)
{
	return event->n_expected && !event->order && !step_is_news(event->step);
}

static bool names_more(const struct open_event *open, const Tether__Event *event)
{
	size_t i = 0;

	while (i < event->n_expected && tally_knows(open->tally, event->expected[i]))
		i++;
	return i < event->n_expected;
}

void relay_narrower_forget(struct relay *relay, const Tether__Event *event)
{
	struct event_key key = event_key(event);
	struct open_event *open = relay_open_find(relay, &key), **at = &relay->open;

	if (!may_widen(event))
		return;
	relay_answered_forget(relay, &key, event->n_expected);
	if (!open || !names_more(open, event))
		return;
	while (*at != open)
		at = &(*at)->next;
	*at = open->next;
	relay_open_destroy(open);
}

/* Some of @host's processes are expected, and nobody has told of them. */
static bool is_due(const struct open_event *open, struct host_behind *host)
{
	for (size_t i = 0; may_widen(open->event) && i < host->vms.count; i++)
		if (tally_expects_vm(open->tally, &host->vms.names[i]) &&
		        host_may_have(host, host->vms.names[i].text))
			return true;
	return false;
}

static void ask_anew(
        struct relay *relay, const struct child *child, struct open_event *open, uint64_t now_ms)
{
	if (!tally_has_answered(open->tally, child->name))
		relay_event_hand(relay, child, open, now_ms);
	else if (open->renewals++ < RENEWALS_MOST)
		relay_open_renew(relay, open, now_ms);
}

void relay_host_came(
        struct relay *relay, const struct child *child, struct host_behind *host, uint64_t now_ms)
{
	for (struct open_event *open = relay->open; child_is_ready(child) && open;
	        open = open->next)
		if (is_due(open, host))
			ask_anew(relay, child, open, now_ms);
}

void relay_answer_look(
        struct relay *relay, const struct child *child, struct open_event *open, uint64_t now_ms)
{
	if (child->role != TETHER__ROLE__ROLE_RELAY || !child_is_ready(child))
		return;
	for (struct host_behind *host = child->hosts; host; host = host->next) {
		if (host->away_ms || !is_due(open, host))
			continue;
		ask_anew(relay, child, open, now_ms);
		return;
	}
}
