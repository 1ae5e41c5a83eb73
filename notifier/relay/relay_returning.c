/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * An agent between that was started again knows nobody, and its HELLO brings no interests; those of
 * the hosts behind it come with them. Until all of these are back, or forgotten, their interests
 * stand as they were, as a second member's: who is asked for in PREPARE has no other name. They
 * have `away_ms` for it, also while a VM moves: one dead host would hold up all who know a VM that
 * somebody of theirs knows, for as long as migrations follow each other.
 */
#include "notifier/relay/relay_state.h"

static bool is_any_away(const struct child *child)
{
	const struct host_behind *host = child->hosts;

	while (host && !host->away_ms)
		host = host->next;
	return host;
}

uint32_t relay_returning_member(struct relay *relay, struct child *child, uint64_t now_ms)
{
	child->returns_ms = now_ms;
	child->is_returning = child->role == TETHER__ROLE__ROLE_RELAY && is_any_away(child);
	relay->silence_is_stale |= child->is_returning;
	relay->may_return |= child->is_returning;
	if (child->is_returning && !child->member_before)
		children_member_before_make(&relay->children, child);
	return child->is_returning ? child->member_before : 0;
}

/* UINT64_MAX: nobody is waited for, or it has not said who is behind it. */
static uint64_t until(const struct relay *relay, const struct child *child)
{
	if (!child->is_returning || !child_is_ready(child))
		return UINT64_MAX;
	return is_any_away(child) ? child->returns_ms + relay->settings.away_ms : 0;
}

uint64_t relay_returning_next(const struct relay *relay)
{
	uint64_t next = UINT64_MAX;

	if (!relay->may_return)
		return next;
	for (const struct child *child = relay->children.first; child; child = child->next)
		if (until(relay, child) < next)
			next = until(relay, child);
	return next;
}

static void look(struct relay *relay, struct child *child, uint64_t now_ms)
{
	if (until(relay, child) > now_ms)
		return;
	child->is_returning = false;
	/* While it still has them: its own may be held by the event's barrier. */
	relay_events_hand(relay, child, true, now_ms);
	if (child->member_before)
		registration_let_all_go(relay->registration, child->member_before);
}

void relay_returning_look(struct relay *relay, uint64_t now_ms)
{
	if (!relay->may_return)
		return;
	relay->may_return = false;
	for (struct child *child = relay->children.first; child; child = child->next) {
		look(relay, child, now_ms);
		relay->may_return |= child->is_returning;
	}
}
