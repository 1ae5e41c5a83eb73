/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include <errno.h>
#include <stdlib.h>

#include "sm-side/plugin/move_turns.h"
#include "sm-side/plugin/move_work.h"
#include "sm-side/plugin/plugin_ops.h"
#include "sm-side/plugin/sweep_lease.h"

/* Somebody's plan. */
struct application {
	struct turn turn; /* first */
	const struct worker *worker;
	struct move_member member;
	uint64_t deadline_ns;
	bool has_entered;
};

static struct application *application_of(struct turn *turn)
{
	return (struct application *)(void *)turn;
}

/* Whose lease has run out while it waited hears so; the others go on. */
static void enter(struct application *application)
{
	const struct worker *worker = application->worker;

	application->member.refused = sweep_lease_enter(worker->plugin->lease, worker->connection,
	        worker->migration, application->turn.plan, &application->deadline_ns);
	application->has_entered = !application->member.refused;
}

static void leave(const struct application *application)
{
	if (application->has_entered)
		sweep_lease_leave(
		        application->worker->plugin->lease, application->worker->connection);
}

/* Into @members those who have entered, or out of it. How many. */
static uint32_t members_copy(const struct turn_group *group, struct move_member *members, bool out)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < group->count; i++) {
		struct application *application = application_of(group->turns[i]);

		if (!application->has_entered)
			continue;
		if (out)
			application->member = members[count++];
		else
			members[count++] = application->member;
	}
	return count;
}

static void refuse_all(const struct turn_group *group, enum refusal refused)
{
	for (uint32_t i = 0; i < group->count; i++)
		application_of(group->turns[i])->member.refused = refused;
}

/* Until the last one's lease has run out: none of them fails because another one is late. */
static uint64_t deadline_of(const struct turn_group *group)
{
	uint64_t deadline_ns = 0;

	for (uint32_t i = 0; i < group->count; i++) {
		const struct application *application = application_of(group->turns[i]);

		if (application->has_entered && application->deadline_ns > deadline_ns)
			deadline_ns = application->deadline_ns;
	}
	return deadline_ns;
}

static void carry_out(
        struct plugin *plugin, const struct turn_group *group, struct move_member *members)
{
	const struct move_tools tools = {plugin->osm, plugin->sender, plugin->lease, plugin->lids};
	uint32_t count = members_copy(group, members, false);

	if (!count)
		return;
	if (identity_moves_apply(&tools, members, count, deadline_of(group)))
		sweep_lease_owe_sweep(plugin->lease);
	members_copy(group, members, true);
}

static void apply_group(void *owner, const struct turn_group *group)
{
	struct move_member *members = calloc(group->count, sizeof(*members));

	if (!members) {
		refuse_all(group, REFUSAL_NO_MEMORY);
		return;
	}
	for (uint32_t i = 0; i < group->count; i++)
		enter(application_of(group->turns[i]));
	carry_out(owner, group, members);
	for (uint32_t i = 0; i < group->count; i++)
		leave(application_of(group->turns[i]));
	free(members);
}

enum refusal move_work_apply(
        const struct worker *worker, struct identity_move *move, struct move_result *result)
{
	struct application application = {
	        .turn = {.plan = identity_move_plan(move)},
	        .worker = worker,
	        .member = {.move = move},
	};

	if (move_turns_take(worker->plugin->turns, &application.turn, apply_group, worker->plugin))
		application.member.refused = REFUSAL_NO_MEMORY;
	*result = application.member.result;
	return application.member.refused;
}

/* Somebody looks. */
struct look {
	const struct worker *worker;
	const struct plan *plan;
	struct differences *differences;
	enum refusal refused;
};

static void look(void *owner, const struct turn_group *group)
{
	struct look *one = owner;
	struct plugin *plugin = one->worker->plugin;
	unsigned connection = one->worker->connection;
	uint64_t deadline_ns;

	one->refused = sweep_lease_enter(
	        plugin->lease, connection, one->worker->migration, NULL, &deadline_ns);
	if (one->refused)
		return;
	one->refused = identity_verify(
	        plugin->osm, plugin->sender, one->plan, deadline_ns, one->differences);
	sweep_lease_leave(plugin->lease, connection);
}

enum refusal move_work_verify(
        const struct worker *worker, const struct plan *plan, struct differences *differences)
{
	struct look one = {.worker = worker, .plan = plan, .differences = differences};
	struct turn turn = {.plan = NULL};

	return move_turns_take(worker->plugin->turns, &turn, look, &one) ? REFUSAL_NO_MEMORY
	                                                                 : one.refused;
}
