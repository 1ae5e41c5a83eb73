/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "sm-side/migration/migration.h"

#include <string.h>

#include "sm-side/migration/orders.h"
#include "sm-side/migration/roll_call.h"

/*
 * All parties of PREPARE have said yes, or all of STOP: is the other end of each of the VM's QPs
 * among them? Of STOP too, since who connects again to an agent that was restarted comes between,
 * and its peer need not have come.
 */
static bool has_unpaired(struct migration *m)
{
	migration_other_lids(m);
	return testimony_find_unpaired(&m->testimony, m->intent.address.lid) != 0 &&
	       !m->intent.force;
}

bool migration_takes_back(const struct migration *m)
{
	return m->intent.others && !m->has_left && m->may_be_there & 1U << m->host_vf &&
	       migration_state_action(m->state) == ACTION_NAME_DESTINATION_BACK;
}

void migration_note_attach(struct migration *m)
{
	if (migration_state_action(m->state) == ACTION_ATTACH_VF)
		m->may_be_there |= m->intent.called ? MIGRATION_ALL_VFS : 1U << m->host_vf;
}

/* What host and SM are asked of one VF after the other: a lease is one for all of them, as are the
 * memory and what there is. */
static bool is_of_each_vf(enum migration_action action, unsigned party)
{
	switch (action) {
	case ACTION_LEASE:
	case ACTION_UNLEASE:
	case ACTION_MOVE_MEMORY:
	case ACTION_MOVE_MEMORY_BACK:
	case ACTION_LOOK_SOURCE:
	case ACTION_LOOK_DESTINATION:
		return false;
	case ACTION_LOOK:
		return party == PARTY_SM;
	default:
		return party != PARTY_TREE;
	}
}

static bool is_asked_of(const struct migration *m, enum migration_state state, unsigned vf)
{
	bool stays = state == STATE_STAY_NAMING || state == STATE_STAY_VACATING;

	return !stays || m->shown_at_source & 1U << vf;
}

/* How many VFs the hosts, or the SM, are asked of in @state. */
static unsigned vfs_of(const struct migration *m, enum migration_state state)
{
	unsigned count = 0;

	for (unsigned vf = 0; vf < migration_vf_count(&m->intent); vf++)
		count += is_asked_of(m, state, vf);
	return count;
}

unsigned migration_vf_from(const struct migration *m, unsigned vf)
{
	while (vf < migration_vf_count(&m->intent) && !is_asked_of(m, m->state, vf))
		vf++;
	return vf;
}

unsigned migration_orders_of(const struct migration *m, enum migration_state state)
{
	enum migration_action action = migration_state_action(state);
	unsigned parties = migration_action_parties(action), count = vfs_of(m, state);

	/* RECOVERING waits for those who are not back. */
	if (action == ACTION_LOOK || !(parties & (PARTY_HOST | PARTY_SM)) ||
	        !is_of_each_vf(action, parties & PARTY_HOST ? PARTY_HOST : PARTY_SM))
		return 1;
	return action == ACTION_NAME_DESTINATION_BACK && m->intent.others ? 2 * count : count;
}

/* The host says that it has done what it was asked; before that the slot may show either. */
static void note_guids(struct migration *m)
{
	enum migration_action action = migration_state_action(m->state);

	if (action == ACTION_NAME_SOURCE)
		m->shown_at_source &= ~(1U << m->host_vf);
	else if (action == ACTION_NAME_SOURCE_BACK)
		m->shown_at_source |= 1U << m->host_vf;
}

/* Is there another one to ask for, or more to be asked for this one? */
static bool next_vf(struct migration *m, unsigned party)
{
	unsigned *vf = party == PARTY_HOST ? &m->host_vf : &m->sm_vf;
	unsigned next = migration_vf_from(m, *vf + 1);

	if (party == PARTY_HOST && migration_takes_back(m)) {
		m->has_left = true;
		m->may_be_there &= ~(1U << *vf);
		return true;
	}
	m->has_left = false;
	if (!is_of_each_vf(migration_state_action(m->state), party) ||
	        next >= migration_vf_count(&m->intent))
		return false;
	*vf = next;
	migration_note_attach(m);
	return true;
}

/* Some of the moves a sweep has made, and the others are applied. */
static bool is_partly_there(const struct migration *m)
{
	bool any = false;

	for (unsigned i = 0; i < migration_vf_count(&m->intent); i++)
		any |= m->is_there[i];
	return any && m->state == STATE_APPLYING;
}

struct migration_output migration_answered(
        struct migration *migration, unsigned party, bool done, uint64_t now_us)
{
	if (!(migration->awaited & party))
		return (struct migration_output){0};
	if (done && party == PARTY_HOST)
		note_guids(migration);
	if (done && next_vf(migration, party))
		return (struct migration_output){
		        .action = migration_state_action(migration->state), .parties = party};
	migration->awaited &= ~party;
	migration->failed |= !done;
	if (migration->awaited)
		return (struct migration_output){0};
	if ((migration->state == STATE_PREPARING || migration->state == STATE_STOPPING) &&
	        !migration->failed)
		migration->failed = has_unpaired(migration);
	if (!migration->failed && is_partly_there(migration))
		return migration_event(migration, EVENT_ALREADY, now_us);
	return migration_event(migration, migration->failed ? EVENT_FAILED : EVENT_DONE, now_us);
}

