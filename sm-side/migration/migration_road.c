/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "sm-side/migration/migration_road.h"

#include <string.h>

static bool action_needs_fabric(enum migration_action action)
{
	return migration_action_parties(action) == PARTY_SM || action == ACTION_NAME_DESTINATION ||
	       action == ACTION_NAME_SOURCE || action == ACTION_NAME_SOURCE_BACK ||
	       action == ACTION_NAME_DESTINATION_BACK || action == ACTION_LINK_DESTINATION ||
	       action == ACTION_LINK_SOURCE_BACK;
}

/* With prepopulated LIDs all links are up all the time, so no sweep is to be waited for. */
static bool is_of_links(enum migration_state state)
{
	enum migration_action action = migration_state_action(state);

	return action == ACTION_LINK_DESTINATION || action == ACTION_LINK_SOURCE_BACK ||
	       action == ACTION_WAKE;
}

/* Whose QPs end with errors has no need of a port that is active; what a sweep has done is seen
 * when the port is. */
static bool is_not_of_its_links(const struct migration *m, enum migration_state state)
{
	if (!m->intent.dynamic)
		return is_of_links(state);
	if (migration_state_action(state) == ACTION_WAKE && m->given_up)
		return true;
	return state == STATE_CONFIRMING ||
	       ((state == STATE_BACK_LINKING || state == STATE_BACK_WAKING) && !m->unlinked);
}

static bool is_all_the_sms(enum migration_state state)
{
	return migration_action_parties(migration_state_action(state)) == PARTY_SM;
}

/* Between shared ports there is nothing to plan and nothing to lease; the SM is told where the
 * alias GUID is. */
static bool is_of_aliases(enum migration_state state)
{
	enum migration_action action = migration_state_action(state);

	return action == ACTION_APPLY || action == ACTION_UNDO;
}

/* With dynamic LIDs no two links are up with one GUID, and between shared ports there is no lease:
 * nothing to be set right before that. */
static bool is_before_lease(enum migration_state state)
{
	return state == STATE_RENAMING || state == STATE_REVACATING ||
	       state == STATE_BACK_RENAMING || state == STATE_BACK_REVACATING;
}

/* With one VF no other is to be told from it: what the slot that failed shows is not known. */
static bool is_any_at_source(const struct migration_intent *intent, unsigned shown)
{
	return intent->others && shown & ((1U << migration_vf_count(intent)) - 1);
}

/* Without an SM there is no plan, no lease and no GUID to move. Where no GUID was touched there is
 * nothing to undo; else a sweep may have made the move, though nothing was applied. */
static bool is_stepped_over(const struct migration *m, enum migration_state state)
{
	if (is_before_lease(state) && (m->intent.dynamic || m->intent.shared_port))
		return true;
	if ((state == STATE_BACK_NAMING || state == STATE_BACK_RENAMING) && !m->vacated)
		return true;
	if ((state == STATE_BACK_VACATING || state == STATE_BACK_UNDOING) && !m->applied)
		return true;
	if ((state == STATE_STAY_NAMING || state == STATE_STAY_VACATING) &&
	        !is_any_at_source(&m->intent, m->shown_at_source))
		return true;
	if (is_not_of_its_links(m, state))
		return true;
	if (m->intent.shared_port)
		return is_all_the_sms(state) && !(m->intent.fabric && is_of_aliases(state));
	return !m->intent.fabric && action_needs_fabric(migration_state_action(state));
}

/* Whose QPs were told to end with errors has no steps left to go through. */
static bool is_pointless(const struct migration *m, enum migration_state state)
{
	return m->given_up && state != STATE_ERRORING &&
	       migration_action_parties(migration_state_action(state)) == PARTY_TREE;
}

/* A VM that is given a VF where it is has nowhere to go back to. */
static enum migration_state back_instead(enum migration_state state)
{
	switch (state) {
	case STATE_BACK_LEASING:
	case STATE_BACK_NAMING:
	case STATE_BACK_UNLEASING:
		return STATE_BACK_UNLEASING;
	default:
		return STATE_LOST;
	}
}

/* Who yields to another has not come to an end, unless somebody wants it to. */
static enum migration_state again_instead(const struct migration *m, enum migration_state state)
{
	if (!m->yields || (state != STATE_REFUSED && state != STATE_ABORTED))
		return state;
	return m->abort_asked ? STATE_ABORTED : STATE_LOCATING;
}

enum migration_state migration_road_entered(const struct migration *m, enum migration_state state)
{
	state = again_instead(m, state);
	if (m->intent.reattach && migration_phase(state) == PHASE_BACK)
		state = back_instead(state);
	while (is_stepped_over(m, state))
		state = migration_lookup(state, EVENT_DONE).to;
	if (!is_pointless(m, state))
		return state;
	return m->intent.reattach ? STATE_DONE : STATE_LOST;
}

unsigned migration_road_parties(const struct migration *m, enum migration_state state)
{
	unsigned parties = migration_action_parties(migration_state_action(state));

	if (!m->intent.fabric || (m->intent.shared_port && !is_of_aliases(state)))
		parties &= ~PARTY_SM;
	return parties;
}

/* The way back is driven. */
enum migration_report migration_road_report(const struct migration *m, enum migration_state state)
{
	if (!m->intent.called || migration_phase(state) != PHASE_FORWARD)
		return REPORT_NONE;
	return migration_action_report(migration_state_action(state));
}

/* The road of a migration whose memory has just moved and whose QPs are beyond saving. */
enum migration_state migration_road_reattach(const struct migration_intent *intent)
{
	/* Of several VFs each is, or none. */
	bool shows_guids = !strcmp(intent->source.host, intent->destination.host) &&
	                   !strcmp(intent->source.slot, intent->destination.slot);

	return shows_guids ? STATE_ATTACHING : STATE_LEASING_AGAIN;
}

/* Whatever the road forward has behind it was reported, or found done. */
unsigned migration_road_reported(const struct migration *m, enum migration_state journalled)
{
	unsigned taken = 0;

	if (migration_phase(journalled) != PHASE_FORWARD)
		return 0;
	for (enum migration_state state = STATE_RELEASING; state < journalled; state++)
		if (migration_road_report(m, state) != REPORT_NONE)
			taken |= 1U << migration_road_report(m, state);
	return taken;
}
