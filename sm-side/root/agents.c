/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "sm-side/root/agents.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "notifier/wire/message.h"

static void agent_free(struct agent *agent)
{
	if (agent->said)
		tether__report__free_unpacked(agent->said, NULL);
	free(agent->name);
	free(agent->behind);
	free(agent);
}

void agents_clear(struct agents *agents)
{
	while (agents->list) {
		struct agent *agent = agents->list;

		agents->list = agent->next;
		agent_free(agent);
	}
}

/* Those behind an agent follow it. */
static int order_of(const struct agent *agent, const char *name, const char *behind)
{
	const char *first = *agent->behind ? agent->behind : agent->name;
	const char *second = *behind ? behind : name;
	int order = strcmp(first, second);

	if (!order)
		order = !!*agent->behind - !!*behind;
	return order ? order : strcmp(agent->name, name);
}

/* A name is one agent's of its role, wherever in the tree it is now. */
static struct agent **agent_find(struct agents *agents, const char *name, Tether__Role role)
{
	struct agent **at = &agents->list;

	while (*at && ((*at)->role != role || strcmp((*at)->name, name)))
		at = &(*at)->next;
	return at;
}

static void agent_put(struct agents *agents, struct agent *agent)
{
	struct agent **at = &agents->list;

	while (*at && order_of(*at, agent->name, agent->behind) < 0)
		at = &(*at)->next;
	agent->next = *at;
	*at = agent;
}

/* The one of that name, put behind @behind. */
static struct agent *agent_make(
        struct agents *agents, const char *name, const char *behind, Tether__Role role)
{
	struct agent **at = agent_find(agents, name, role), *agent = *at;
	char *place = strdup(behind);

	if (!place)
		return NULL;
	if (agent) {
		*at = agent->next;
	} else {
		agent = calloc(1, sizeof(*agent));
		if (agent)
			agent->name = strdup(name);
		if (!agent || !agent->name) {
			free(agent);
			free(place);
			return NULL;
		}
		agent->role = role;
	}
	free(agent->behind);
	agent->behind = place;
	agent_put(agents, agent);
	return agent;
}

void agents_round(struct agents *agents, uint64_t now_us)
{
	agents->asked_us = now_us;
	for (struct agent *agent = agents->list; agent; agent = agent->next)
		agent->connected = agent->answered = false;
}

int agents_know(struct agents *agents, const char *name, Tether__Role role)
{
	return *agent_find(agents, name, role) || agent_make(agents, name, "", role) ? 0 : -ENOMEM;
}

int agents_here(struct agents *agents, const char *name, Tether__Role role)
{
	struct agent *agent = agent_make(agents, name, "", role);

	if (!agent)
		return -ENOMEM;
	agent->connected = true;
	return 0;
}

void agents_gone(struct agents *agents, const char *name, Tether__Role role)
{
	for (struct agent *agent = agents->list; agent; agent = agent->next) {
		bool is_it = agent->role == role && !strcmp(agent->name, name);

		if (is_it || !strcmp(agent->behind, name))
			agent->connected = agent->answered = false;
	}
}

int agents_take(struct agents *agents, const Tether__Report *report, uint64_t now_us)
{
	Tether__Report *said = message_copy(&report->base);
	struct agent *agent = NULL;

	if (said)
		agent = agent_make(agents, report->name, report->behind, report->role);
	if (!agent) {
		if (said)
			tether__report__free_unpacked(said, NULL);
		return -ENOMEM;
	}
	if (agent->said)
		tether__report__free_unpacked(agent->said, NULL);
	agent->said = said;
	agent->connected = agent->answered = true;
	agent->lag_us = now_us - agents->asked_us;
	return 0;
}