struct migration_output migration_is_there(struct migration *m, uint64_t now_us)
{
	bool all = true;

	m->is_there[m->sm_vf] = true;
	for (unsigned i = 0; i < migration_vf_count(&m->intent); i++)
		all &= m->is_there[i];
	return all ? migration_event(m, EVENT_ALREADY, now_us)
	           : migration_answered(m, PARTY_SM, true, now_us);
}

static const char *vm_host(const struct migration *m)
{
	bool moved = m->state == STATE_REBUILDING || m->state == STATE_RECONNECTING ||
	             m->state == STATE_RESUMING;

	return moved ? m->intent.destination.host : m->intent.source.host;
}

/* @name is the VM's host, a process of the VM ("VM/PID.START") or that with its host before it. */
static bool is_of_vm(const struct migration *m, const char *name)
{
	const char *host = vm_host(m);
	size_t length = strlen(host);

	if (!strcmp(name, host))
		return true;
	if (!strncmp(name, host, length) && name[length] == '/')
		name += length + 1;
	length = strlen(m->intent.vm);
	return !strncmp(name, m->intent.vm, length) && (name[length] == '/' || !name[length]);
}

static size_t count_refusals_of_vm(const struct migration *m, const Tether__Answer *answer)
{
	size_t count = 0;

	for (size_t i = 0; i < answer->n_refusals; i++)
		count += is_of_vm(m, answer->refusals[i]->who);
	return count;
}

/* Processes by name, or the whole host. */
static bool is_missing(const struct migration *m, const Tether__Answer *answer, bool host_only)
{
	for (size_t i = 0; i < answer->n_missing; i++) {
		if (host_only ? !strcmp(answer->missing[i], vm_host(m))
		              : is_of_vm(m, answer->missing[i]))
			return true;
	}
	return false;
}

/* See migration.h: after the commit the VM's own processes decide. */
static bool tree_has_done(const struct migration *m, const Tether__Answer *answer)
{
	size_t refused = count_refusals_of_vm(m, answer);

	if (answer->outcome == TETHER__OUTCOME__OUTCOME_DONE)
		return true;
	if (!m->committed || (!answer->n_refusals && !answer->n_missing))
		return false;
	if (m->state == STATE_RELEASING)
		return !refused && !is_missing(m, answer, false);
	if (is_missing(m, answer, true))
		return false;
	return !refused ||
	       testimony_count_of_vm(answer->answered, answer->n_answered, m->intent.vm) > refused;
}

/* Its rows and findings are taken in, whoever was expected and is told of nowhere among these. 0,
 * or it could not be taken. */
static int tree_answer_take(struct migration *m, const Tether__Answer *answer, bool *done)
{
	struct roll_call roll;
	int err = roll_call_take(&roll, m->testimony.processes,
	        order_expected_count(m, migration_state_action(m->state)), answer);

	if (err)
		return err;
	*done = tree_has_done(m, &roll.answer);
	migration_other_lids(m);
	err = testimony_take(&m->testimony, m->intent.vm, m->intent.address.lid, &roll.answer);
	roll_call_clear(&roll);
	return err;
}

struct migration_output migration_tree_answered(
        struct migration *migration, const Tether__Answer *answer, uint64_t now_us)
{
	bool done = false;

	if (!(migration->awaited & PARTY_TREE))
		return (struct migration_output){0};
	if (tree_answer_take(migration, answer, &done)) {
		testimony_find(&migration->testimony, "tether-smd", "bad-answer",
		        "an answer could not be taken: malformed tables or no memory");
		done = false;
	}
	return migration_answered(migration, PARTY_TREE, done, now_us);
}

/* "failed" is of whichever is awaited; when none is, of the one before. */
static bool is_repeated(const struct migration *m, enum migration_report report)
{
	bool is_due = report == REPORT_FAILED ? m->awaited_report != REPORT_NONE
	                                      : m->awaited_report == report;

	return m->reports_taken & 1U << report && !is_due;
}

struct migration_output migration_reported(
        struct migration *migration, enum migration_report report, uint64_t now_us)
{
	if (migration->state == STATE_RECOVERING)
		return (struct migration_output){.refused = "recovering"};
	if (is_repeated(migration, report))
		return (struct migration_output){0};
	if (migration->awaited_report == REPORT_NONE ||
	        (report != REPORT_FAILED && report != migration->awaited_report))
		return (struct migration_output){.refused = "not-awaited"};
	migration->awaited_report = REPORT_NONE;
	migration->reports_taken |= 1U << report;
	if (report == REPORT_FAILED)
		return migration_answered(migration, PARTY_HOST, false, now_us);
	return (struct migration_output){.action = migration_state_action(migration->state)};
}
